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
	var util, used, free, power, temperature gpuSum
	var host events.HostID
	var seen events.Timestamp // of host: mostly the GPUs of one follow each other
	for g := range Distinct(gpus) {
		if t.GPUs++; g.Host != host || t.GPUs == 1 {
			host, seen = g.Host, hostSeen(g.Host)
		}
		switch StatusOf(g.LastSeen, seen, now) {
		case Active:
			t.Active++
		case Stale:
			t.Stale++
		case Missing:
			t.Missing++
		}
		util.addReading(g, "DCGM_FI_DEV_GPU_UTIL")
		used.addReading(g, "DCGM_FI_DEV_FB_USED")
		free.addReading(g, "DCGM_FI_DEV_FB_FREE")
		power.addReading(g, "DCGM_FI_DEV_POWER_USAGE")
		temperature.addReading(g, "DCGM_FI_DEV_GPU_TEMP")
	}
	t.UtilizationAvg = util.averageValue()
	t.MemoryUsedMiB = used.totalValue()
	t.MemoryFreeMiB = free.totalValue()
	t.PowerWatts = power.totalValue()
	t.TemperatureMax = temperature.maxValue()
	return t
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

// gpuSum sums up readings. The sum carries its rounding error along (Neumaier), so that it is the sum of the
// decimals in any order.
type gpuSum struct {
	count    int
	sum, err float64
	max      float64
}

func (t *gpuSum) addReading(g *GPU, metric string) {
	l, ok := Find(g.Latest, metric)
	if !ok || l.Value.Absent != events.Present {
		return
	}
	v := l.Value.Number.Float()
	if t.count == 0 || v > t.max {
		t.max = v
	}
	t.count++
	sum := t.sum + v
	if math.Abs(t.sum) >= math.Abs(v) {
		t.err += (t.sum - sum) + v
	} else {
		t.err += (v - sum) + t.sum
	}
	t.sum = sum
}

func (t *gpuSum) totalValue() *float64   { return t.roundedOrNil(t.sum + t.err) }
func (t *gpuSum) averageValue() *float64 { return t.roundedOrNil((t.sum + t.err) / float64(t.count)) }
func (t *gpuSum) maxValue() *float64     { return t.roundedOrNil(t.max) }

// roundedOrNil returns nil when nothing was counted. Sums are rounded to six decimals, finer than any source reports,
// so that they read as the decimals they are sums of.
func (t *gpuSum) roundedOrNil(v float64) *float64 {
	if t.count == 0 {
		return nil
	}
	v = math.Round(v*1e6) / 1e6
	return &v
}
