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

// Bounds tells that a metric bounds others of its GPU and time, so that CrossCheck has something to compare.
func Bounds(name string) bool {
	return name == totalMemory || name == maxClockRate || name == powerLimit
}

// crossCheck are the readings of one row that CrossCheck compares; nil where there is none.
type crossCheck struct {
	used, free, total, clock, maxClock, power, limit *events.Record
}

// CrossCheck warns of readings that are believable one by one but not together: those of one GPU and time,
// which are the Records from the given one on. They are kept, for which of them is wrong cannot be known.
func (p *Parsed) CrossCheck(line, from int) {
	var t crossCheck
	for i := from; i < len(p.Records); i++ {
		t.addRecord(&p.Records[i])
	}
	const mebibytes = 2 // by which rounding can be off
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
