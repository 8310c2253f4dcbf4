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

// verdict is what a cell turned out to be.
type verdict uint8

const (
	ignored  verdict = iota // of a column without a name, the time, or blotted out
	says                    // names or describes the GPU
	valued                  // a reading, or why there is none
	rejected                // neither
)

// cell is a cell as it was read.
type cell struct {
	verdict verdict
	value   events.Value
	err     error
}

// read reads one cell.
func (c *column) read(text []byte) cell {
	switch c.role {
	case origin, described:
		return c.readText(text)
	case reading, either:
		v, err := c.readValue(text)
		switch {
		case err == nil:
			return cell{verdict: valued, value: v}
		case c.role == either && c.metric.Unit == "":
			return cell{verdict: says}
		}
		return cell{verdict: rejected, err: err}
	}
	return cell{}
}

// readText reads a cell that names or describes the GPU. An absent one is told like an absent reading.
func (c *column) readText(text []byte) cell {
	if reason := c.absence(text); reason != events.Present {
		return cell{verdict: valued, value: events.Value{Absent: reason, Raw: string(text)}}
	}
	if c.role == described && masked(text) {
		return cell{}
	}
	return cell{verdict: says}
}

// absence gives the reason for which a cell of text says nothing. A host may have the name of a token: NA.
func (c *column) absence(text []byte) events.Reason {
	const longest = 64 // of the tokens
	isHost := c.Field == dialect.Host && len(text) > 0 && text[0] != '[' && !strings.EqualFold(string(text), "N/A")
	if isHost || len(text) > longest {
		return events.Present
	}
	return metric.Token(text)
}

// masked tells numbers of parts that were blotted out: all zeros, and too many for a number.
func masked(text []byte) bool {
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
		return events.Value{}, fmt.Errorf("the cell is in %.16q, but its column %s; is it of another column?", unit, c.unit())
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

// unit says what a column's readings are in.
func (c *column) unit() string {
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
