package archive

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"telemetry-pipeline/events"
)

// scanEvents returns the results of a scan as events of one column each, and checks order and form.
func scanEvents(t *testing.T, s *Store, e Entry, f Filter) (all []events.Event) {
	t.Helper()
	for one, err := range s.Scan(t.Context(), e, f) {
		if err != nil {
			t.Fatal(err)
		}
		if err := one.Check(); err != nil {
			t.Fatalf("%s of %+v: %v", one.Metric, one.Identity, err)
		}
		all = append(all, events.Event{
			Host: one.Host, Identities: []events.Identity{one.Identity}, Columns: []events.Column{{Metric: one.Metric, Source: one.Source, Samples: one.Samples}},
		})
	}
	return all
}

// filterEvents returns the records of events that match, in the form of scanEvents.
func filterEvents(all []events.Event, f Filter) (out []events.Event) {
	for i := range all {
		for _, c := range all[i].Columns {
			id := all[i].Identities[c.Identity]
			if len(f.Hosts) > 0 && !slices.Contains(f.Hosts, all[i].Host) || len(f.Metrics) > 0 && !slices.Contains(f.Metrics, c.Metric) ||
				len(f.GPUs) > 0 && !slices.Contains(f.GPUs, id.Entity(all[i].Host).GPU) {
				continue
			}
			var some events.Samples
			for at, v := range c.All() {
				if (f.From == 0 || at >= f.From) && (f.To == 0 || at < f.To) {
					some.Add(at, v)
				}
			}
			out = append(out, events.Event{Host: all[i].Host, Identities: []events.Identity{id}, Columns: []events.Column{{Metric: c.Metric, Source: c.Source, Samples: some}}})
		}
	}
	return out
}

func TestScanFindsWhatMatches(t *testing.T) {
	s := openDir(t)
	for seed := range roundCount(10) {
		r := rand.New(rand.NewPCG(seed, 5))
		all := oddEvents(r, 150)
		written := mustWrite(t, s, rangeUpto(1<<20), all)
		for _, e := range []Entry{written, mustMerge(t, s, []Entry{written})} {
			for range 10 {
				f := oddFilter(r)
				sameSet(t, scanEvents(t, s, e, f), filterEvents(all, f))
			}
		}
	}
}

func oddFilter(r *rand.Rand) (f Filter) {
	if r.IntN(2) == 0 {
		f.Hosts = []events.HostID{pickOne(r, []events.HostID{"h1", "host \xff", "nobody"}), "h2"}
	}
	if r.IntN(2) == 0 {
		f.GPUs = []events.GPUID{"h1:0", "GPU-5fd4f087-86f3-7a43-b711-4771313afc50", "h\uFFFD:1"}
	}
	if r.IntN(2) == 0 {
		f.Metrics = []string{"mé"}
	}
	if r.IntN(2) == 0 {
		f.From = fleetStart + 10e9
	}
	if r.IntN(2) == 0 {
		f.To = fleetStart + 30e9
	}
	return f
}

func TestScanOfManyPages(t *testing.T) {
	s := openDir(t)
	all := collectEvents(t, fleetEvents(3, 2880, 500))
	e := mustWrite(t, s, rangeUpto(1<<20), all)
	for name, f := range map[string]Filter{
		"a host":            {Hosts: []events.HostID{events.HostID(fleetHost(1))}, From: fleetStart + 3600e9, To: fleetStart + 7200e9},
		"a GPU":             {GPUs: []events.GPUID{events.GPUID(all[0].Identities[3].UUID)}},
		"a metric":          {Metrics: fleetMetrics[7:8], To: fleetStart + 3600e9},
		"a metric of a GPU": {Metrics: fleetMetrics[7:8], GPUs: []events.GPUID{events.GPUID(all[0].Identities[3].UUID)}},
		"nothing":           {Metrics: []string{"AAA", "ZZZ"}},
		"another time":      {From: fleetStart + 100*86400e9},
		"an hour":           {From: fleetStart + 3600e9, To: fleetStart + 7200e9},
	} {
		t.Run(name, func(t *testing.T) {
			for _, whole := range []int64{0, wholeBytes} {
				s.wholeBytes = whole
				sameSet(t, scanEvents(t, s, e, f), filterEvents(all, f))
			}
		})
	}
}

func TestScanEnds(t *testing.T) {
	s := openDir(t)
	e := mustWrite(t, s, rangeUpto(1000), collectEvents(t, fleetEvents(1, 20, 8)))
	for range s.Scan(t.Context(), e, Filter{}) {
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantError(t, s.Scan(ctx, e, Filter{}), context.Canceled)
	o, _ := e.Object(Records)
	if err := s.Remove(t.Context(), o.Name); err != nil {
		t.Fatal(err)
	}
	for _, whole := range []int64{0, wholeBytes} {
		s.wholeBytes = whole
		wantError(t, s.Scan(t.Context(), e, Filter{}), ErrMissing)
	}
}
