package projections

import (
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

// Sum gives the totals of gpus at now. hostSeen tells when a host was last seen, by record time. Readings
// of parts are never summed: a device's value repeats in them.
func Sum(gpus []*GPU, hostSeen func(events.HostID) events.Timestamp, now events.Timestamp) Totals {
	t := Totals{GPUs: len(gpus)}
	var util, used, free, power, temperature tally
	for _, g := range gpus {
		switch StatusOf(g.LastSeen, hostSeen(g.Host), now) {
		case Active:
			t.Active++
		case Stale:
			t.Stale++
		case Missing:
			t.Missing++
		}
		util.add(g, "DCGM_FI_DEV_GPU_UTIL")
		used.add(g, "DCGM_FI_DEV_FB_USED")
		free.add(g, "DCGM_FI_DEV_FB_FREE")
		power.add(g, "DCGM_FI_DEV_POWER_USAGE")
		temperature.add(g, "DCGM_FI_DEV_GPU_TEMP")
	}
	t.UtilizationAvg = util.average()
	t.MemoryUsedMiB = used.total()
	t.MemoryFreeMiB = free.total()
	t.PowerWatts = power.total()
	t.TemperatureMax = temperature.greatest()
	return t
}

// tally sums up readings. The sum carries its rounding error along (Neumaier), so that it is that of the
// decimals, in whatever order they come.
type tally struct {
	count    int
	sum, err float64
	max      float64
}

func (t *tally) add(g *GPU, metric string) {
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

func (t *tally) total() *float64    { return t.present(t.sum + t.err) }
func (t *tally) average() *float64  { return t.present((t.sum + t.err) / float64(t.count)) }
func (t *tally) greatest() *float64 { return t.present(t.max) }

// present is nil when nothing was counted. Sums are rounded to six decimals, finer than any source reports,
// so that they read as the decimals they are sums of.
func (t *tally) present(v float64) *float64 {
	if t.count == 0 {
		return nil
	}
	v = math.Round(v*1e6) / 1e6
	return &v
}
