package rows

import "bytes"

const (
	faultBare  = `a quote inside an unquoted cell; put the whole cell in quotes and double the quotes inside`
	faultAfter = `text behind a closing quote; double the quotes inside a quoted cell`
	faultOpen  = `a quote is opened and never closed, or not within the longest row`
)

// splitText gives the cells of one row, or what is wrong with its quotes.
func (b *Batch) splitText(text []byte, multi bool) (cells [][]byte, fault string) {
	cells = b.cells[:0]
	if bytes.IndexByte(text, '"') < 0 {
		b.cells = splitPlain(cells, text, b.sep)
		return b.cells, ""
	}
	for i := 0; ; {
		var cell []byte
		if i < len(text) && text[i] == '"' {
			cell, i = b.quoted(text, i+1, multi)
			switch {
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

// quoted gives the cell whose text starts at i, behind its opening quote, and the place behind its closing quote (-1: there is none).
func (b *Batch) quoted(text []byte, i int, multi bool) (cell []byte, next int) {
	j := bytes.IndexByte(text[i:], '"')
	if j < 0 {
		return nil, -1
	}
	end := i + j
	if end+1 == len(text) || text[end+1] != '"' {
		cell = text[i:end:end]
		if multi && bytes.IndexByte(cell, '\r') >= 0 {
			from := len(b.scratch)
			b.scratch = appendLines(b.scratch, cell)
			cell = b.scratch[from:len(b.scratch):len(b.scratch)]
		}
		return cell, end + 1
	}
	return b.unescape(text, i, end, multi)
}

// unescape is quoted for a cell whose first quote, at end, is doubled.
func (b *Batch) unescape(text []byte, i, end int, multi bool) (cell []byte, next int) {
	from := len(b.scratch)
	for {
		piece := text[i : end+1]
		if multi {
			b.scratch = appendLines(b.scratch, piece)
		} else {
			b.scratch = append(b.scratch, piece...)
		}
		i = end + 2
		j := bytes.IndexByte(text[i:], '"')
		if j < 0 {
			return nil, -1
		}
		end = i + j
		if end+1 == len(text) || text[end+1] != '"' {
			break
		}
	}
	if multi {
		b.scratch = appendLines(b.scratch, text[i:end])
	} else {
		b.scratch = append(b.scratch, text[i:end]...)
	}
	return b.scratch[from:len(b.scratch):len(b.scratch)], end + 1
}

// appendLines copies text with its line ends as '\n', so that a file says the same with either kind.
func appendLines(dst, text []byte) []byte {
	for {
		i := bytes.Index(text, []byte("\r\n"))
		if i < 0 {
			return append(dst, text...)
		}
		dst = append(append(dst, text[:i]...), '\n')
		text = text[i+2:]
	}
}
