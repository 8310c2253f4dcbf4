package dcgmdmon

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/ingestd/dialect"
)

// header is what a line of column names says.
type header struct {
	width   int  // bytes of the line
	padded  bool // with blanks behind the last name, and so behind the last cell of each row
	columns []column
}

// column is one column behind that of the entity.
type column struct {
	name       string // DCGM's short name
	at         int    // where it starts in the line
	field      dialect.Field
	metric     metric.Metric
	conversion metric.Conversion
}

// isHeader tells a header, which older versions write with a blank behind the mark.
func isHeader(line []byte) bool {
	text, found := bytes.CutPrefix(bytes.TrimLeft(line, " \t"), []byte("#"))
	fields := bytes.Fields(text)
	return found && len(fields) > 0 && bytes.EqualFold(fields[0], []byte("Entity"))
}

// isUnits tells the line below a header, which begins with ID and has the units of some columns.
func isUnits(line []byte) bool {
	fields := bytes.Fields(bytes.TrimLeft(line, " \t#"))
	return len(fields) > 0 && bytes.EqualFold(fields[0], []byte("ID"))
}

// readHeader reads a header. The error tells why rows below it cannot be read.
func readHeader(line []byte) (*header, error) {
	h := &header{width: len(line), padded: bytes.HasSuffix(line, []byte(" "))}
	names := bytes.Fields(line)
	names = names[slices.IndexFunc(names, func(n []byte) bool { return bytes.HasSuffix(bytes.ToLower(n), []byte("entity")) })+1:]
	at := bytes.Index(bytes.ToLower(line), []byte("entity")) + len("entity")
	for _, text := range names {
		at += bytes.Index(line[at:], text)
		c := column{name: string(text), at: at, field: fieldOf(string(text))}
		at += len(text)
		if why := dialect.BadName(text); why != "" {
			return nil, fmt.Errorf("the column %.80q: %s", text, why)
		}
		if slices.ContainsFunc(h.columns, func(other column) bool { return other.name == c.name }) {
			return nil, fmt.Errorf("the column %s is there twice; leave one out", c.name)
		}
		c.metric, c.conversion, _ = metric.Lookup(c.name)
		h.columns = append(h.columns, c)
	}
	if len(h.columns) == 0 {
		return nil, errors.New("the header names no columns behind #Entity")
	}
	return h, nil
}

// fieldOf tells the columns of texts that identify a GPU.
func fieldOf(name string) dialect.Field {
	switch name {
	case "DVNAM":
		return dialect.Model
	case "UUID#":
		return dialect.UUID
	case "PCBID":
		return dialect.PCI
	case "DRVER":
		return dialect.Driver
	}
	return dialect.Label
}

// splitRow splits a row into its entity and one cell per column; ok is false when it has not all of them.
//
// dcgmi pads every cell with blanks behind it, so a row is cut where the names in the header start; an entity
// that is too wide for its column moves the rest. Texts may hold blanks, and a cell may be empty. A row that is
// shorter than a padded header is cut off. Where blanks were squeezed, cells are counted from the right.
func (h *header) splitRow(line []byte, cells [][]byte) (e entity, _ [][]byte, ok bool) {
	for _, shift := range [...]int{0, len(line) - h.width} {
		if e, cells, ok = h.splitAt(line, shift, cells[:0]); ok {
			return e, cells, true
		}
	}
	fields := bytes.Fields(line)
	if n := len(fields) - len(h.columns); n > 0 && !h.padded {
		e, ok = parseEntity(fields[:n])
		return e, append(cells[:0], fields[n:]...), ok
	}
	return e, cells, false
}

// splitAt cuts a line at the header's places, shifted to the right; ok is false when it does not fit them.
func (h *header) splitAt(line []byte, shift int, cells [][]byte) (e entity, _ [][]byte, ok bool) {
	from := h.columns[0].at + shift
	least := h.columns[len(h.columns)-1].at + shift + 1 // there is something of the last cell
	if h.padded {
		least = h.width + shift
	}
	if shift < 0 || len(line) < least || line[0] == ' ' {
		return e, cells, false
	}
	// Without a blank between them, the entity and the first cell may be one word; the width of the line
	// tells that they are not.
	if line[from-1] != ' ' && len(line) != h.width+shift {
		return e, cells, false
	}
	if e, ok = parseEntity(bytes.Fields(line[:from])); !ok {
		return e, cells, false
	}
	for i, c := range h.columns {
		start, end := c.at+shift, len(line)
		if i+1 < len(h.columns) {
			end = h.columns[i+1].at + shift
		}
		cell := line[start:end:end]
		text := bytes.TrimSpace(cell)
		if len(text) > 0 && (cell[0] == ' ' || i > 0 && line[start-1] != ' ') {
			return e, cells, false
		}
		cells = append(cells, text)
	}
	return e, cells, true
}
