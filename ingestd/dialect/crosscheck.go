package dialect

import (
	"fmt"

	"telemetry-pipeline/events"
)

// Metrics that bound each other.
const (
	usedMemory   = "DCGM_FI_DEV_FB_USED"
	freeMemory   = "DCGM_FI_DEV_FB_FREE"
	totalMemory  = "DCGM_FI_DEV_FB_TOTAL"
	clockRate    = "DCGM_FI_DEV_SM_CLOCK"
	maxClockRate = "DCGM_FI_DEV_MAX_SM_CLOCK"
	power        = "DCGM_FI_DEV_POWER_USAGE"
	powerLimit   = "DCGM_FI_DEV_ENFORCED_POWER_LIMIT"
)

// Bounds reports whether a metric bounds others of its GPU and time, so that CrossCheck has something to compare.
func Bounds(name string) bool {
	return name == totalMemory || name == maxClockRate || name == powerLimit
}

// crossCheck holds the readings of one row that CrossCheck compares; nil for a missing one.
type crossCheck struct {
	used, free, total, clock, maxClock, power, limit *events.Record
}

// CrossCheck warns of readings that are plausible one by one but contradict each other. They must be of one GPU and
// time, and are p.Records[from:]. They are kept, because the row does not show which of them is wrong.
func (p *Parsed) CrossCheck(line, from int) {
	var t crossCheck
	for i := from; i < len(p.Records); i++ {
		t.addRecord(&p.Records[i])
	}
	const mebibytes = 2 // possible rounding error
	if t.used != nil && t.free != nil && exceedsBound(floatOf(t.used)+floatOf(t.free)-mebibytes, t.total, 1) {
		p.warnImplausible(line, t.used, fmt.Sprintf("with %s MiB free that is more than the %s MiB that there are", t.free.Value.Number, t.total.Value.Number))
	}
	if t.clock != nil && exceedsBound(floatOf(t.clock), t.maxClock, 1.05) {
		p.warnImplausible(line, t.clock, fmt.Sprintf("the clock's maximum is %s MHz", t.maxClock.Value.Number))
	}
	if t.power != nil && exceedsBound(floatOf(t.power), t.limit, 1.5) {
		p.warnImplausible(line, t.power, fmt.Sprintf("the limit that is enforced is %s W", t.limit.Value.Number))
	}
}

func (t *crossCheck) addRecord(r *events.Record) {
	if r.Value.Absent != events.Present || r.Identity.Part != "" {
		return
	}
	switch r.Metric {
	case usedMemory:
		t.used = r
	case freeMemory:
		t.free = r
	case totalMemory:
		t.total = r
	case clockRate:
		t.clock = r
	case maxClockRate:
		t.maxClock = r
	case power:
		t.power = r
	case powerLimit:
		t.limit = r
	}
}

func floatOf(r *events.Record) float64 { return r.Value.Number.Float() }

func exceedsBound(v float64, bound *events.Record, times float64) bool {
	return bound != nil && v > times*floatOf(bound)
}

func (p *Parsed) warnImplausible(line int, r *events.Record, why string) {
	p.Warn(line, r.Source, r.Text, "implausible_together: "+why+"; the readings are kept")
}
