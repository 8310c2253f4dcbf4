package rows

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
)

const (
	faultBare  = `a quote inside an unquoted cell; put the whole cell in quotes and double the quotes inside`
	faultAfter = `text behind a closing quote; double the quotes inside a quoted cell`
	faultNUL   = `the line has NUL bytes, so it is no text; was the file damaged?`
	faultOpen  = `a quote is opened and never closed, or not within the longest row`
)

// splitText returns the cells of one row, or the fault in its quotes.
func (b *Batch) splitText(text []byte, multi bool) (cells [][]byte, fault string) {
	cells = b.cells[:0]
	switch b.form {
	case Lines:
		b.cells = append(cells, text)
		return b.cells, ""
	case Plain:
		b.cells = splitPlain(cells, text, b.sep)
		for i, cell := range b.cells {
			b.cells[i] = trimBlanks(cell)
		}
		return b.cells, ""
	case Loose:
		b.cells = b.splitLoose(cells, text)
		return b.cells, ""
	}
	if bytes.IndexByte(text, '"') < 0 {
		b.cells = splitPlain(cells, text, b.sep)
		return b.cells, ""
	}
	for i := 0; ; {
		var cell []byte
		if i < len(text) && text[i] == '"' {
			cell, i = b.unquoteCell(text, i+1, multi)
			switch {
			case i < 0 && b.maybeTail && b.tail > 0:
				b.cells = cells
				return cells, ""
			case i < 0:
				return nil, faultOpen
			case i < len(text) && text[i] != b.sep:
				return nil, faultAfter
			}
		} else {
			cell = text[i:]
			if j := bytes.IndexByte(cell, b.sep); j >= 0 {
				cell = cell[:j]
			}
			if bytes.IndexByte(cell, '"') >= 0 {
				return nil, faultBare
			}
			i += len(cell)
		}
		cells = append(cells, cell)
		if i == len(text) {
			b.cells = cells
			return cells, ""
		}
		i++
	}
}

// splitLoose splits text in which quotes may be wrong: a cell is in quotes only if its closing quote is followed
// by a separator or the end.
func (b *Batch) splitLoose(cells [][]byte, text []byte) [][]byte {
	for {
		if len(text) > 0 && text[0] == '"' {
			from := len(b.scratch)
			cell, next := b.unquoteCell(text, 1, false)
			if next == len(text) {
				return append(cells, cell)
			}
			if next > 0 && text[next] == b.sep {
				cells, text = append(cells, cell), text[next+1:]
				continue
			}
			b.scratch = b.scratch[:from]
		}
		i := bytes.IndexByte(text, b.sep)
		if i < 0 {
			return append(cells, text)
		}
		cells, text = append(cells, text[:i:i]), text[i+1:]
	}
}

// splitPlain splits text that has no quotes.
func splitPlain(cells [][]byte, text []byte, sep byte) [][]byte {
	for {
		i := bytes.IndexByte(text, sep)
		if i < 0 {
			return append(cells, text)
		}
		cells = append(cells, text[:i:i])
		text = text[i+1:]
	}
}

// unquoteCell returns the cell whose text starts at i, behind its opening quote, and the position behind its closing
// quote, or -1 if there is none.
func (b *Batch) unquoteCell(text []byte, i int, multi bool) (cell []byte, next int) {
	j := bytes.IndexByte(text[i:], '"')
	if j < 0 {
		return nil, -1
	}
	end := i + j
	if escaped := end+1 < len(text) && text[end+1] == '"'; !escaped && !multi {
		return text[i:end:end], end + 1
	}
	if b.maybeTail && i > 1 {
		b.tail = i - 1
		return nil, -1
	}
	from := len(b.scratch)
	b.scratch, next = unescapeQuotes(b.scratch, text, i)
	if next < 0 {
		b.scratch = b.scratch[:from]
		return nil, -1
	}
	if multi {
		b.scratch = append(b.scratch[:from], bytes.ReplaceAll(b.scratch[from:], []byte("\r\n"), []byte("\n"))...)
	}
	return b.scratch[from:len(b.scratch):len(b.scratch)], next
}

// unescapeQuotes appends the quoted text that starts at i, with its doubled quotes as one, and returns the position
// behind its closing quote, or -1 if there is none. It looks at eight bytes at a time, because labels are full of
// quotes.
func unescapeQuotes(dst, text []byte, i int) (out []byte, next int) {
	const (
		ones   = 0x0101010101010101
		highs  = 0x8080808080808080
		quotes = ones * '"'
		word   = 8
	)
	n := len(dst)
	dst = slices.Grow(dst, len(text)-i+word)
	dst = dst[:cap(dst)]
	for i < len(text) {
		if i+word <= len(text) {
			w := binary.LittleEndian.Uint64(text[i:])
			binary.LittleEndian.PutUint64(dst[n:], w)
			differ := w ^ quotes // a zero byte is a quote; the lowest high bit below marks the first
			found := (differ - ones) &^ differ & highs
			skip := bits.TrailingZeros64(found) / 8
			i, n = i+skip, n+skip
			if found == 0 {
				continue
			}
		} else if text[i] != '"' {
			dst[n] = text[i]
			i, n = i+1, n+1
			continue
		}
		if i+1 == len(text) || text[i+1] != '"' {
			return dst[:n], i + 1
		}
		dst[n] = '"'
		i, n = i+2, n+1
	}
	return dst[:n], -1
}
