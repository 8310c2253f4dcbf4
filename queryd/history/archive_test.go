package history

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
)

// fakeArchive is an archive in a directory and its manifest in memory.
type fakeArchive struct {
	*archive.Store
	entries map[events.Partition][]archive.Entry

	rolled, scanned atomic.Int64             // calls
	before          func(*fakeArchive)       // called by every Entries
	missing         func(archive.Entry) bool // objects that were removed
}

func newFakeArchive(t testing.TB) *fakeArchive {
	t.Helper()
	store, err := archive.Open(t.Context(), "file://"+t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return &fakeArchive{Store: store, entries: make(map[events.Partition][]archive.Entry)}
}

// addEntry archives events as one entry of a partition.
func (s *fakeArchive) addEntry(t testing.TB, p events.Partition, evs []events.Event) {
	t.Helper()
	r := archive.Range{Partition: p, Upto: evs[len(evs)-1].Revision}
	if had := s.entries[p]; len(had) > 0 {
		r.After = had[len(had)-1].Last
	}
	entry, err := s.Write(t.Context(), r, func(yield func(events.Event, error) bool) {
		for _, ev := range evs {
			if !yield(ev, nil) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	s.entries[p] = append(s.entries[p], entry)
}

// mergeEntries replaces the entries lo to hi, exclusive, of a partition with one.
func (s *fakeArchive) mergeEntries(t testing.TB, p events.Partition, lo, hi int) {
	t.Helper()
	merged, err := s.Merge(t.Context(), s.entries[p][lo:hi])
	if err != nil {
		t.Fatal(err)
	}
	s.entries[p] = slices.Replace(slices.Clone(s.entries[p]), lo, hi, merged)
}

func (s *fakeArchive) Entries(_ context.Context, of []events.Partition, _, _ events.Timestamp, _ bool) (map[events.Partition][]archive.Entry, error) {
	if s.before != nil {
		s.before(s)
	}
	all := make(map[events.Partition][]archive.Entry)
	for _, p := range of {
		all[p] = slices.Clone(s.entries[p])
	}
	return all, nil
}

func (s *fakeArchive) Scan(ctx context.Context, e archive.Entry, f archive.Filter) iter.Seq2[archive.Series, error] {
	s.scanned.Add(1)
	if s.missing != nil && s.missing(e) {
		return func(yield func(archive.Series, error) bool) {
			yield(archive.Series{}, fmt.Errorf("reading: %w", archive.ErrMissing))
		}
	}
	return s.Store.Scan(ctx, e, f)
}

func (s *fakeArchive) Rollup(ctx context.Context, e archive.Entry, kind archive.Kind, f archive.Filter) iter.Seq2[archive.Rollup, error] {
	s.rolled.Add(1)
	return s.Store.Rollup(ctx, e, kind, f)
}

// loggedEvent returns an event with the key and revision that the log would assign.
func loggedEvent(ev events.Event, number int64, f *fleet) events.Event {
	ev.Revision = f.revisionOf(number)
	ev.AppendedAt = ev.Last()
	ev.Key = "/telemetry/" + events.EventKey("default-cluster", f.facts.Partitions, &ev).String()
	return ev
}

// archiveLayout describes how a fleet's older events are archived.
type archiveLayout struct {
	left     bool // some are also still in the stored series
	repeated bool // some are archived again, in later entries
	loose    bool // not all entries are merged
}

// splitFleet returns a fleet with the newer events, and an archive of the older ones.
func (how archiveLayout) splitFleet(t testing.TB, whole *fleet, r *rand.Rand) (*fleet, *fakeArchive) {
	t.Helper()
	f, s := newFleet(), newFakeArchive(t)
	head := len(whole.appended) * (3 + r.IntN(7)) / 10
	byPartition := make(map[events.Partition][]events.Event)
	number := int64(0)
	fold := func(ev events.Event, cold, hot bool) {
		number++
		ev = loggedEvent(ev, number, f)
		if p := events.PartitionOf(ev.Host, f.facts.Partitions); cold {
			byPartition[p] = append(byPartition[p], ev)
		}
		f.foldTo(ev, hot)
	}
	for i, ev := range whole.appended {
		fold(ev, i < head, i >= head || how.left && r.IntN(5) == 0)
		if how.repeated && i < head && r.IntN(6) == 0 {
			fold(whole.appended[r.IntN(i+1)], true, false)
		}
	}
	for p, evs := range byPartition {
		for len(evs) > 0 {
			n := min(10+r.IntN(400), len(evs))
			s.addEntry(t, p, evs[:n])
			evs = evs[n:]
		}
		for lo := 0; lo < len(s.entries[p]); lo++ {
			if !how.loose || r.IntN(2) == 0 {
				s.mergeEntries(t, p, lo, min(lo+1+r.IntN(3), len(s.entries[p])))
			}
		}
	}
	return f, s
}

// denseFleet returns a fleet whose metrics are read often enough for sums by minute.
func denseFleet(r *rand.Rand) *fleet {
	f := newFleet()
	for h := range 3 {
		host := events.HostID(fmt.Sprintf("host-%d", h))
		for hour := range 5 {
			for range 200 {
				at := start + events.Timestamp(time.Duration(hour)*time.Hour+time.Duration(r.IntN(2*60))*time.Second)
				id := gpuIdentity(h, r.IntN(2))
				value := events.Value{Number: events.NumberOf(int64(r.IntN(20)), int16(-r.IntN(2)))}
				if r.IntN(10) == 0 {
					value = events.Value{Absent: []events.Reason{events.Blank, events.Implausible}[r.IntN(2)], Raw: "?"}
				}
				if r.IntN(9) == 0 {
					id.Pod = "other"
				}
				f.addRow(host, id, at, events.Record{Metric: []string{util, power}[r.IntN(2)], Value: value})
			}
		}
	}
	return f
}

// coldQueries returns queries for a fleet that is half in the archive.
func coldQueries() []Query {
	return []Query{
		{},
		{Oldest: true, Hosts: []events.HostID{"host-1", "host-2"}},
		{GPUs: []events.GPUID{"GPU-00-0", "GPU-02-1"}, Metrics: []string{power}},
		{HasFrom: true, From: start + events.Timestamp(time.Hour+90*time.Second), HasTo: true, To: start + events.Timestamp(4*time.Hour-1)},
		{HasFrom: true, From: start + events.Timestamp(time.Hour), HasTo: true, To: start + events.Timestamp(31*time.Hour-1), Oldest: true},
	}
}

func TestHotAndColdAreOne(t *testing.T) {
	var rolled, scanned int64
	for seed, how := range []archiveLayout{{}, {}, {repeated: true}, {repeated: true}, {left: true, repeated: true, loose: true}, {left: true, loose: true}} {
		r := rand.New(rand.NewPCG(uint64(seed), 11))
		whole := randomFleet(r)
		if seed%2 == 1 {
			whole = denseFleet(r)
		}
		f, shelf := how.splitFleet(t, whole, r)
		s, h := f.viewState(t), New(f, nil)
		h.ReadArchive(shelf)
		for _, q := range coldQueries() {
			want := whole.expectedEntries(q, q.GPUs)
			for _, limit := range []int{70, MaxLimit} {
				q.Limit = limit
				if diff := gocmp.Diff(want, walkPages(t, h, s, q)); diff != "" {
					t.Fatalf("seed %d, limit %d, query %+v: (-want +got)\n%s", seed, limit, q, diff)
				}
			}
			for _, step := range []time.Duration{time.Second, time.Minute, 5 * time.Minute, time.Hour, 90 * time.Minute, 3 * time.Hour} {
				for _, aggregates := range [][]Aggregate{Aggregates(), {Min, Max, Last}, {Avg, Count}} {
					if r.IntN(4) > 0 {
						continue // only a sample of the combinations
					}
					q.Step, q.Aggregates, q.Limit = step, aggregates, []int{130, MaxLimit}[r.IntN(2)]
					if diff := gocmp.Diff(naiveSums(want, q), walkBuckets(t, h, s, q)); diff != "" {
						t.Fatalf("seed %d, query %+v: (-want +got)\n%s", seed, q, diff)
					}
				}
			}
			q.Step, q.Aggregates = 0, nil
		}
		rolled, scanned = rolled+shelf.rolled.Load(), scanned+shelf.scanned.Load()
	}
	if rolled == 0 || scanned == 0 {
		t.Errorf("the archive's sums were read %d times, its records %d times; want both", rolled, scanned)
	}
}

// TestARecordThatMovesIsNeitherMissedNorDoubled archives records and removes them from the series between the two
// reads of one query.
func TestARecordThatMovesIsNeitherMissedNorDoubled(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	whole := denseFleet(r)
	want := whole.expectedEntries(Query{Limit: MaxLimit}, nil)
	steps := Query{Limit: MaxLimit, Step: time.Hour, Aggregates: Aggregates()[:4]}
	for name, keep := range map[string]bool{"taken out": false, "still there": true} {
		f, shelf := newFleet(), newFakeArchive(t)
		for i, ev := range whole.appended {
			f.foldEvent(loggedEvent(ev, int64(i+1), f))
		}
		s, h := f.viewState(t), New(f, nil)
		h.ReadArchive(shelf)
		shelf.before = func(*fakeArchive) {
			shelf.before = nil
			for p := range f.facts.Partitions {
				var evs []events.Event
				for _, ev := range f.appended {
					if events.PartitionOf(ev.Host, f.facts.Partitions) == events.Partition(p) {
						evs = append(evs, ev)
					}
				}
				if len(evs) == 0 {
					continue
				}
				shelf.addEntry(t, events.Partition(p), evs)
				shelf.mergeEntries(t, events.Partition(p), 0, 1)
			}
			if !keep {
				for host := range f.series {
					clear(f.series[host])
				}
			}
		}
		one := Query{Limit: MaxLimit, Hosts: []events.HostID{"host-1"}} // one host, so that no read runs concurrently with the move
		if diff := gocmp.Diff(whole.expectedEntries(one, nil), walkPages(t, h, s, one)); diff != "" {
			t.Errorf("%s, meanwhile: (-want +got)\n%s", name, diff)
		}
		if diff := gocmp.Diff(want, walkPages(t, h, s, Query{Limit: MaxLimit})); diff != "" {
			t.Errorf("%s, after: (-want +got)\n%s", name, diff)
		}
		if diff := gocmp.Diff(naiveSums(want, steps), walkBuckets(t, h, s, steps)); diff != "" {
			t.Errorf("%s, by steps: (-want +got)\n%s", name, diff)
		}
	}
}

func TestObjectsThatAreMergedAwayAreLookedUpAgain(t *testing.T) {
	whole := denseFleet(rand.New(rand.NewPCG(6, 6)))
	f, shelf := newFleet(), newFakeArchive(t)
	for i, ev := range whole.appended {
		f.foldTo(loggedEvent(ev, int64(i+1), f), false)
	}
	for i, ev := range f.appended {
		if p := events.PartitionOf(ev.Host, f.facts.Partitions); i%50 == 0 && ev.Host == "host-1" {
			shelf.addEntry(t, p, []events.Event{ev})
		}
	}
	p := events.PartitionOf("host-1", f.facts.Partitions)
	s, h := f.viewState(t), New(f, nil)
	h.ReadArchive(shelf)
	q := Query{Hosts: []events.HostID{"host-1"}, Limit: MaxLimit}
	want := walkPages(t, h, s, q)
	if len(want) == 0 {
		t.Fatal("nothing was archived")
	}
	old := len(shelf.entries[p])
	shelf.missing = func(e archive.Entry) bool {
		if _, merged := e.Object(archive.Hours); merged {
			return false
		}
		if len(shelf.entries[p]) == old {
			shelf.mergeEntries(t, p, 0, old)
		}
		return true
	}
	if diff := gocmp.Diff(want, walkPages(t, h, s, q)); diff != "" {
		t.Errorf("merged meanwhile: (-want +got)\n%s", diff)
	}
	shelf.missing = func(archive.Entry) bool { return true }
	if _, err := h.Telemetry(t.Context(), s, q); !errors.Is(err, archive.ErrMissing) || !errors.Is(err, ErrArchive) {
		t.Errorf("an object that is gone for good: %v, want ErrMissing and ErrArchive", err)
	}
}
