package collect

import (
	"context"
	"errors"
	"testing"
	"time"

	"telemetry-pipeline/collectd/partition"
	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventstest"
)

// TestReplacedLogEndsTheCollector: a collector does not retry for ever to fold a log that is gone. It ends with a
// cause, so that its process is restarted on the new log.
func TestReplacedLogEndsTheCollector(t *testing.T) {
	etcd := eventstest.NewServer(t, nil)
	store := etcd.Config(t)
	log := eventstest.OpenLog(t, store)
	c, err := Open(Config{Sharing: partition.Config{DataDir: t.TempDir()}}, store, log, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	client := etcd.Client(t)
	if _, err := client.Delete(t.Context(), store.Key("config")); err != nil {
		t.Fatal(err)
	}
	eventstest.OpenLog(t, store) // creates the facts of another log
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := c.Run(ctx); !errors.Is(err, events.ErrForeign) || !errors.Is(err, errReplaced) {
		t.Errorf("Run ended with %v, want ErrForeign and what to do", err)
	}
}
