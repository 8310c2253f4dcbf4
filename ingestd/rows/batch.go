package rows

import (
	"bytes"
	"iter"
	"slices"
)

// Batch is a run of rows that owns its memory. Fill it with Next, let one goroutine range over Rows, and reuse it
// when nothing refers to its cells any more. The zero Batch is ready to use.
type Batch struct {
	text      []byte
	extents   []extent
	faults    []Rejection
	used      int // bytes of text that the rows cover
	form      Form
	sep       byte
	header    [][]byte
	tails     bool // rows may have tails
	maybeTail bool // the row being split may have a tail
	tail      int  // offset of the tail; 0: no tail, because a row that begins with doubled quotes is split at once

	cells   [][]byte // cells of the current row
	scratch []byte   // cells that differ from their source text
}

// resetFor empties b and sets it up for rows of s.
func (b *Batch) resetFor(s *Scanner) {
	size := s.opt.BlockBytes
	if s.readErr != nil {
		size = min(size, len(s.rest)) // no more text comes
	}
	if cap(b.text) < size {
		b.text = make([]byte, size)
	}
	b.text = b.text[:size]
	clear(b.faults)
	b.extents, b.faults = b.extents[:0], b.faults[:0]
	b.form, b.sep, b.header = s.form, s.sep, s.header
	b.tails = s.leaveTails && s.form == Quoted && !slices.ContainsFunc(s.header, func(cell []byte) bool { return bytes.IndexByte(cell, '"') >= 0 })
}

// Len returns the number of rows, repeated headers included.
func (b *Batch) Len() int { return len(b.extents) }

// Rows returns an iterator that splits the batch's rows into cells, in file order. Blank lines and, in form Quoted,
// repeated headers are left out; in form Plain headers may alternate, and the dialect handles them. Each iteration
// overwrites Row and Cells; the bytes of the cells stay valid until the batch is filled again.
func (b *Batch) Rows() iter.Seq[*Row] {
	return func(yield func(*Row) bool) {
		b.scratch = b.scratch[:0]
		var row Row
		for _, e := range b.extents {
			if e.isHeader {
				continue
			}
			b.splitRow(e, &row)
			if (b.form == Plain || !b.repeatsHeader(&row)) && !yield(&row) {
				return
			}
		}
	}
}

// splitRow splits the row of an extent into its cells.
func (b *Batch) splitRow(e extent, row *Row) {
	*row = Row{Line: e.line, Size: e.end - e.start}
	if e.fault > 0 {
		row.Fault = &b.faults[e.fault-1]
		return
	}
	text := b.text[e.start:e.end]
	if bytes.IndexByte(text, 0) >= 0 { // before the quotes, because a tail may hide this fault
		row.Fault = &Rejection{Line: e.line, Text: Excerpt(text), Reason: faultNUL}
		return
	}
	b.maybeTail, b.tail = b.tails && !e.multi && bytes.HasSuffix(text, []byte{'"'}), 0
	cells, fault := b.splitText(text, e.multi)
	b.maybeTail = false
	if fault != "" {
		row.Fault = &Rejection{Line: e.line, Text: Excerpt(text), Reason: fault}
		return
	}
	row.Cells, row.Text = cells, text
	if b.tail > 0 {
		row.Tail, row.batch = text[b.tail:], b
	}
}

// repeatsHeader reports whether the row repeats the file's header, as in logs to which several runs were appended.
func (b *Batch) repeatsHeader(row *Row) bool {
	if len(b.header) == 0 || len(row.Cells) != len(b.header) {
		return false
	}
	for i, cell := range row.Cells {
		if !bytes.Equal(cell, b.header[i]) {
			return false
		}
	}
	return true
}
