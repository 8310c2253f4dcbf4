package rest

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/history/historytest"
	"telemetry-pipeline/queryd/live"
)

// fleet holds in memory the projections that collectors would have stored. It serves the view and history.
type fleet struct {
	facts  events.Facts
	hosts  map[events.HostID]*projections.Host
	series historytest.Series

	appended []events.Event // all of them, in order

	mu   sync.Mutex
	fail error // of every Series, and of the watch
}

func newFleet() *fleet {
	return &fleet{
		facts:  events.Facts{Epoch: 7, Cluster: 9, Partitions: 4, PartitionHash: "xxh3", Cut: events.CutRules{EventRecords: 2000, EventBytes: 1 << 20, OpenRecords: 100_000}},
		hosts:  make(map[events.HostID]*projections.Host),
		series: make(historytest.Series),
	}
}

// addRow folds one row of readings, as pairs of name and text.
func (f *fleet) addRow(host events.HostID, id events.Identity, at events.Timestamp, readings [][2]string) error {
	var records []events.Record
	for _, r := range readings {
		m, c, _ := metric.Lookup(r[0])
		v, err := m.Read(c, []byte(r[1]))
		if err != nil {
			return fmt.Errorf("reading %s=%q: %w", r[0], r[1], err)
		}
		records = append(records, events.Record{Identity: &id, Metric: m.Name, Source: r[0], At: at, Value: v, Text: []byte(r[1])})
	}
	cut := events.NewCutter(f.facts.Cut, "", "")
	for _, ev := range append(cut.Row(host, 100, records), cut.Flush()...) {
		f.foldEvent(ev)
	}
	return nil
}

func (f *fleet) foldEvent(ev events.Event) {
	if f.hosts[ev.Host] == nil {
		f.hosts[ev.Host] = &projections.Host{ID: ev.Host}
		f.series[ev.Host] = make(map[projections.Window]projections.HostWindow)
	}
	f.appended = append(f.appended, ev)
	effect := f.hosts[ev.Host].Apply(&ev)
	for _, part := range []map[projections.Window]projections.HostWindow{effect.Fresh, effect.Late} {
		for w, s := range part {
			stored := f.series[ev.Host][w]
			stored.Add(s)
			f.series[ev.Host][w] = stored
		}
	}
}

// addRows folds rows written one a line: time, host, key=value of the identity, "|", metric=text.
func (f *fleet) addRows(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		who, what, ok := strings.Cut(line, "|")
		words := strings.Fields(who)
		if !ok || len(words) < 2 {
			t.Fatalf("row %q: want time, host, key=value…, |, metric=text…", line)
		}
		at, err := events.ParseTimestamp(words[0])
		if err != nil {
			t.Fatal(err)
		}
		id, err := parseIdentity(words[2:])
		if err != nil {
			t.Fatalf("row %q: %v", line, err)
		}
		var readings [][2]string
		for _, word := range strings.Fields(what) {
			name, value, _ := strings.Cut(word, "=")
			readings = append(readings, [2]string{name, value})
		}
		if err := f.addRow(events.HostID(words[1]), id, at, readings); err != nil {
			t.Fatalf("row %q: %v", line, err)
		}
	}
}

// parseIdentity parses key=value; '+' stands for a blank, and an unknown key is a label.
func parseIdentity(words []string) (id events.Identity, err error) {
	fields := map[string]*string{
		"uuid": &id.UUID, "index": &id.Index, "pci": &id.PCI, "device": &id.Device, "model": &id.Model, "driver": &id.Driver, "mig": &id.MIG,
		"mig_profile": &id.MIGProfile, "pod": &id.Pod, "namespace": &id.Namespace, "container": &id.Container, "part": &id.Part,
	}
	for _, word := range words {
		key, value, ok := strings.Cut(word, "=")
		if !ok {
			return id, fmt.Errorf("%q is not key=value", word)
		}
		value = strings.ReplaceAll(value, "+", " ")
		if field := fields[key]; field != nil {
			*field = value
			continue
		}
		id.Labels = append(id.Labels, events.Label{Name: key, Value: value})
	}
	slices.SortFunc(id.Labels, func(a, b events.Label) int { return strings.Compare(a.Name, b.Name) })
	return id, nil
}

func (f *fleet) revision(n int64) events.Revision {
	return events.Revision{Epoch: f.facts.Epoch, Cluster: f.facts.Cluster, Number: n}
}

