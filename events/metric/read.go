package metric

import (
	"bytes"
	"errors"

	"telemetry-pipeline/events"
)

var errNotNumber = errors.New("not a number; write digits such as 41 or 66.781, and leave the cell empty when there is no reading")

// Read parses the text of one reading. It returns a number in the canonical unit, or the reason for its absence (an
// empty cell, a token such as [N/A], one of DCGM's sentinel numbers, a number outside the metric's range). For some
// metrics it accepts words as readings: Enabled, P0, 0x1F. For any other text it returns an error with advice.
func (m *Metric) Read(c Conversion, text []byte) (events.Value, error) {
	text = bytes.TrimSpace(text)
	if len(text) > longest {
		return events.Value{}, errNotNumber
	}
	if !looksNumeric(text) {
		if reason := tokenReason(text); reason != events.Present {
			return absentValue(reason, text), nil
		}
		return m.readWord(text)
	}
	n, err := events.ParseNumber(text)
	if err != nil {
		return m.readWord(text)
	}
	if reason := m.sentinelReason(c, n); reason != events.Present {
		return absentValue(reason, text), nil
	}
	if c.guess {
		var reason events.Reason
		if c, reason = ratioOrPercent(c, n, text); reason != events.Present {
			return absentValue(reason, text), nil
		}
	}
	n = c.Apply(n)
	if !m.inRange(n) {
		return absentValue(events.Implausible, text), nil
	}
	return events.Value{Number: n}, nil
}

// readWord parses a text that is not a number but may be a word for one.
func (m *Metric) readWord(text []byte) (events.Value, error) {
	n, ok := m.words.parseWord(text)
	switch {
	case !ok:
		return events.Value{}, errNotNumber
	case !m.inRange(n):
		return absentValue(events.Implausible, text), nil
	}
	return events.Value{Number: n}, nil
}

// longest bounds the text of an absent reading, in bytes; no reading is longer.
const longest = 128

func absentValue(reason events.Reason, text []byte) events.Value {
	return events.Value{Absent: reason, Raw: string(text)}
}

// looksNumeric reports whether text must be a number, and not a token.
func looksNumeric(text []byte) bool {
	if len(text) == 0 {
		return false
	}
	c := text[0]
	return '0' <= c && c <= '9' || c == '.' || c == '+' || c == '-' && len(text) > 1
}

// inRange reports whether n is in the metric's range. Rounding to float64 is monotonic, so a value strictly inside
// the range as a float64 is inside.
func (m *Metric) inRange(n events.Number) bool {
	if m.Min == m.Max {
		return true
	}
	if f := n.Float(); m.Min.Float() < f && f < m.Max.Float() {
		return true
	}
	return n.Compare(m.Min) >= 0 && n.Compare(m.Max) <= 0
}

// ratioOrPercent determines the unit of GPU_UTIL_RATIO by the number: a fraction is a ratio, more than 1 is percent,
// 0 is either. A lone "1" is ambiguous; "1.0" comes from a field of fractions.
func ratioOrPercent(c Conversion, n events.Number, text []byte) (Conversion, events.Reason) {
	one := events.Int(1)
	switch {
	case n == one && bytes.IndexByte(text, '.') < 0:
		return c, events.Ambiguous
	case n.Compare(one) > 0:
		return Conversion{}, events.Present
	}
	return c, events.Present
}
