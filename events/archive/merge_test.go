package archive

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events"
)

// recordKeys returns the set of the records of events, each record as a text without the event it belongs to.
func recordKeys(all []events.Event) map[string]bool {
	set := make(map[string]bool)
	for i := range all {
		for _, c := range all[i].Columns {
			for at, v := range c.All() {
				set[fmt.Sprintf("%q %x %q %q %d %v", all[i].Host, uint64(all[i].Identities[c.Identity].ID()), c.Metric, c.Source, at, v)] = true
			}
		}
	}
	return set
}

func sameSet(t *testing.T, got, want []events.Event) {
	t.Helper()
	a, b := slices.Sorted(maps.Keys(recordKeys(got))), slices.Sorted(maps.Keys(recordKeys(want)))
	if diff := gocmp.Diff(b, a); diff != "" {
		t.Fatalf("the set of records differs (-written +read):\n%s", diff)
	}
}

// splitEntries writes events as entries of adjacent ranges, cut at random.
func splitEntries(t testing.TB, s *Store, r *rand.Rand, all []events.Event) (entries []Entry) {
	t.Helper()
	part := rangeUpto(0)
	for len(all) > 0 {
		n := 1 + r.IntN(len(all))
		for n < len(all) && all[n].Revision == all[n-1].Revision {
			n++
		}
		part.Upto.Number = all[n-1].Revision.Number
		if n < len(all) {
			part.Upto.Number += r.Int64N(all[n].Revision.Number - all[n-1].Revision.Number)
		}
		entries = append(entries, mustWrite(t, s, part, all[:n]))
		part.After, all = part.Upto, all[n:]
	}
	return entries
}

