package projections

import (
	"iter"
	"math"

	"telemetry-pipeline/events"
)

// Totals sums up a set of GPUs from their latest readings, each of which counts only where it is present.
// Nil means that no GPU had the metric.
type Totals struct {
	GPUs, Active, Stale, Missing int
	UtilizationAvg               *float64 // %, DCGM_FI_DEV_GPU_UTIL
	MemoryUsedMiB                *float64 // sum, DCGM_FI_DEV_FB_USED
	MemoryFreeMiB                *float64 // sum, DCGM_FI_DEV_FB_FREE
	PowerWatts                   *float64 // sum, DCGM_FI_DEV_POWER_USAGE
	TemperatureMax               *float64 // °C, DCGM_FI_DEV_GPU_TEMP
}

// Sum returns the totals of gpus at now, each GPU counted once (Distinct). hostSeen returns the newest record time of a
// host. Readings of parts are never summed: a device's value repeats in them.
func Sum(gpus []*GPU, hostSeen func(events.HostID) events.Timestamp, now events.Timestamp) Totals {
	var t Totals
	var sums Sums
	var host events.HostID
	var seen events.Timestamp // of host: mostly the GPUs of one follow each other
	first, hottest := true, math.Inf(-1)
	for g := range Distinct(gpus) {
		if g.Host != host || first {
			host, seen, first = g.Host, hostSeen(g.Host), false
		}
		switch StatusOf(g.LastSeen, seen, now) {
		case Active:
			t.Active++
		case Stale:
			t.Stale++
		case Missing:
			t.Missing++
		}
		sums.Add(g)
		if degrees, ok := g.Temperature(); ok {
			hottest = max(hottest, degrees)
		}
	}
	sums.SetTotals(&t)
	t.SetTemperatureMax(hottest)
	return t
}

// SetTemperatureMax sets the temperature of the hottest GPU; negative infinity stands for none.
func (t *Totals) SetTemperatureMax(degrees float64) {
	if t.TemperatureMax = nil; !math.IsInf(degrees, -1) {
		t.TemperatureMax = roundTotal(degrees)
	}
}

// Temperature returns the GPU's temperature in °C, if it has one.
func (g *GPU) Temperature() (degrees float64, ok bool) {
	n, ok := g.present("DCGM_FI_DEV_GPU_TEMP")
	return n.Float(), ok
}

// present returns a metric's latest reading, unless it is absent.
func (g *GPU) present(metric string) (n events.Number, ok bool) {
	l, ok := Find(g.Latest, metric)
	if !ok || l.Value.Absent != events.Present {
		return events.Number{}, false
	}
	return l.Value.Number, true
}

// Distinct yields gpus without repeats: a GPU that another host reports too (ConflictID) only if the GPU with the UUID as its
// id is not in the list, nor another of them before. These come last.
func Distinct(gpus []*GPU) iter.Seq[*GPU] {
	return func(yield func(*GPU) bool) {
		var shared []*GPU // that several hosts report
		for _, g := range gpus {
			if len(g.Conflict) > 0 {
				shared = append(shared, g)
			} else if !yield(g) {
				return
			}
		}
		counted := make(map[string]*GPU, len(shared)) // by UUID
		for _, g := range shared {
			if uuid := g.Identity.UUID; counted[uuid] == nil || string(g.ID) == uuid {
				counted[uuid] = g
			}
		}
		for _, g := range shared {
			if counted[g.Identity.UUID] == g && !yield(g) {
				return
			}
		}
	}
}

// Sums holds the number of GPUs in a set and the exact sums of their readings, in any order of additions. The zero value is
// of no GPUs.
type Sums struct {
	gpus                           int
	utilization, used, free, power decimalSum
}

// Clone returns sums that change on their own.
func (s Sums) Clone() Sums {
	return Sums{s.gpus, s.utilization.clone(), s.used.clone(), s.free.clone(), s.power.clone()}
}

// Add adds a GPU.
func (s *Sums) Add(g *GPU) {
	s.gpus++
	s.forEach(g, (*decimalSum).add)
}

// AddSums adds the GPUs of other sums.
func (s *Sums) AddSums(other Sums) {
	s.gpus += other.gpus
	s.utilization.addSum(other.utilization)
	s.used.addSum(other.used)
	s.free.addSum(other.free)
	s.power.addSum(other.power)
}

// Remove takes away a GPU that was added, with the readings that it had then.
func (s *Sums) Remove(g *GPU) {
	s.gpus--
	s.forEach(g, (*decimalSum).remove)
}

// forEach applies change to each sum whose metric the GPU has.
func (s *Sums) forEach(g *GPU, change func(*decimalSum, events.Number)) {
	for _, m := range [...]struct {
		metric string
		sum    *decimalSum
	}{{"DCGM_FI_DEV_GPU_UTIL", &s.utilization}, {"DCGM_FI_DEV_FB_USED", &s.used}, {"DCGM_FI_DEV_FB_FREE", &s.free}, {"DCGM_FI_DEV_POWER_USAGE", &s.power}} {
		if n, ok := g.present(m.metric); ok {
			change(m.sum, n)
		}
	}
}

// SetTotals sets the number of GPUs, the mean and the sums of totals.
func (s *Sums) SetTotals(t *Totals) {
	t.GPUs = s.gpus
	t.UtilizationAvg, t.MemoryUsedMiB, t.MemoryFreeMiB, t.PowerWatts = nil, s.used.total(), s.free.total(), s.power.total()
	if n := s.utilization.count; n > 0 {
		t.UtilizationAvg = roundTotal(s.utilization.float() / float64(n))
	}
}

// total returns the sum, nil if nothing was added.
func (d decimalSum) total() *float64 {
	if d.count == 0 {
		return nil
	}
	return roundTotal(d.float())
}

// roundTotal rounds to six decimals, finer than any source reports, so that sums read as the decimals they are sums of.
func roundTotal(v float64) *float64 {
	v = math.Round(v*1e6) / 1e6
	return &v
}
