package snapshot

import (
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
)

// A transaction larger than the queue passes when nothing waits.
func TestQueueTakesOneOfAnySize(t *testing.T) {
	f := newFixture(t, func(cfg *eventlog.Config, _ *clientv3.Client) { cfg.WatchBytes = 10 })
	start, err := f.Load(t.Context(), generation)
	if err != nil {
		t.Fatal(err)
	}
	c := f.foldEvents(1, eventstest.Event(hostsOf(0, 1)[0], 1))
	f.saveCommit(0, Commit{Live: c.Live, Identity: c.Identity}, f.claimPartition(0))
	for b, err := range f.Watch(timeoutContext(t, time.Minute), generation, start.At) {
		if err != nil {
			t.Fatal(err)
		}
		if len(b.Hosts) == 1 {
			return
		}
	}
}
