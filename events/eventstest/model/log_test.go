package model_test

import (
	"testing"

	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/events/eventstest/model"
)

func TestMain(m *testing.M) { eventstest.Main(m) }

// TestLog runs the suite of the real log on the model, as on etcd.
func TestLog(t *testing.T) {
	eventstest.Run(t, func(t *testing.T) eventstest.Subject {
		const bound = 32 << 10
		etcd := model.New(t, model.Options{})
		cfg := eventlog.Config{Partitions: 4, WatchBytes: bound, Connect: etcd.Client("log").Connect}
		client := connect(t, etcd.Client("other"))
		return eventstest.Subject{
			Log: eventstest.OpenLog(t, cfg),
			Put: func(key string, value []byte) {
				if _, err := client.Put(t.Context(), key, string(value)); err != nil {
					t.Fatal(err)
				}
			},
			Delete: func(key string) {
				if _, err := client.Delete(t.Context(), key); err != nil {
					t.Fatal(err)
				}
			},
			Compact:    func() { etcd.Compact() },
			WatchBytes: bound,
		}
	})
}
