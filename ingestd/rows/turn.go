package rows

import (
	"bytes"
	"fmt"
)

// turns looks for headers among the rows. Files are put together of several, and a row under a header of other
// columns must not be read by those of the first: a temperature would become a share.
type turns struct {
	match  func(cells [][]byte) bool // tells a header from a row
	header [][]byte
	first  [256]bool // bytes, in lower case, with which a header may begin
	names  [][]byte  // first cells that it may have
	other  int       // line of the header that the rows stand under; 0: the file's own
}

func newTurns(header [][]byte, match func([][]byte) bool) *turns {
	t := &turns{match: match, header: header, names: [][]byte{[]byte("timestamp"), []byte("time")}}
	for _, cell := range header {
		if cell = bytes.TrimSpace(cell); len(cell) > 0 {
			t.names = append(t.names, cell)
		}
	}
	for _, name := range t.names {
		t.first[lower(name[0])] = true
	}
	return t
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// judge tells what a row is: the file's header again, or no row of the file's, and why.
func (t *turns) judge(text []byte, line int, b *Batch) (again bool, fault string) {
	switch {
	case !t.mayBegin(text, b.sep) || !t.turn(text, line, b):
		if t.other > 0 {
			return false, fmt.Sprintf("it stands under the header on line %d, whose columns are not those of the file's first; "+
				"send what follows that line as a file of its own", t.other)
		}
		return false, ""
	case t.other == line:
		return false, "a header with other columns than the file's first; send it and what follows as a file of its own"
	}
	return true, ""
}

// mayBegin tells, quickly, nearly all rows from headers.
func (t *turns) mayBegin(text []byte, sep byte) bool {
	for len(text) > 0 && (text[0] == '"' || text[0] == ' ') {
		text = text[1:]
	}
	if len(text) == 0 || !t.first[lower(text[0])] {
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

// turn notes a header; false: it is none.
func (t *turns) turn(text []byte, line int, b *Batch) bool {
	split := Batch{form: b.form, sep: b.sep}
	cells, fault := split.splitText(text, false)
	if fault != "" || !t.match(cells) {
		return false
	}
	t.other = line
	if sameHeader(cells, t.header) {
		t.other = 0
	}
	return true
}

// sameHeader compares headers but for their case, blanks, and a separator behind them.
func sameHeader(a, b [][]byte) bool {
	a, b = whole(a), whole(b)
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

func whole(header [][]byte) [][]byte {
	if last := len(header) - 1; last >= 0 && len(bytes.TrimSpace(header[last])) == 0 {
		return header[:last]
	}
	return header
}
