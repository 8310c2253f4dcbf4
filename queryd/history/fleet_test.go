package history

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/history/historytest"
	"telemetry-pipeline/queryd/live"
)

// fleet is a store of the collectors' models in memory. It serves the view and history.
type fleet struct {
	facts  events.Facts
	hosts  map[events.HostID]*projections.Host
	series historytest.Series

	appended []events.Event // all folded events

	reads atomic.Int64 // windows read
	fail  error        // returned by every Series
}

func newFleet() *fleet {
	return &fleet{
		facts:  events.Facts{Epoch: 7, Cluster: 9, Partitions: 4, PartitionHash: "xxh3", Cut: events.CutRules{EventRecords: 2000, EventBytes: 1 << 20, OpenRecords: 100_000}},
		hosts:  make(map[events.HostID]*projections.Host),
		series: make(historytest.Series),
	}
}

// addRow folds one row of readings.
func (f *fleet) addRow(host events.HostID, id events.Identity, at events.Timestamp, readings ...events.Record) {
	for i := range readings {
		readings[i].Identity, readings[i].At, readings[i].Source = &id, at, readings[i].Metric
		readings[i].Text = readings[i].Value.Number.Append(nil)
	}
	cut := events.NewCutter(f.facts.Cut, "", "")
	for _, ev := range append(cut.Row(host, 100, readings), cut.Flush()...) {
		f.foldEvent(ev)
	}
}

func (f *fleet) foldEvent(ev events.Event) { f.foldTo(ev, true) }

// foldTo folds an event; its records are added to the stored series only if they are hot.
func (f *fleet) foldTo(ev events.Event, hot bool) {
	f.appended = append(f.appended, ev)
	if f.hosts[ev.Host] == nil {
		f.hosts[ev.Host] = &projections.Host{ID: ev.Host}
		f.series[ev.Host] = make(map[projections.Window]projections.HostWindow)
	}
	effect := f.hosts[ev.Host].Apply(&ev)
	for _, part := range []map[projections.Window]projections.HostWindow{effect.Fresh, effect.Late} {
		for w, s := range part {
			if !hot {
				continue
			}
			stored := f.series[ev.Host][w]
			stored.Add(s)
			f.series[ev.Host][w] = stored
		}
	}
}

func (f *fleet) revisionOf(n int64) events.Revision {
	return events.Revision{Epoch: f.facts.Epoch, Cluster: f.facts.Cluster, Number: n}
}

func (f *fleet) Load(context.Context, projections.Generation) (projections.Batch, error) {
	b := projections.Batch{At: f.revisionOf(100), Offsets: make(map[events.Partition]projections.Offsets)}
	for _, id := range slices.Sorted(maps.Keys(f.hosts)) {
		h := f.hosts[id]
		b.Hosts = append(b.Hosts, projections.Stored{Host: id, Partition: events.PartitionOf(id, f.facts.Partitions), Live: &h.Live, Identity: &h.Identity})
	}
	for p := range f.facts.Partitions {
		b.Offsets[events.Partition(p)] = projections.Offsets{Live: f.revisionOf(99), Series: f.revisionOf(99)}
	}
	return b, nil
}

func (f *fleet) Watch(ctx context.Context, _ projections.Generation, _ events.Revision) iter.Seq2[projections.Batch, error] {
	return func(yield func(projections.Batch, error) bool) {
		<-ctx.Done()
		yield(projections.Batch{}, ctx.Err())
	}
}

func (f *fleet) WatchActive(ctx context.Context) iter.Seq2[projections.ActiveGeneration, error] {
	return func(yield func(projections.ActiveGeneration, error) bool) {
		if yield(projections.ActiveGeneration{Generation: "1"}, nil) {
			<-ctx.Done()
			yield(projections.ActiveGeneration{}, ctx.Err())
		}
	}
}

// List lists the stored series, and refuses a generation, host or partition that is not there.
func (f *fleet) List(ctx context.Context, g projections.Generation, q projections.ChunkQuery) (projections.ChunkList, error) {
	if f.fail != nil {
		return projections.ChunkList{}, f.fail
	}
	for _, h := range q.Of {
		if g != "1" || h.Partition != events.PartitionOf(h.Host, f.facts.Partitions) || f.series[h.Host] == nil {
			return projections.ChunkList{}, fmt.Errorf("no generation %q or partition %d of %s", g, h.Partition, h.Host)
		}
	}
	return f.series.List(ctx, g, q)
}

// Read reads stored series, and counts the windows.
func (f *fleet) Read(ctx context.Context, windows []projections.WindowChunks, keep func(events.Entity, string) bool) ([]projections.WindowSeries, error) {
	if f.fail != nil {
		return nil, f.fail
	}
	f.reads.Add(int64(len(windows)))
	all, err := f.series.Read(ctx, windows, keep)
	if err != nil {
		err = errors.Join(ErrMoved, err)
	}
	return all, err
}

// viewState returns the view of the fleet as the hub has it.
func (f *fleet) viewState(t testing.TB) *live.State {
	t.Helper()
	hub, err := live.New(live.Config{}, f, nil, f.facts, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- hub.Run(ctx) }()
	defer func() { cancel(); <-done }()
	for deadline := time.Now().Add(time.Minute); hub.Ready() != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("view is not current: %v", hub.Ready())
		}
	}
	return hub.State()
}

// newReading returns a record of a metric; addRow sets the other fields.
func newReading(metric string, value int64) events.Record {
	return events.Record{Metric: metric, Value: events.Value{Number: events.Int(value)}}
}
