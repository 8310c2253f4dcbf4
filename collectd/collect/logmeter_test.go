package collect

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/collectd/partition"
	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

// Against a real etcd: the log is measured before anything folds it, and again after a collector has folded it.
func TestTheLeaderMeasuresTheLog(t *testing.T) {
	t.Parallel()
	cfg := eventstest.Config(t)
	cfg.Partitions = 2
	log := eventstest.OpenLog(t, cfg)
	client := eventstest.Etcd(t)
	store := snapshot.New(client, cfg, log.Facts(), nil)
	gen, err := store.Begin(t.Context(), snapshot.ModelVersion)
	if err != nil {
		t.Fatal(err)
	}
	var evs []events.Event
	for _, host := range []events.HostID{"a", "b", "c"} {
		evs = append(evs, eventstest.Events(host, 0, 4)...)
	}
	before := time.Now()
	if _, err := log.Append(t.Context(), evs); err != nil {
		t.Fatal(err)
	}
	appended := time.Now()
	m := newLogMeter(log, store, log.Facts().Partitions)
	reg := prometheus.NewRegistry()
	reg.MustRegister(m)
	if got := gatherGauges(t, reg); len(got) != 0 {
		t.Errorf("before it leads a collector reports %v", got)
	}
	for range log.Facts().Partitions {
		if err := m.measureOnce(t.Context(), gen); err != nil {
			t.Fatal(err)
		}
	}
	least := time.Since(appended).Seconds() - 0.001 // append times have milliseconds
	got := gatherGauges(t, reg)
	most := time.Since(before).Seconds() + 0.001
	if age := got["collect_oldest_unfolded_seconds"]; age < least || age > most {
		t.Errorf("the oldest event is %v s old, want %v to %v", age, least, most)
	}
	if got["log_events"] != 12 {
		t.Errorf("%v events, want 12", got["log_events"])
	}
	if want := storedBytes(t, client, cfg.Prefix("queue")); got["log_bytes"] != want {
		t.Errorf("%v bytes, want %v", got["log_bytes"], want)
	}

	c, err := Open(Config{Sharing: partition.Config{DataDir: t.TempDir(), LeaseTTL: 5 * time.Second}}, cfg, log, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.meter.interval = 20 * time.Millisecond
	own := prometheus.NewRegistry()
	if err := c.Metrics(own); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ended, c.Close()); err != nil {
			t.Error(err)
		}
		if _, there := gatherGauges(t, own)["log_events"]; there {
			t.Error("a collector that stopped leading still reports the log")
		}
	})
	awaitCondition(t, "everything is folded and the metrics say so", func() bool {
		now := gatherGauges(t, own)
		age, there := now["collect_oldest_unfolded_seconds"]
		return there && age == 0 && now["log_events"] == 12 && now["collect_waiting_records"] == 0
	})
}

// storedBytes returns the bytes of the keys and values under a prefix.
func storedBytes(t *testing.T, client *clientv3.Client, prefix string) (n float64) {
	t.Helper()
	resp, err := client.Get(t.Context(), prefix, clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range resp.Kvs {
		n += float64(len(kv.Key) + len(kv.Value))
	}
	return n
}

func gatherGauges(t *testing.T, reg prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "log_") || strings.HasPrefix(f.GetName(), "collect_") {
			all[f.GetName()] = f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return all
}

// Records wait from their fold on until their commit is stored.
func TestRecordsWaitUntilTheyAreStored(t *testing.T) {
	s := newState(Config{}.withDefaults(), snapshot.Partition{}, func() int64 { return 0 })
	w := newWaitingRecords()
	remove := w.addState(s)
	ev := eventstest.Event("h", 1)
	effect, _, failed := s.applyEvent(&ev, 7, (*projections.Host).ApplyWithin)
	if failed != nil {
		t.Fatal(failed)
	}
	for window, records := range effect.Fresh {
		s.addPending(ev.Host, window, records, 7)
	}
	if got := w.count(); got != float64(ev.Records()) {
		t.Errorf("%v records wait, want %d", got, ev.Records())
	}
	c, _ := s.takeDue(time.Now(), new(commitPace), true)
	if got := w.count(); got != float64(ev.Records()) {
		t.Errorf("%v records wait during the commit, want %d", got, ev.Records())
	}
	s.markSaved(c)
	if got := w.count(); got != 0 {
		t.Errorf("%v records wait after the commit, want 0", got)
	}
	s.records = 3
	remove()
	if got := w.count(); got != 0 {
		t.Errorf("%v records of a partition that is not owned any more wait", got)
	}
}
