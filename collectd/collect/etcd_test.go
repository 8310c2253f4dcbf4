package collect

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/collectd/partition"
	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive/archivetest"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

func TestMain(m *testing.M) {
	archivetest.FetchGateway("TestTheSameFileAgainAfterItWasArchivedChangesNoView")
	eventstest.Main(m)
}

// A fold fails by a temporary fault: everything is real but the fault. The acknowledged records are reported missing
// until a retry, and are exactly there after it.
func TestAnEventLostToAFaultComesBackThroughEtcd(t *testing.T) {
	t.Parallel()
	cfg := eventstest.Config(t)
	log := eventstest.OpenLog(t, cfg)
	store := snapshot.New(eventstest.Etcd(t), cfg, log.Facts(), nil)
	c, err := Open(Config{Sharing: partition.Config{DataDir: t.TempDir(), LeaseTTL: 5 * time.Second}}, cfg, log, nil)
	if err != nil {
		t.Fatal(err)
	}
	bad := eventstest.Event("a", 10)
	var mended atomic.Bool
	c.apply = panicsOn(bad, &mended)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})

	evs := append(append(eventstest.Events("a", 0, 10), bad), eventstest.Events("a", 11, 10)...)
	appended, err := log.Append(t.Context(), evs)
	if err != nil {
		t.Fatal(err)
	}
	p := events.PartitionOf("a", log.Facts().Partitions)
	patience, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	if err := store.WaitVisible(patience, map[events.Partition]events.Revision{p: appended[len(evs)-1].Revision}); err != nil {
		t.Fatalf("the partition stands still: %v", err)
	}
	records := func() (n int) {
		t.Helper()
		g, err := store.Active(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		windows, err := store.Series(t.Context(), g, p, "a", []projections.Window{projections.WindowOf(bad.First())})
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range windows {
			n += w.Series.Records()
		}
		return n
	}
	list := func() []snapshot.Quarantined {
		t.Helper()
		list, _, err := store.QuarantineList(t.Context(), snapshot.QuarantineFilter{Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	before := list()
	if len(before) != 1 || before[0].Key != appended[10].Key || before[0].Reason != "unfoldable" || before[0].Upload != bad.Upload || before[0].Host != "a" {
		t.Fatalf("the quarantine holds %+v, want the bad event", before)
	}
	if got := records(); got != 2*20 {
		t.Errorf("%d records in history, want those of the other 20 events", got)
	}
	ask := func() {
		t.Helper()
		if n, err := store.RequestRetry(t.Context(), snapshot.RetryFilter{}); n != 1 || err != nil {
			t.Fatalf("asking for a retry: %d (%v)", n, err)
		}
	}
	ask()
	awaitCondition(t, "second attempt", func() bool { l := list(); return l[0].Attempts == 2 && !l[0].RetryRequested })
	mended.Store(true)
	ask()
	awaitCondition(t, "the entry ends", func() bool { return len(list()) == 0 })
	if got := records(); got != 2*21 { // stored before or with the removal of the entry
		t.Errorf("%d records in history, want all 42", got)
	}
	marks, err := eventstest.Etcd(t).Get(t.Context(), cfg.Prefix("quarantine"), clientv3.WithPrefix())
	if err != nil || len(marks.Kvs) != 0 {
		t.Errorf("%v left below quarantine/ (%v), want nothing", marks.Kvs, err)
	}
}
