package smiquery

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"strings"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/ingestd/dialect"
)

// cellKind is the meaning of a cell's text.
type cellKind uint8

const (
	ignored     cellKind = iota // in a column without a name, the time, or masked
	identifying                 // names or describes the GPU
	measured                    // a reading, or the reason of a missing one
	rejected                    // none of these
)

// cell is the result of reading a cell.
type cell struct {
	kind  cellKind
	value events.Value
	err   error
}

// readCell reads one cell.
func (c *column) readCell(text []byte) cell {
	switch c.role {
	case origin, described:
		return c.readText(text)
	case reading, mixed:
		v, err := c.readValue(text)
		switch {
		case err == nil:
			return cell{kind: measured, value: v}
		case c.role == mixed && c.metric.Unit == "":
			return cell{kind: identifying}
		}
		return cell{kind: rejected, err: err}
	}
	return cell{}
}

// readText reads a cell that names or describes the GPU. An absent text is recorded like an absent reading.
func (c *column) readText(text []byte) cell {
	if reason := c.absentReason(text); reason != events.Present {
		return cell{kind: measured, value: events.Value{Absent: reason, Raw: string(text)}}
	}
	if c.role == described && isMasked(text) {
		return cell{}
	}
	return cell{kind: identifying}
}

// absentReason returns the reason why a cell of text is absent. A host may have the name of a token: NA.
func (c *column) absentReason(text []byte) events.Reason {
	const longest = 64 // of the tokens
	isHost := c.Field == dialect.Host && len(text) > 0 && text[0] != '[' && !strings.EqualFold(string(text), "N/A")
	if isHost || len(text) > longest {
		return events.Present
	}
	return metric.Token(text)
}

// isMasked reports whether a part's number was masked: all zeros, and too many for a number.
func isMasked(text []byte) bool {
	const atLeast = 8
	text = bytes.TrimPrefix(text, []byte("0x"))
	return bytes.Count(text, []byte{'0'}) >= atLeast && len(bytes.Trim(text, "0-")) == 0
}

// readValue reads a reading with or without its unit.
func (c *column) readValue(text []byte) (events.Value, error) {
	number, unit := cutUnit(text)
	if unit == "" {
		return c.metric.Read(c.conversion, text)
	}
	fits := c.metric.In(c.conversion, unit)
	if strings.HasSuffix(c.metric.Name, "]") { // a unit that the catalogue does not know
		fits = strings.HasSuffix(c.metric.Name, "["+unit+"]")
	}
	if !fits {
		return events.Value{}, fmt.Errorf("the cell is in %.16q, but its column %s; is it of another column?", unit, c.unitText())
	}
	v, err := c.metric.Read(c.conversion, number)
	switch {
	case err == nil && v.Absent != events.Present:
		v.Raw = string(text)
	case err != nil:
		err = errors.New("neither a number nor one with its unit, such as 631.95 W")
	}
	return v, err
}

// unitText returns the unit of a column's readings, as part of a sentence.
func (c *column) unitText() string {
	if i := strings.IndexByte(c.Name, '['); i >= 0 {
		return "in " + strings.Trim(c.Name[i:], "[]")
	}
	switch unit := cmp.Or(c.metric.Unit, "count"); unit {
	case "count", "state", "code", "bits", "generation", "lanes":
		return "has no unit"
	case "ns":
		return "in us"
	default:
		return "in " + unit
	}
}

// cutUnit returns the number and the unit of a reading such as 631.95 W or 100%; the unit is "" if there is none.
func cutUnit(text []byte) (number []byte, unit string) {
	if len(text) == 0 || text[len(text)-1] <= '9' && text[len(text)-1] != '%' { // nearly every reading without a unit
		return text, ""
	}
	if c := text[0]; (c < '0' || c > '9') && c != '-' && c != '+' && c != '.' {
		return text, ""
	}
	if len(text) > 1 && text[1]|0x20 == 'x' { // a mask
		return text, ""
	}
	i := len(text)
	for i > 0 && (text[i-1] < '0' || text[i-1] > '9') && text[i-1] != '.' {
		i--
	}
	return bytes.TrimSpace(text[:i]), string(bytes.TrimSpace(text[i:]))
}
