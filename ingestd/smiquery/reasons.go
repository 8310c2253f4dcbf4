package smiquery

import (
	"strconv"
	"strings"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/metric"
)

// reasons holds the columns of single clock event reasons, for files without the mask of all. nvidia-smi can print
// clocks_event_reasons.hw_slowdown without clocks_event_reasons.active; then the mask is folded from the printed
// reasons.
type reasons struct {
	mask    metric.Metric
	columns []int
	bits    []int64
	source  string
}

const reasonFamily = "clocks_event_reasons."

// findReasons returns the columns of reasons, or none if the mask has its own column.
func findReasons(columns []column) reasons {
	var r reasons
	r.mask, _, _ = metric.Lookup(reasonFamily + "active")
	for i, c := range columns {
		if c.metric.Name == r.mask.Name {
			return reasons{}
		}
		name, ok := strings.CutPrefix(c.metric.Name, reasonFamily)
		if bit := reasonBit(name); ok && bit != 0 {
			r.columns, r.bits = append(r.columns, i), append(r.bits, bit)
			r.source, _, _ = strings.Cut(c.Name, ".")
		}
	}
	return r
}

// reasonBit returns a reason's bit in the mask (NVML's clocks event reasons).
func reasonBit(name string) int64 {
	switch name {
	case "gpu_idle":
		return 0x1
	case "applications_clocks_setting":
		return 0x2
	case "sw_power_cap":
		return 0x4
	case "hw_slowdown":
		return 0x8
	case "sync_boost":
		return 0x10
	case "sw_thermal_slowdown":
		return 0x20
	case "hw_thermal_slowdown":
		return 0x40
	case "hw_power_brake_slowdown":
		return 0x80
	}
	return 0
}

// foldMask returns the mask of a row; ok is false if none of its reasons could be read.
func (r *reasons) foldMask(cells []cell) (mask int64, ok bool) {
	for i, at := range r.columns {
		switch c := &cells[at]; {
		case c.kind != measured:
			return 0, false
		case c.value.Absent != events.Present:
		default:
			ok = true
			if c.value.Number != (events.Number{}) {
				mask |= r.bits[i]
			}
		}
	}
	return mask, ok
}

// maskRecord returns the record of a row's mask.
func (r *reasons) maskRecord(mask int64) events.Record {
	return events.Record{
		Metric: r.mask.Name, Source: r.source, Value: events.Value{Number: events.Int(mask)},
		Text: strconv.AppendInt([]byte("0x"), mask, 16),
	}
}
