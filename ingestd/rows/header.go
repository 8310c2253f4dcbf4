package rows

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// Header reads the first row and keeps it as the file's header. Later equal rows are skipped; rows below another
// header that match accepts and that has other columns are faults, except in form Plain. The separator is
// Options.Separator, else the X of a line sep=X before the header, else the first of ',' ';' and tab whose cells
// match accepts. If match accepts none of them, Header returns ok == false and the cells of the separator that yields
// most cells; that separator stays in use, and the row is still to be read. A caller without a header proceeds so, or
// calls Next at once. The cells belong to the caller. Without any row the error is io.EOF.
func (s *Scanner) Header(match func(cells [][]byte) bool) (cells [][]byte, ok bool, err error) {
	candidates := []byte{',', ';', '\t'}
	if s.opt.Separator != 0 {
		candidates = []byte{s.opt.Separator}
	} else if sep, err := s.separatorLine(); err != nil {
		return nil, false, err
	} else if sep != 0 {
		candidates = []byte{sep}
	}
	s.sep = candidates[0]
	var b Batch
	s.detectEncoding()
	s.growForHeader()
	if err := s.fillBatch(&b, 1); err != nil {
		return nil, false, err
	}
	cells, sep, ok, fault := b.chooseSeparator(candidates, match)
	if !ok {
		s.unreadRow(&b)
	}
	if fault != nil {
		return nil, false, fmt.Errorf("reading the header: %w", fault)
	}
	if s.sep = sep; ok {
		s.header = cloneCells(cells)
		s.headers = newHeaderTracker(s.header, match)
	}
	return cells, ok, nil
}

// growForHeader makes room for a header that is longer than a row may be. Tables with a column for each of many
// series have such headers, and rows in proportion.
func (s *Scanner) growForHeader() {
	atEnd := func() int { return bytes.IndexByte(bytes.TrimLeft(s.rest, " \r\n"), '\n') }
	for atEnd() < 0 && len(s.rest) <= s.opt.MaxHeader && s.readErr == nil {
		more := make([]byte, s.opt.MaxLine)
		s.rest = append(s.rest, more[:s.readFull(more)]...)
	}
	if length := atEnd(); length <= s.opt.MaxHeader {
		s.opt.MaxLine = max(s.opt.MaxLine, length)
	}
	s.opt.BlockBytes = max(s.opt.BlockBytes, s.opt.MaxLine+lineEnd, len(s.rest)) // the bytes already read fit into a block
}

// unreadRow puts the batch's only row back. A line that is too long stays a fault.
func (s *Scanner) unreadRow(b *Batch) {
	if e := b.extents[0]; e.fault == 0 {
		s.rest = append(bytes.Clone(b.text[e.start:b.used]), s.rest...)
		s.line = e.line - 1
	}
}

// chooseSeparator splits the batch's only row by each separator and returns the cells of the first that match
// accepts, else of the one that yields most cells.
func (b *Batch) chooseSeparator(seps []byte, match func([][]byte) bool) (cells [][]byte, sep byte, ok bool, fault *Rejection) {
	for _, candidate := range seps {
		b.sep, b.scratch = candidate, nil
		var row Row
		b.splitRow(b.extents[0], &row)
		if row.Fault != nil {
			fault = row.Fault
			continue
		}
		if match(row.Cells) {
			return cloneCells(row.Cells), candidate, true, nil
		}
		if len(row.Cells) > len(cells) {
			cells, sep = cloneCells(row.Cells), candidate
		}
	}
	if cells != nil {
		fault = nil
	}
	return cells, sep, false, fault
}

// separatorLine consumes a first line sep=X, which Excel writes and understands, and returns X, or 0 if there is no
// such line.
func (s *Scanner) separatorLine() (byte, error) {
	const prefix = "sep="
	head, err := s.Peek(len(prefix) + 1 + lineEnd)
	if err != nil || len(head) <= len(prefix) || !strings.EqualFold(string(head[:len(prefix)]), prefix) {
		return 0, err
	}
	line, _, _ := bytes.Cut(head, []byte{'\n'})
	line = trimCR(line)
	if len(line) != len(prefix)+1 {
		return 0, nil
	}
	s.rest = bytes.TrimPrefix(s.rest[len(line):], []byte{'\r'})
	s.rest = bytes.TrimPrefix(s.rest, []byte{'\n'})
	s.line++
	return line[len(prefix)], nil
}

func cloneCells(cells [][]byte) [][]byte {
	out := make([][]byte, len(cells))
	for i, cell := range cells {
		out[i] = slices.Clone(cell)
	}
	return out
}
