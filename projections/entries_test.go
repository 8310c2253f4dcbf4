package projections

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"telemetry-pipeline/events"
)

// naiveEntries joins records the slow and obvious way.
func naiveEntries(host events.HostID, records []record, f EntryFilter) []Entry {
	byPlace := make(map[Place]*Entry)
	greatest := make(map[Place]events.IdentityID)
	for _, r := range records {
		p := Place{At: r.at, Host: host, Entity: r.identity.Entity(host)}
		if r.value.Absent == events.Implausible || !naivelyWanted(&f, r, p) {
			continue
		}
		if byPlace[p] == nil {
			byPlace[p] = &Entry{At: p.At, Host: p.Host, Entity: p.Entity}
		}
		e := byPlace[p]
		reading := readingOf(r)
		if !slices.ContainsFunc(e.Readings, reading.Equal) {
			e.Readings = append(e.Readings, reading)
		}
		if id := r.identity.ID(); id >= greatest[p] {
			greatest[p], e.Identity = id, r.identity
		}
	}
	var entries []Entry
	for _, e := range byPlace {
		slices.SortFunc(e.Readings, Reading.compare)
		entries = append(entries, *e)
	}
	slices.SortFunc(entries, func(a, b Entry) int { return a.Place().Compare(b.Place()) })
	if f.Newest {
		slices.Reverse(entries)
	}
	if f.Limit > 0 {
		entries = entries[:min(f.Limit, len(entries))]
	}
	return entries
}

// readingOf makes a reading with a column of its own.
func readingOf(r record) Reading {
	c := &Column{Metric: r.metric, Source: r.source}
	c.Add(r.at, r.value)
	return Reading{column: c}
}

func naivelyWanted(f *EntryFilter, r record, p Place) bool {
	switch {
	case f.From != 0 && r.at < f.From, f.To != 0 && r.at > f.To:
		return false
	case len(f.GPUs) > 0 && !slices.Contains(f.GPUs, p.Entity.GPU):
		return false
	case len(f.Metrics) > 0 && !slices.Contains(f.Metrics, r.metric):
		return false
	case f.Behind != nil && f.Newest:
		return p.Compare(*f.Behind) < 0
	case f.Behind != nil:
		return p.Compare(*f.Behind) > 0
	}
	return true
}

// TestEntriesAreTheJoin compares the join with the naive one, over random records and filters.
func TestEntriesAreTheJoin(t *testing.T) {
	for seed := range uint64(150) {
		rng := rand.New(rand.NewPCG(seed, 30))
		ev := event("node-1", randomRecords(rng, 1+rng.IntN(120)))
		for w, s := range seriesOf(ev) {
			inWindow := slices.DeleteFunc(recordsOf(ev), func(r record) bool { return WindowOf(r.at) != w })
			f := randomFilter(rng, inWindow)
			got, want := Entries("node-1", &s, f), naiveEntries("node-1", inWindow, f)
			if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("seed %d, filter %+v: entries differ (-want +got):\n%s", seed, f, diff)
			}
		}
	}
}

func randomFilter(rng *rand.Rand, records []record) (f EntryFilter) {
	some := func() record { return records[rng.IntN(len(records))] }
	f.Newest = rng.IntN(2) == 0
	if rng.IntN(2) == 0 {
		f.Limit = 1 + rng.IntN(5)
	}
	if rng.IntN(3) == 0 {
		f.From = some().at
	}
	if rng.IntN(3) == 0 {
		f.To = some().at
	}
	if rng.IntN(3) == 0 {
		f.Metrics = []string{some().metric, "no_such_metric"}
	}
	if rng.IntN(3) == 0 {
		f.GPUs = []events.GPUID{some().identity.Entity("node-1").GPU}
	}
	if rng.IntN(3) == 0 {
		r := some()
		f.Behind = &Place{At: r.at, Host: "node-1", Entity: r.identity.Entity("node-1")}
	}
	return f
}

// TestEntriesPageByPage goes through a window by its last place and finds every entry once.
func TestEntriesPageByPage(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 31))
	ev := event("node-1", randomRecords(rng, 200))
	for _, s := range seriesOf(ev) {
		for _, newest := range []bool{false, true} {
			want := Entries("node-1", &s, EntryFilter{Newest: newest})
			var got []Entry
			f := EntryFilter{Newest: newest, Limit: 3}
			for {
				page := Entries("node-1", &s, f)
				if len(page) == 0 {
					break
				}
				got = append(got, page...)
				last := page[len(page)-1].Place()
				f.Behind = &last
			}
			if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("newest %v: pages differ (-want +got):\n%s", newest, diff)
			}
		}
	}
}

func TestEntriesDoNotShareRoom(t *testing.T) {
	var records []record
	id := &events.Identity{Index: "0"}
	for i := range 300 {
		for m := range 7 {
			records = append(records, record{id, fmt.Sprint("m", m), "s", events.Timestamp(i), events.Value{Number: events.Int(int64(i))}, 0})
		}
	}
	ev := event("node-1", records)
	s := seriesOf(ev)[0]
	entries := Entries("node-1", &s, EntryFilter{})
	for i := range entries {
		entries[i].Readings = append(entries[i].Readings, readingOf(record{metric: "appended"}))
	}
	for i, e := range entries {
		if got := e.Readings[0].Value().Number; len(e.Readings) != 8 || got != events.Int(int64(i)) {
			t.Fatalf("entry %d: got %d readings, first %v; appending to another one changed it", i, len(e.Readings), got)
		}
	}
}