func mustMerge(t testing.TB, s *Store, entries []Entry) Entry {
	t.Helper()
	e, err := s.Merge(t.Context(), entries)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestAnySplitAndMergeKeepsTheSet(t *testing.T) {
	s := openDir(t)
	for seed := range roundCount(12) {
		r := rand.New(rand.NewPCG(seed, 3))
		all := oddEvents(r, 60)
		for range 20 { // the same again, as from a file that is uploaded twice
			again := all[r.IntN(60)]
			again.Key, again.Revision.Number = fmt.Sprintf("k%09d", len(all)), all[len(all)-1].Revision.Number+int64(r.IntN(2))
			all = append(all, again)
		}
		entries := splitEntries(t, s, r, all)
		var got []events.Event
		for _, e := range entries {
			got = append(got, collectEvents(t, s.Read(t.Context(), e, events.Revision{}))...)
		}
		if diff := diffEvents(all, got); diff != "" {
			t.Fatalf("seed %d: events of %d entries differ (-written +read):\n%s", seed, len(entries), diff)
		}
		whole := mustMerge(t, s, entries)
		merged := collectEvents(t, s.Read(t.Context(), whole, events.Revision{}))
		sameSet(t, merged, all)
		records := 0
		for i := range merged {
			if err := merged[i].Check(); merged[i].Damage == nil && err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			records += merged[i].Records()
		}
		if n := len(recordKeys(all)); records != n || whole.Records != int64(n) || whole.Events != int64(len(all)) {
			t.Fatalf("seed %d: merged, %d events have %d records, their entry says %d and %d; want %d records of %d events",
				seed, len(merged), records, whole.Events, whole.Records, n, len(all))
		}
		for len(entries) > 1 { // in any order of merging
			i := r.IntN(len(entries) - 1)
			two := mustMerge(t, s, entries[i:i+2])
			entries = slices.Replace(entries, i, i+2, two)
		}
		if again := mustMerge(t, s, entries); !gocmp.Equal(again, whole) {
			t.Fatalf("seed %d: merged step by step, the entry differs (-at once +by steps):\n%s", seed, gocmp.Diff(whole, again))
		}
	}
}

func TestMergeRefusesGaps(t *testing.T) {
	s := openDir(t)
	all := collectEvents(t, fleetEvents(1, 30, 8))
	a := mustWrite(t, s, rangeUpto(10), all[:10])
	r := rangeUpto(30)
	r.After = all[10].Revision
	b := mustWrite(t, s, r, all[11:])
	other := b
	other.Partition++
	for name, entries := range map[string][]Entry{"none": nil, "a gap": {a, b}, "twice the same": {a, a}, "another partition": {a, other}} {
		if e, err := s.Merge(t.Context(), entries); err == nil {
			t.Errorf("merging %s: got %+v, want an error", name, e)
		}
	}
}

// naiveBuckets sums up the distinct numbers of events, by host, GPU, part, metric and step.
func naiveBuckets(all []events.Event, step events.Timestamp) map[string]Bucket {
	type reading struct {
		at events.Timestamp
		n  events.Number
	}
	byKey := make(map[string]map[reading]bool)
	for i := range all {
		for _, c := range all[i].Columns {
			entity := all[i].Identities[c.Identity].Entity(all[i].Host)
			for at, v := range c.All() {
				key := bucketKey(all[i].Host, entity, c.Metric, at-floorMod(at, step))
				if byKey[key] == nil {
					byKey[key] = make(map[reading]bool)
				}
				if v.Absent == events.Present {
					byKey[key][reading{at, v.Number}] = true
				}
			}
		}
	}
	out := make(map[string]Bucket)
	for key, set := range byKey {
		list := slices.SortedFunc(maps.Keys(set), func(a, b reading) int {
			return cmp.Or(cmp.Compare(a.at, b.at), (events.Value{Number: a.n}).Compare(events.Value{Number: b.n}))
		})
		var b Bucket
		for _, r := range list {
			if b.Count++; b.Count == 1 {
				b.Start, b.FirstAt, b.Min, b.Max = r.at-floorMod(r.at, step), r.at, r.n, r.n
			}
			if r.n.Compare(b.Min) < 0 {
				b.Min = r.n
			}
			if r.n.Compare(b.Max) > 0 {
				b.Max = r.n
			}
			b.Last, b.LastAt = r.n, r.at
		}
		if b.Count > 0 {
			out[key] = b
		}
	}
	return out
}

func bucketKey(host events.HostID, entity events.Entity, metric string, start events.Timestamp) string {
	return fmt.Sprintf("%q %q %q %q %d", host, entity.GPU, entity.Part, metric, start)
}

// rolledUp reads a rollup, without sums.
func rolledUp(t *testing.T, s *Store, e Entry, kind Kind, f Filter) map[string]Bucket {
	t.Helper()
	out := make(map[string]Bucket)
	for r, err := range s.Rollup(t.Context(), e, kind, f) {
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range r.Buckets {
			key := bucketKey(r.Host, r.Entity, r.Metric, b.Start)
			if _, twice := out[key]; twice {
				t.Fatalf("bucket %s came twice", key)
			}
			b.Sum = 0
			out[key] = b
		}
	}
	return out
}

func TestRollups(t *testing.T) {
	s := openDir(t)
	for seed := range roundCount(10) {
		r := rand.New(rand.NewPCG(seed, 4))
		all := oddEvents(r, 200)
		e := mustMerge(t, s, splitEntries(t, s, r, all))
		if diff := gocmp.Diff(naiveBuckets(all, 3600e9), rolledUp(t, s, e, Hours, Filter{})); diff != "" {
			t.Fatalf("seed %d: hours differ (-want +got):\n%s", seed, diff)
		}
	}
}

func TestMinutesOnlyWhereTheyAreFewer(t *testing.T) {
	s := openDir(t)
	slow := mustMerge(t, s, []Entry{mustWrite(t, s, rangeUpto(1000), collectEvents(t, fleetEvents(1, 100, 8)))})
	if o, found := slow.Object(Minutes); found {
		t.Errorf("of two readings a minute there is %+v, want none", o)
	}
	wantError(t, s.Rollup(t.Context(), slow, Minutes, Filter{}), ErrNoRollup)
	fast := collectEvents(t, fleetEvents(1, 100, 8))
	for i := range fast {
		for c := range fast[i].Columns {
			for k, at := range fast[i].Columns[c].Times {
				fast[i].Columns[c].Times[k] = fleetStart + (at-fleetStart)/30 // a reading each second
			}
		}
	}
	e := mustMerge(t, s, []Entry{mustWrite(t, s, rangeUpto(1000), fast)})
	if diff := gocmp.Diff(naiveBuckets(fast, events.Timestamp(time.Minute)), rolledUp(t, s, e, Minutes, Filter{})); diff != "" {
		t.Fatalf("minutes differ (-want +got):\n%s", diff)
	}
	f := Filter{Metrics: fleetMetrics[1:3], From: fleetStart + 60e9, To: fleetStart + 120e9}
	want := naiveBuckets(fast, events.Timestamp(time.Minute))
	maps.DeleteFunc(want, func(_ string, b Bucket) bool { return b.Start != f.From })
	if got := rolledUp(t, s, e, Minutes, f); len(got) != 16 {
		t.Errorf("two metrics of 8 GPUs in one minute: got %d buckets, want 16", len(got))
	} else {
		for key, b := range got {
			if b != want[key] {
				t.Errorf("bucket %s: got %+v, want %+v", key, b, want[key])
			}
		}
	}
}

func TestSums(t *testing.T) {
	s := openDir(t)
	all := collectEvents(t, fleetEvents(1, 240, 8))
	e := mustMerge(t, s, []Entry{mustWrite(t, s, rangeUpto(1000), all)})
	want := make(map[string]float64)
	for i := range all {
		for _, c := range all[i].Columns {
			for at, v := range c.All() {
				want[bucketKey(all[i].Host, all[i].Identities[c.Identity].Entity(all[i].Host), c.Metric, at-floorMod(at, 3600e9))] += v.Number.Float()
			}
		}
	}
	n := 0
	for r, err := range s.Rollup(t.Context(), e, Hours, Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range r.Buckets {
			n++
			if w := want[bucketKey(r.Host, r.Entity, r.Metric, b.Start)]; b.Sum != w {
				t.Errorf("sum of %s of %s: got %v, want %v", r.Metric, r.Entity, b.Sum, w)
			}
		}
	}
	if n != len(want) || n != 160 {
		t.Errorf("got %d hours, want %d", n, len(want))
	}
}
