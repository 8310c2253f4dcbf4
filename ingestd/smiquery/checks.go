package smiquery

import (
	"fmt"
	"math"
	"slices"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/rows"
)

// checks holds the columns whose readings must fit together within a row. Contradictions are only warned about,
// because each reading is the source's own.
type checks struct {
	total, used, free, reserved int // memory; -1: there is no such column
	clock, maxClock             int
	power, limit                int
}

func findChecks(columns []column) checks {
	at := func(name string) int {
		return slices.IndexFunc(columns, func(c column) bool { return c.role == reading && c.metric.Name == "DCGM_FI_DEV_"+name })
	}
	return checks{
		total: at("FB_TOTAL"), used: at("FB_USED"), free: at("FB_FREE"), reserved: at("FB_RESERVED"),
		clock: at("SM_CLOCK"), maxClock: at("MAX_SM_CLOCK"), power: at("POWER_USAGE"), limit: at("ENFORCED_POWER_LIMIT"),
	}
}

// tolerance is the largest error from rounding three parts to whole MiB.
const tolerance = 2

// addWarnings adds a warning for each contradiction.
func (k *checks) addWarnings(h *header, cells []cell, row *rows.Row, out *dialect.Parsed) {
	get := func(at int) float64 {
		if at < 0 || cells[at].kind != measured || cells[at].value.Absent != events.Present {
			return math.NaN() // every comparison with it is false
		}
		return cells[at].value.Number.Float()
	}
	warn := func(at int, format string, args ...any) {
		out.Warn(row.Line, h.columns[at].Name, row.Cells[at], fmt.Sprintf(format, args...))
	}
	total, used, free, reserved := get(k.total), get(k.used), get(k.free), get(k.reserved)
	switch {
	case used+free > total+tolerance:
		warn(k.used, "used and free memory, %g MiB, are more than the total of %g MiB", used+free, total)
	case math.Abs(used+free+reserved-total) > tolerance:
		warn(k.used, "used, free and reserved memory, %g MiB, are not the total of %g MiB", used+free+reserved, total)
	}
	if clock, most := get(k.clock), get(k.maxClock); clock > most*1.05 {
		warn(k.clock, "the clock is over its maximum of %g MHz", most)
	}
	if power, limit := get(k.power), get(k.limit); power > limit*1.5 {
		warn(k.power, "the power is far over its limit of %g W", limit)
	}
}
