package eventstest_test

import (
	"testing"

	"telemetry-pipeline/events/eventstest"
)

func TestEtcdLog(t *testing.T) {
	eventstest.Run(t, func(t *testing.T) eventstest.Subject {
		const bound = 32 << 10
		cfg := eventstest.Config(t)
		cfg.Partitions, cfg.WatchBytes = 4, bound
		client := eventstest.Etcd(t)
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
			Compact:    func() { eventstest.Shared(t).Compact(t) },
			WatchBytes: bound,
		}
	})
}
