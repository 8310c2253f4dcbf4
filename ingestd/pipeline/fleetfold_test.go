package pipeline

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

var (
	fleets    = flag.Int("fleets", 3, "how many fleets TestFleetFolds makes")
	fleetSeed = flag.Uint64("fleet-seed", 1, "the seed of the first fleet; the next ones follow")
)

// The files of four monitors of one fleet, folded in any order and any batches, make the same models, byte for byte; and each
// GPU has in them exactly its own readings, under every name that a monitor gave them.
func TestFleetFolds(t *testing.T) {
	for n := range *fleets {
		seed := *fleetSeed + uint64(n)
		t.Run(fmt.Sprint("fleet-seed ", seed), func(t *testing.T) {
			f := newFleet(seed)
			records := f.readFiles(t)
			models := foldInOrder(t, records)
			f.checkGPUs(t, models)
			f.checkHistory(t, models)
			for range 2 {
				wantSameBytes(t, models, foldShuffled(t, records, f.rng))
			}
		})
	}
}

// foldedHost is a host's models and windows.
type foldedHost struct {
	projections.Host
	windows map[projections.Window]projections.HostWindow
}

type foldedFleet map[events.HostID]*foldedHost

func (m foldedFleet) apply(t *testing.T, ev *events.Event) {
	t.Helper()
	h := m[ev.Host]
	if h == nil {
		h = &foldedHost{windows: map[projections.Window]projections.HostWindow{}}
		m[ev.Host] = h
	}
	effect := h.Apply(ev)
	if effect.Refused.Records > 0 {
		t.Fatalf("refused %+v", effect.Refused)
	}
	for _, part := range []map[projections.Window]projections.HostWindow{effect.Fresh, effect.Late} {
		for w, s := range part {
			whole := h.windows[w]
			whole.Add(s)
			h.windows[w] = whole
		}
	}
}

// foldInOrder folds records as they are, cut by the default rules.
func foldInOrder(t *testing.T, records []fleetRecord) foldedFleet {
	models := foldedFleet{}
	for _, ev := range cutRecords(records, events.CutRules{}) {
		models.apply(t, &ev)
	}
	return models
}

// foldShuffled folds records, some of them twice, in random batches in random order.
func foldShuffled(t *testing.T, records []fleetRecord, rng *rand.Rand) foldedFleet {
	records = append(slices.Clone(records), records[:rng.IntN(len(records))]...)
	rng.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
	var all []events.Event
	for len(records) > 0 {
		n := min(len(records), 1+rng.IntN(len(records)/4+200))
		if rng.IntN(2) == 0 { // a part in order
			slices.SortStableFunc(records[:n], func(a, b fleetRecord) int { return cmp.Compare(a.At, b.At) })
		}
		all = append(all, cutRecords(records[:n], events.CutRules{EventRecords: 1 + rng.IntN(300)})...)
		records = records[n:]
	}
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	models := foldedFleet{}
	for i := range all {
		models.apply(t, &all[i])
		if rng.IntN(8) == 0 {
			models.apply(t, &all[i])
		}
	}
	return models
}

// cutRecords cuts records into events, each of records that were appended together.
func cutRecords(records []fleetRecord, rules events.CutRules) (all []events.Event) {
	byAppend := map[events.Timestamp][]fleetRecord{}
	for _, r := range records {
		byAppend[r.appended] = append(byAppend[r.appended], r)
	}
	for _, appended := range slices.Sorted(maps.Keys(byAppend)) {
		cutter := events.NewCutter(rules, "upload-1", "")
		var cut []events.Event
		for _, r := range byAppend[appended] {
			cut = append(cut, cutter.Row(r.host, 0, []events.Record{r.Record})...)
		}
		for _, ev := range append(cut, cutter.Flush()...) {
			ev.AppendedAt = appended
			all = append(all, ev)
		}
	}
	return all
}

// wantSameBytes compares stored models.
func wantSameBytes(t *testing.T, want, got foldedFleet) {
	t.Helper()
	for host, w := range want {
		g := got[host]
		if g == nil {
			t.Fatalf("host %s is missing", host)
		}
		if !bytes.Equal(projections.AppendLive(nil, &w.Live), projections.AppendLive(nil, &g.Live)) {
			t.Errorf("the live models of %s differ (-in order +shuffled):\n%s", host, gocmp.Diff(w.Live, g.Live))
		}
		if !bytes.Equal(projections.AppendIdentity(nil, &w.Identity), projections.AppendIdentity(nil, &g.Identity)) {
			t.Errorf("the identities of %s differ (-in order +shuffled):\n%s", host, gocmp.Diff(w.Identity, g.Identity))
		}
		for at, one := range w.windows {
			other := g.windows[at]
			if !bytes.Equal(projections.AppendHostWindow(nil, &one), projections.AppendHostWindow(nil, &other)) {
				t.Errorf("window %s of %s differs", at.Start(), host)
			}
		}
		if len(w.windows) != len(g.windows) {
			t.Errorf("%s has %d windows, want %d", host, len(g.windows), len(w.windows))
		}
	}
}

