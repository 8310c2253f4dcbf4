package live

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live/livetest"
)

// TestTotalsEqualSums follows a fleet through random changes: GPUs that move, that several hosts report at once or that fall
// behind their host, hosts that leave or are removed, readings ahead of their time, and views that are loaded again. The kept
// totals of each State equal the sums over its GPUs and hosts at any time.
func TestTotalsEqualSums(t *testing.T) {
	covered := map[string]int{}
	for seed := range uint64(10) {
		w := newTotalsWorld(seed)
		for step := range 120 {
			w.step()
			if diff := w.compareTotals(covered); diff != "" {
				t.Fatalf("seed %d, step %d: kept totals differ from sums (-sum +kept):\n%s", seed, step, diff)
			}
		}
	}
	for _, name := range []string{"shared", "uncounted", "missing", "stale", "active", "hidden", "stale host", "temperature", "power"} {
		if covered[name] == 0 {
			t.Errorf("no State had a case of %q", name)
		}
	}
}

// totalsWorld is a view that follows random reports of a fleet.
type totalsWorld struct {
	rand   *rand.Rand
	fleet  *livetest.Fleet
	stored map[events.HostID]projections.Stored
	view   *view
	clock  events.Timestamp
}

func newTotalsWorld(seed uint64) *totalsWorld {
	facts := livetest.Facts()
	return &totalsWorld{rand: rand.New(rand.NewPCG(seed, 51)), fleet: livetest.NewFleet(facts), stored: map[events.HostID]projections.Stored{},
		view: newView(facts, "g", access.Everything()), clock: events.TimestampOf(time.Date(2025, 7, 18, 20, 0, 0, 0, time.UTC))}
}

func (w *totalsWorld) step() {
	w.clock += events.Timestamp(w.rand.Int64N(int64(4 * time.Minute)))
	if w.rand.IntN(12) == 0 { // long enough for a GPU to have moved
		w.clock += events.Timestamp(w.rand.Int64N(int64(90 * time.Minute)))
	}
	hosts := slices.Sorted(maps.Keys(w.stored))
	var changed []projections.Stored
	switch n := w.rand.IntN(30); {
	case n == 0 && len(hosts) > 0:
		changed = append(changed, w.fleet.Remove(hosts[w.rand.IntN(len(hosts))]))
	case n == 1 && len(hosts) > 0: // the host left
		s := w.stored[hosts[w.rand.IntN(len(hosts))]]
		s.Live = &projections.Live{Appended: w.clock}
		changed = append(changed, s)
	case n == 2:
		w.reload()
		return
	default:
		changed = append(changed, w.report())
	}
	for _, s := range changed {
		if w.stored[s.Host] = s; s.Removed {
			delete(w.stored, s.Host)
		}
	}
	at := w.view.state.at
	at.Number++
	w.view.applyBatch(projections.Batch{At: at, Hosts: changed}, time.Now())
}

// reload replaces the view by one that is loaded again.
func (w *totalsWorld) reload() {
	at := w.view.state.at
	at.Number += 3
	next := newView(livetest.Facts(), "g", access.Everything())
	next.applyBatch(projections.Batch{At: at, Hosts: slices.Collect(maps.Values(w.stored))}, time.Now())
	next.continueFrom(w.view.state, time.Now())
	w.view = next
}

// report returns a host with new readings of some GPUs.
func (w *totalsWorld) report() projections.Stored {
	host := events.HostID(fmt.Sprintf("h%d", w.rand.IntN(5)))
	var all []livetest.Reading
	for range 1 + w.rand.IntN(6) {
		n := w.rand.IntN(9)
		r := livetest.Reading{Host: host, UUID: fmt.Sprintf("GPU-%d", n), Index: n, At: w.clock - events.Timestamp(w.rand.Int64N(int64(time.Minute))),
			Appended: w.clock, Value: w.rand.Int64N(4000) - 500, Exponent: int16(w.rand.IntN(6) - 4),
			Model: [...]string{"", "H100", "A100"}[w.rand.IntN(3)], Driver: [...]string{"", "535", "550"}[w.rand.IntN(3)],
			Metric: [...]string{"DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_FB_FREE", "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_GPU_TEMP"}[w.rand.IntN(5)]}
		switch w.rand.IntN(12) {
		case 0:
			r.UUID = "" // by index alone
		case 1:
			r.Absent = events.NotSupported
		case 2:
			r.Part = "mig:1"
		case 3:
			r.At = w.clock + events.Timestamp(w.rand.Int64N(int64(time.Hour))) // ahead of its time
		case 4:
			r.At = w.clock - events.Timestamp(w.rand.Int64N(int64(time.Hour)))
		}
		all = append(all, r)
	}
	return w.fleet.Report(all...)
}

// summary is everything that a State keeps about its GPUs and hosts.
type summary struct {
	Totals                   projections.Totals
	Hosts, HostActive, Stale int
	GPUs                     int
	Models, Drivers          []NameCount
}

// compareTotals returns the difference between sums and kept totals, and counts the cases that occurred.
func (w *totalsWorld) compareTotals(covered map[string]int) string {
	s := w.view.state
	late := w.clock + events.Timestamp(w.rand.Int64N(int64(time.Hour)))
	for _, now := range []events.Timestamp{w.clock, late, w.clock - events.Timestamp(10*time.Minute), math.MinInt64, math.MaxInt64} {
		want := sumAll(s, now)
		got := summary{Totals: s.Totals(now), Hosts: s.CountHosts(), GPUs: s.CountGPUs(), Models: s.Models(), Drivers: s.Drivers()}
		got.HostActive, got.Stale = s.HostStatuses(now)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			return diff
		}
		for name, occurred := range map[string]bool{
			"shared": s.totals.shared.length > 0, "uncounted": got.Totals.GPUs < got.GPUs, "missing": got.Totals.Missing > 0, "hidden": len(s.AllHosts()) > got.Hosts,
			"stale": got.Totals.Stale > 0, "active": got.Totals.Active > 0, "stale host": got.Stale > 0,
			"temperature": got.Totals.TemperatureMax != nil, "power": got.Totals.PowerWatts != nil,
		} {
			if occurred {
				covered[name]++
			}
		}
	}
	return ""
}

// sumAll sums up a State's GPUs and hosts one by one.
func sumAll(s *State, now events.Timestamp) summary {
	out := summary{Hosts: len(s.Hosts()), GPUs: len(s.GPUs())}
	seen := map[events.HostID]events.Timestamp{}
	for _, h := range s.Hosts() {
		seen[h.ID] = h.LastSeen
		switch projections.StatusOf(h.LastSeen, h.LastSeen, now) {
		case projections.Active:
			out.HostActive++
		case projections.Stale:
			out.Stale++
		}
	}
	out.Totals = projections.Sum(s.GPUs(), func(id events.HostID) events.Timestamp { return seen[id] }, now)
	out.Models = countNames(s, func(id *events.Identity) string { return id.Model })
	out.Drivers = countNames(s, func(id *events.Identity) string { return id.Driver })
	return out
}

func countNames(s *State, of func(*events.Identity) string) (out []NameCount) {
	counts := map[string]NameCount{}
	add := func(g *projections.GPU, n NameCount) {
		if name := of(&g.Identity); name != "" {
			counts[name] = counts[name].plus(n)
		}
	}
	for _, g := range s.GPUs() {
		add(g, NameCount{All: 1})
	}
	for g := range projections.Distinct(s.GPUs()) {
		add(g, NameCount{GPUs: 1})
	}
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		n := counts[name]
		n.Name = name
		out = append(out, n)
	}
	return out
}
