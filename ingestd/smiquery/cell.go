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

// cellKind is what a cell turned out to be.
type cellKind uint8

const (
	ignored     cellKind = iota // of a column without a name, the time, or blotted out
	identifying                 // names or describes the GPU
	measured                    // a reading, or why there is none
	rejected                    // neither
)

// cell is a cell as it was read.
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

// readText reads a cell that names or describes the GPU. An absent one is told like an absent reading.
func (c *column) readText(text []byte) cell {
	if reason := c.absentReason(text); reason != events.Present {
		return cell{kind: measured, value: events.Value{Absent: reason, Raw: string(text)}}
	}
	if c.role == described && isMasked(text) {
		return cell{}
	}
	return cell{kind: identifying}
}

// absentReason gives the reason for which a cell of text says nothing. A host may have the name of a token: NA.
func (c *column) absentReason(text []byte) events.Reason {
	const longest = 64 // of the tokens
	isHost := c.Field == dialect.Host && len(text) > 0 && text[0] != '[' && !strings.EqualFold(string(text), "N/A")
	if isHost || len(text) > longest {
		return events.Present
	}
	return metric.Token(text)
}

// isMasked tells numbers of parts that were blotted out: all zeros, and too many for a number.
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
	if strings.HasSuffix(c.metric.Name, "]") { // a unit that nobody knows
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

// unitText says what a column's readings are in.
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

// cutUnit takes the unit off a reading such as 631.95 W or 100%; "": there is none.
func cutUnit(text []byte) (number []byte, unit string) {
	if len(text) == 0 || text[len(text)-1] <= '9' && text[len(text)-1] != '%' { // nearly every one, of those without
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