// checkGPUs compares the view with the fleet at its end: each GPU once, at its place, and the sum of their power.
func (f *fleet) checkGPUs(t *testing.T, models foldedFleet) {
	t.Helper()
	fragments := map[events.GPUID][]projections.Fragment{}
	for _, h := range models {
		for id, fragment := range h.Fragments(h.Identity.Names(h.ID)) {
			fragments[id] = append(fragments[id], fragment)
		}
	}
	want := f.currentGPUs()
	var all []*projections.GPU
	for id, some := range fragments {
		merged := projections.MergeGPU(id, some)
		all = append(all, merged...)
		truth, exists := want[id]
		if len(merged) != 1 || !exists {
			t.Errorf("%s is %d GPUs, want one of %v", id, len(merged), slices.Sorted(maps.Keys(want)))
			continue
		}
		g := merged[0]
		if now := (place{string(g.Host), g.Identity.Index, g.Identity.PCI}); now != truth {
			t.Errorf("%s is at %v, want %v", id, now, truth)
		}
		if l, _ := projections.Find(g.Latest, "DCGM_FI_DEV_POWER_USAGE"); l.Value.Number.String() != f.power[id].value {
			t.Errorf("%s uses %s W at %s, want %+v", id, l.Value.Number, l.At, f.power[id])
		}
	}
	totals := projections.Sum(all, func(h events.HostID) events.Timestamp { at, _ := models[h].LastSeen(); return at }, 0)
	sum := 0.0
	for id := range want {
		watts, err := events.ParseNumber(f.power[id].value)
		if err != nil {
			t.Fatal(err)
		}
		sum += watts.Float()
	}
	if totals.GPUs != len(want) || math.Abs(*totals.PowerWatts-sum) > 1e-6 {
		t.Errorf("got %d GPUs with %v W, want %d with %v W", totals.GPUs, *totals.PowerWatts, len(want), sum)
	}
}

// checkHistory compares the entries of all windows with the readings of each GPU, and the names that may be a GPU with the names
// that its readings have.
func (f *fleet) checkHistory(t *testing.T, models foldedFleet) {
	t.Helper()
	got := map[truthRow]bool{}
	for _, h := range models {
		names := h.Identity.Names(h.ID)
		for _, w := range h.windows {
			for _, c := range w.Columns {
				for _, at := range c.Times {
					if gpu := names.Resolve(c.Entity.GPU, at); !slices.Contains(names.MayBe(gpu, &h.Identity), c.Entity.GPU) {
						t.Fatalf("%s is %s at %s, which is not among the GPU's names %v", c.Entity.GPU, gpu, at, names.MayBe(gpu, &h.Identity))
					}
				}
			}
			resolved := h.Resolve(names, &w)
			for _, e := range projections.Entries(h.ID, &resolved, projections.EntryFilter{}) {
				for _, r := range e.Readings {
					got[truthRow{e.Entity.GPU, e.At, r.Metric(), r.Value().Number.String()}] = true
				}
				if h.ID != bareHost && e.Identity.UUID != string(e.Entity.GPU) {
					t.Fatalf("an entry of %s at %s has the UUID %q", e.Entity.GPU, e.At, e.Identity.UUID)
				}
			}
		}
	}
	f.wantRows(t, got)
}

// wantRows compares readings by GPU with the fleet's.
func (f *fleet) wantRows(t *testing.T, got map[truthRow]bool) {
	t.Helper()
	var missing, foreign []truthRow
	for row := range f.rows {
		if !got[row] {
			missing = append(missing, row)
		}
	}
	for row := range got {
		if !f.rows[row] {
			foreign = append(foreign, row)
		}
	}
	for name, rows := range map[string][]truthRow{"missing in": missing, "not the GPU's but in": foreign} {
		slices.SortFunc(rows, func(a, b truthRow) int {
			return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.gpu, b.gpu), cmp.Compare(a.metric, b.metric))
		})
		if len(rows) > 0 {
			t.Errorf("%d of %d readings are %s history, the first %v", len(rows), len(f.rows), name, rows[:min(len(rows), 6)])
		}
	}
}
