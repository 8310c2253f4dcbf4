package dcgmdmon

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/ingestd/dialect"
)

// header is a line of column names.
type header struct {
	width   int  // bytes of the line
	padded  bool // with blanks behind the last name, and so behind the last cell of each row
	columns []column
}

// column is one column behind the entity's.
type column struct {
	name       string // DCGM's short name
	at         int    // offset of its beginning in the line
	field      dialect.Field
	metric     metric.Metric
	conversion metric.Conversion
}

// isHeader reports whether line is a header, which older versions write with a blank behind the mark.
func isHeader(line []byte) bool {
	text, found := bytes.CutPrefix(bytes.TrimLeft(line, " \t"), []byte("#"))
	fields := bytes.Fields(text)
	return found && len(fields) > 0 && bytes.EqualFold(fields[0], []byte("Entity"))
}

// isUnits reports whether line is the line below a header, which begins with ID and has the units of some columns.
func isUnits(line []byte) bool {
	fields := bytes.Fields(bytes.TrimLeft(line, " \t#"))
	return len(fields) > 0 && bytes.EqualFold(fields[0], []byte("ID"))
}

// readHeader reads a header. The error is the reason why rows below it cannot be read.
func readHeader(line []byte) (*header, error) {
	h := &header{width: len(line), padded: bytes.HasSuffix(line, []byte(" "))}
	names := bytes.Fields(line)
	names = names[slices.IndexFunc(names, func(n []byte) bool { return bytes.HasSuffix(bytes.ToLower(n), []byte("entity")) })+1:]
	at := bytes.Index(bytes.ToLower(line), []byte("entity")) + len("entity")
	for _, text := range names {
		at += bytes.Index(line[at:], text)
		c := column{name: string(text), at: at, field: fieldOf(string(text))}
		at += len(text)
		if why := dialect.NameFault(text); why != "" {
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

// fieldOf returns the field of a column of texts that identify a GPU; Label for other columns.
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

// splitRow splits a row into its entity and one cell per column; ok is false if a cell is missing.
//
// dcgmi pads every cell with blanks behind it, so a row is split at the offsets of the names in the header; an entity
// that is too wide for its column shifts the rest. Texts may hold blanks, and a cell may be empty. A row that is
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

// splitAt splits a line at the header's offsets, shifted to the right; ok is false if the line does not fit them.
func (h *header) splitAt(line []byte, shift int, cells [][]byte) (e entity, _ [][]byte, ok bool) {
	from := h.columns[0].at + shift
	least := h.columns[len(h.columns)-1].at + shift + 1 // the last cell has at least one byte
	if h.padded {
		least = h.width + shift
	}
	if shift < 0 || len(line) < least || line[0] == ' ' {
		return e, cells, false
	}
	// Without a blank between them, the entity and the first cell may be one word; the width of the line shows that
	// they are not.
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
