package projections

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"telemetry-pipeline/events"
)

// TestMergeIsUnion cuts records into overlapping chunks in random order; the union is the series of all of
// them, byte for byte.
func TestMergeIsUnion(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 60))
		records := slices.DeleteFunc(randomRecords(rng, 1+rng.IntN(100)), func(r record) bool { return WindowOf(r.at) != WindowOf(0) })
		var chunks []HostWindow
		for _, ev := range batches(rng, "node-1", append(records, record{&events.Identity{Index: "9"}, "m", "m", 0, events.Value{}, 0})) {
			for _, s := range seriesOf(ev) {
				chunks = append(chunks, s)
			}
		}
		stored := storedSeries(chunks)
		want := seriesOf(event("node-1", append(records, record{&events.Identity{Index: "9"}, "m", "m", 0, events.Value{}, 0})))[WindowOf(0)]
		got := Merge(chunks...)
		if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("seed %d: union differs (-want +got):\n%s", seed, diff)
		}
		if string(AppendHostWindow(nil, &got)) != string(AppendHostWindow(nil, &want)) {
			t.Errorf("seed %d: equal series have different bytes", seed)
		}
		if again := storedSeries(chunks); !slices.Equal(stored, again) {
			t.Errorf("seed %d: merging changed the chunks", seed)
		}
	}
}

func storedSeries(chunks []HostWindow) (stored []string) {
	for _, c := range chunks {
		stored = append(stored, string(AppendHostWindow(nil, &c)))
	}
	return stored
}

func TestAddReturnsNewRecords(t *testing.T) {
	id := &events.Identity{Index: "0"}
	series := func(metric string, times ...events.Timestamp) HostWindow {
		var records []record
		for _, at := range times {
			records = append(records, record{id, metric, metric, at, events.Value{Number: events.Int(int64(at))}, 0})
		}
		return seriesOf(event("node-1", records))[0]
	}
	s := series("b", 1, 2, 3)
	for _, c := range []struct {
		name       string
		add        HostWindow
		added, all int
	}{
		{"the same again", series("b", 1, 2, 3), 0, 3},
		{"newer", series("b", 4, 5), 2, 5},
		{"older and between, partly known", series("b", 0, 3, 6), 2, 7},
		{"a column before", series("a", 1), 1, 8},
		{"a column behind", series("c", 1), 1, 9},
		{"nothing", HostWindow{}, 0, 9},
	} {
		if got := s.Add(c.add); got.Records() != c.added || s.Records() != c.all {
			t.Errorf("%s: got %d new of %d, want %d of %d", c.name, got.Records(), s.Records(), c.added, c.all)
		}
		if err := s.Check(0); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestTakeIsAdd takes random chunks, of which each is used once, and adds copies of them.
func TestTakeIsAdd(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 61))
		var took, added HostWindow
		for _, ev := range batches(rng, "node-1", randomRecords(rng, 1+rng.IntN(100))) {
			taken, kept := seriesOf(ev)[0], seriesOf(ev)[0]
			n, more := took.Take(taken), added.Add(kept)
			if n != more.Records() {
				t.Fatalf("seed %d: %d records taken, want %d", seed, n, more.Records())
			}
			if diff := gocmp.Diff(added, took, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("seed %d: taken differs (-want +got):\n%s", seed, diff)
			}
			if again := seriesOf(ev)[0]; string(AppendHostWindow(nil, &again)) != string(AppendHostWindow(nil, &kept)) {
				t.Fatalf("seed %d: the event has changed", seed)
			}
		}
	}
}

// A window that took records does not copy them.
func TestTakenColumnsAreKept(t *testing.T) {
	for _, one := range seriesOf(event(fleetHost(1, 0, 1))) {
		var s HostWindow
		s.Take(one)
		if &s.Columns[0] != &one.Columns[0] {
			t.Error("the columns were copied")
		}
	}
}

func TestWindows(t *testing.T) {
	hour := events.Timestamp(time.Hour)
	for _, c := range []struct {
		at   events.Timestamp
		want Window
	}{{0, 0}, {hour - 1, 0}, {hour, 1}, {-1, -1}, {-hour, -1}, {-hour - 1, -2}} {
		if got := WindowOf(c.at); got != c.want {
			t.Errorf("WindowOf(%d): got %d, want %d", c.at, got, c.want)
		}
	}
	for _, at := range []events.Timestamp{minTime + hour, -hour - 1, -1, 0, 1, hour, maxTime - hour} {
		if w := WindowOf(at); w.Start() > at || (w+1).Start() <= at {
			t.Errorf("window %d from %d to %d does not hold %d", w, w.Start(), (w + 1).Start(), at)
		}
	}
}

// TestPiecesAtTheEndsOfTime cuts a column that reaches over every instant there is.
func TestPiecesAtTheEndsOfTime(t *testing.T) {
	id := &events.Identity{Index: "0"}
	var records []record
	for _, at := range []events.Timestamp{minTime, minTime + 1, -1, 0, maxTime - 1, maxTime} {
		records = append(records, record{id, "m", "m", at, events.Value{}, 0})
	}
	total := 0
	for w, s := range seriesOf(event("node-1", records)) {
		total += s.Records()
		if err := s.Check(w); err != nil {
			t.Error(err)
		}
	}
	if total != len(records) {
		t.Errorf("got %d records, want %d", total, len(records))
	}
}

func TestAddWindow(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 70))
		set := make(map[Window]bool)
		var spans []WindowRange
		for range 30 {
			w := Window(rng.IntN(25) - 12)
			before := slices.Clone(spans)
			next, changed := addWindow(spans, w)
			if changed == set[w] {
				t.Fatalf("window %d: got changed %v, was there %v", w, changed, set[w])
			}
			if !slices.Equal(before, spans) {
				t.Fatal("the spans handed in were changed")
			}
			spans, set[w] = next, true
			if err := checkWindows(spans); err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, s := range spans {
				n += int(s.Last - s.First + 1)
			}
			if n != len(set) {
				t.Fatalf("spans %v hold %d windows, want %d", spans, n, len(set))
			}
		}
	}
}

// TestParseHostWindowOfIsTheFilteredWindow reads random subsets of columns, short and odd ones and long and
// plain ones.
func TestParseHostWindowOfIsTheFilteredWindow(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 80))
		ev := event("node-1", randomRecords(rng, 1+rng.IntN(150)))
		if seed%4 == 0 {
			ev = event(fleetHost(seed, 0, 1+rng.IntN(30)))
		}
		for _, s := range seriesOf(ev) {
			keep := func(e events.Entity, metric string) bool { return (len(e.Part)+len(metric)+int(seed))%3 > 0 }
			got, err := ParseHostWindowOf(AppendHostWindow(nil, &s), keep)
			if err != nil {
				t.Fatal(err)
			}
			want := s.With(slices.DeleteFunc(slices.Clone(s.Columns), func(c Column) bool { return !keep(c.Entity, c.Metric) }))
			if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("seed %d: columns differ (-want +got):\n%s", seed, diff)
			}
		}
	}
}
