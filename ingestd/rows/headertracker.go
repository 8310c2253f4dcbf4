package rows

import (
	"bytes"
	"fmt"
)

// headerTracker finds headers among the rows. Some files are several files joined, and a row below a header with
// other columns must not be read by the columns of the first: a temperature would become a share.
type headerTracker struct {
	match       func(cells [][]byte) bool // reports whether a row is a header
	header      [][]byte
	firstBytes  [256]bool // bytes, in lower case, with which a header may begin
	names       [][]byte  // first cells that a header may have
	foreignLine int       // line of the foreign header above the rows; 0: the file's own header
}

func newHeaderTracker(header [][]byte, match func([][]byte) bool) *headerTracker {
	t := &headerTracker{match: match, header: header, names: [][]byte{[]byte("timestamp"), []byte("time")}}
	for _, cell := range header {
		if cell = bytes.TrimSpace(cell); len(cell) > 0 {
			t.names = append(t.names, cell)
		}
	}
	for _, name := range t.names {
		t.firstBytes[lowerByte(name[0])] = true
	}
	return t
}

func lowerByte(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// classifyRow returns repeated == true for a repeated header of the file, and a fault for a row that is none of the
// file's.
func (t *headerTracker) classifyRow(text []byte, line int, b *Batch) (repeated bool, fault string) {
	switch {
	case !t.mayBeHeader(text, b.sep) || !t.noteHeader(text, line, b):
		if t.foreignLine > 0 {
			return false, fmt.Sprintf("it stands under the header on line %d, whose columns differ from the file's first header; "+
				"send that header and the lines behind it as a file of their own", t.foreignLine)
		}
		return false, ""
	case t.foreignLine == line:
		return false, "a header with other columns than the file's first; send it and the lines behind it as a file of their own"
	}
	return true, ""
}

// mayBeHeader returns false for nearly all rows that are no headers, without splitting them.
func (t *headerTracker) mayBeHeader(text []byte, sep byte) bool {
	for len(text) > 0 && (text[0] == '"' || text[0] == ' ') {
		text = text[1:]
	}
	if len(text) == 0 || !t.firstBytes[lowerByte(text[0])] {
		return false
	}
	if i := bytes.IndexByte(text, sep); i >= 0 {
		text = text[:i]
	}
	text = bytes.TrimRight(text, ` "`)
	for _, name := range t.names {
		if bytes.EqualFold(text, name) {
			return true
		}
	}
	return false
}

// noteHeader records a header. It returns false if the row is none.
func (t *headerTracker) noteHeader(text []byte, line int, b *Batch) bool {
	split := Batch{form: b.form, sep: b.sep}
	cells, fault := split.splitText(text, false)
	if fault != "" || !t.match(cells) {
		return false
	}
	t.foreignLine = line
	if sameHeader(cells, t.header) {
		t.foreignLine = 0
	}
	return true
}

// sameHeader reports whether two headers are equal except for case, blanks, and a separator behind them.
func sameHeader(a, b [][]byte) bool {
	a, b = trimEmptyCell(a), trimEmptyCell(b)
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.EqualFold(bytes.TrimSpace(a[i]), bytes.TrimSpace(b[i])) {
			return false
		}
	}
	return true
}

func trimEmptyCell(header [][]byte) [][]byte {
	if last := len(header) - 1; last >= 0 && len(bytes.TrimSpace(header[last])) == 0 {
		return header[:last]
	}
	return header
}
