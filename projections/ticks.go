package projections

import "telemetry-pipeline/events"

// ticks writes a model's times as small numbers: how many units of time they are from a base. The unit is
// the greatest power of ten, up to a second, that divides all of them. Differences wrap around, so that any
// two times have one.
type ticks struct {
	base events.Timestamp
	unit uint64
}

// maxUnit is the power of ten of a second.
const maxUnit = 9

// ticksFrom returns ticks with the greatest unit; fitUnit reduces it.
func ticksFrom(base events.Timestamp) ticks { return ticks{base: base, unit: 1_000_000_000} }

// fitUnit reduces the unit until it divides the distance between two times.
func (t *ticks) fitUnit(earlier, later events.Timestamp) {
	for span := uint64(later) - uint64(earlier); span%t.unit != 0; {
		t.unit /= 10
	}
}

// ticksBetween returns the distance from an earlier to a later time, in units.
func (t *ticks) ticksBetween(earlier, later events.Timestamp) uint64 {
	return (uint64(later) - uint64(earlier)) / t.unit
}

func (t *ticks) appendTicks(dst []byte) []byte {
	dst = appendVarint(dst, int64(t.base))
	digits := byte(0)
	for u := t.unit; u > 1; u /= 10 {
		digits++
	}
	return append(dst, digits)
}

func (r *reader) readTicks() ticks {
	t := ticks{base: events.Timestamp(r.readVarint()), unit: 1}
	if digits := r.readIndex(maxUnit + 1); r.err == nil {
		for range digits {
			t.unit *= 10
		}
	}
	return t
}

// timeBefore and timeAfter return the time that is n units from at.
func (t *ticks) timeBefore(at events.Timestamp, n uint64) events.Timestamp {
	return events.Timestamp(uint64(at) - n*t.unit)
}

func (t *ticks) timeAfter(at events.Timestamp, n uint64) events.Timestamp {
	return events.Timestamp(uint64(at) + n*t.unit)
}
