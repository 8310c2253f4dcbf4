package metric

import (
	"bytes"
	"errors"

	"telemetry-pipeline/events"
)

var errNotNumber = errors.New("not a number; write digits such as 41 or 66.781, and leave the cell empty when there is no reading")

// Read reads the text of one reading: a number in the canonical unit, or the reason for having none (an
// empty cell, a token such as [N/A], one of DCGM's sentinel numbers, a number outside the metric's range). Of
// some metrics words are readings too: Enabled, P0, 0x1F. Any other text is an error that says what to do.
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

// readWord reads a text that is no number but may stand for one.
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

// longest bounds the text that an absent reading carries along; no reading's is longer.
const longest = 128

func absentValue(reason events.Reason, text []byte) events.Value {
	return events.Value{Absent: reason, Raw: string(text)}
}

// looksNumeric tells text that must be a number from text that may be a token.
func looksNumeric(text []byte) bool {
	if len(text) == 0 {
		return false
	}
	c := text[0]
	return '0' <= c && c <= '9' || c == '.' || c == '+' || c == '-' && len(text) > 1
}

// inRange tells whether n is in the metric's range. Float rounds monotonically, so what is strictly
// inside as a float64 is inside.
func (m *Metric) inRange(n events.Number) bool {
	if m.Min == m.Max {
		return true
	}
	if f := n.Float(); m.Min.Float() < f && f < m.Max.Float() {
		return true
	}
	return n.Compare(m.Min) >= 0 && n.Compare(m.Max) <= 0
}

// ratioOrPercent decides the unit of GPU_UTIL_RATIO by the number: a fraction is a ratio, more than 1 is
// percent, 0 is either. A lone "1" can be both; written "1.0" it comes from a field of fractions.
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
