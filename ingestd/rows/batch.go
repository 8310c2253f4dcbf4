package rows

import (
	"bytes"
	"iter"
	"slices"
)

// Batch is a run of rows that owns its memory. Fill it with Next, let any one goroutine range over Rows,
// and use it again when nothing refers to its cells any more. The zero Batch is ready.
type Batch struct {
	text      []byte
	extents   []extent
	faults    []Rejection
	used      int // bytes of text that the rows take
	form      Form
	sep       byte
	header    [][]byte
	tails     bool // rows may have them
	maybeTail bool // the row that is being split may have one
	tail      int  // where it begins; 0: it has none, for a row that begins with doubled quotes is split at once

	cells   [][]byte // of the current row
	scratch []byte   // cells that differ from their source text
}

// resetFor prepares b for rows of s.
func (b *Batch) resetFor(s *Scanner) {
	if len(b.text) != s.opt.BlockBytes {
		b.text = make([]byte, s.opt.BlockBytes)
	}
	clear(b.faults)
	b.extents, b.faults = b.extents[:0], b.faults[:0]
	b.form, b.sep, b.header = s.form, s.sep, s.header
	b.tails = s.leaveTails && s.form == Quoted && !slices.ContainsFunc(s.header, func(cell []byte) bool { return bytes.IndexByte(cell, '"') >= 0 })
}

// Len is the number of rows, repeated headers included.
func (b *Batch) Len() int { return len(b.extents) }

// Rows splits the batch's rows into cells, in file order; blank lines and, in form Quoted, repeated headers are
// left out: in form Plain headers can take turns, and the dialect sees to that. Row and Cells are overwritten
// by the next iteration; the bytes of the cells are valid until the batch is filled again.
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

// splitRow makes the row of an extent.
func (b *Batch) splitRow(e extent, row *Row) {
	*row = Row{Line: e.line, Size: e.end - e.start}
	if e.fault > 0 {
		row.Fault = &b.faults[e.fault-1]
		return
	}
	text := b.text[e.start:e.end]
	if bytes.IndexByte(text, 0) >= 0 { // before the quotes, of which a tail may hide the fault for now
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

// repeatsHeader tells that the row is the file's header again, as logs have it that several runs were
// appended to.
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