func (f *fleet) failing() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fail
}

func (f *fleet) Load(context.Context, projections.Generation) (projections.Batch, error) {
	b := projections.Batch{At: f.revision(100), Offsets: make(map[events.Partition]projections.Offsets)}
	for _, id := range slices.Sorted(maps.Keys(f.hosts)) {
		h := f.hosts[id]
		b.Hosts = append(b.Hosts, projections.Stored{Host: id, Partition: events.PartitionOf(id, f.facts.Partitions), Live: &h.Live, Identity: &h.Identity})
	}
	for p := range f.facts.Partitions {
		b.Offsets[events.Partition(p)] = projections.Offsets{Live: f.revision(99), Series: f.revision(99)}
	}
	return b, nil
}

func (f *fleet) Watch(ctx context.Context, _ projections.Generation, _ events.Revision) iter.Seq2[projections.Batch, error] {
	return func(yield func(projections.Batch, error) bool) {
		if err := f.failing(); err != nil {
			yield(projections.Batch{}, err)
			return
		}
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

// List lists the stored series.
func (f *fleet) List(ctx context.Context, g projections.Generation, q projections.ChunkQuery) (projections.ChunkList, error) {
	if err := f.failing(); err != nil {
		return projections.ChunkList{}, err
	}
	return f.series.List(ctx, g, q)
}

// Read reads the stored series.
func (f *fleet) Read(ctx context.Context, windows []projections.WindowChunks, keep func(events.Entity, string) bool) ([]projections.WindowSeries, error) {
	if err := f.failing(); err != nil {
		return nil, err
	}
	return f.series.Read(ctx, windows, keep)
}

// runHub runs a hub on the fleet until the test ends.
func (f *fleet) runHub(t testing.TB) *live.Hub {
	t.Helper()
	hub, err := live.New(live.Config{}, f, nil, f.facts, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- hub.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	waitUntil(t, "view is current", func() bool { return hub.Ready() == nil })
	return hub
}

// waitUntil polls a condition.
func waitUntil(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// Quarantined returns four entries, as a store would: the value of the third is not readable, and the last is a summary.
func (f *fleet) Quarantined(_ context.Context, filter QuarantineFilter) (list []Quarantined, total int, err error) {
	at := time.Date(2025, 7, 18, 20, 42, 34, 0, time.UTC)
	all := []Quarantined{
		{Partition: 3, Key: "/telemetry/queue/c/003/b", Revision: f.revision(40), Host: "node-b", Reason: "unfoldable", Text: `folding it panicked: "x"`,
			Upload: "u-1", At: at, ModelVersion: 1, Attempts: 2, TriedAt: at.Add(time.Hour), RetryAsked: true,
			Records: 12, Partial: true},
		{Partition: 1, Key: "/telemetry/queue/c/001/a", Revision: f.revision(30), Host: "node-a", Reason: "overwritten", Text: "written again",
			At: at, ModelVersion: 1, Attempts: 1, TriedAt: at},
		{Partition: 1, Revision: f.revision(20), Reason: "unknown", Text: "the entry cannot be read"},
		{Partition: 0, Entry: "0000000000000000000-01", Key: "/telemetry/queue/c/000/c", Revision: f.revision(10), Reason: "too_large", Text: "full", At: at,
			ModelVersion: 1, Attempts: 1, TriedAt: at, Records: 4000, Events: 2, LastKey: "/telemetry/queue/c/000/d", LastRevision: f.revision(19)},
	}
	for _, q := range all {
		if filter.Visible != nil && (q.Host == "" || !filter.Visible(q.Host)) {
			continue
		}
		if filter.HasPartition && q.Partition != filter.Partition || len(filter.Hosts) > 0 && !slices.Contains(filter.Hosts, q.Host) {
			continue
		}
		if total += max(1, q.Events); len(list) < filter.Limit {
			list = append(list, q)
		}
	}
	return list, total, f.failing()
}

func (f *fleet) RequestRetry(ctx context.Context, filter RetryFilter) (int, error) {
	list, _, err := f.Quarantined(ctx, QuarantineFilter{Partition: filter.Partition, HasPartition: filter.HasPartition, Limit: 10, Visible: filter.Visible})
	list = slices.DeleteFunc(list, func(q Quarantined) bool { return filter.Key != "" && q.Key != filter.Key })
	if err == nil && filter.Key != "" && len(list) == 0 {
		err = ErrNotQuarantined
	}
	return len(list), err
}
