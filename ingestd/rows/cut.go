package rows

import "bytes"

// extent is the position of a row in a batch. The consumer of the batch splits its cells later.
type extent struct {
	start, end int // in Batch.text, without the line end
	line       int
	fault      int  // index in Batch.faults plus 1; start and end may then hold its size only
	multi      bool // it has line ends inside quotes
	isHeader   bool // it is the file's header
}

// cutter finds the rows of one block.
//
// A row ends at the first line end outside quotes. When its quotes are wrong, or not closed within the longest row,
// the row is its first line alone, and the next line begins a new row. In a row without faults every quote so far has
// opened, closed or escaped; so a line end behind an even number of quotes is outside of them, and only lines with an
// odd number need a closer look.
type cutter struct {
	s     *Scanner
	b     *Batch
	text  []byte
	pos   int
	limit int
}

// cutRows adds the complete rows to the batch, at most limit of them, and moves pos behind them.
func (c *cutter) cutRows() {
	for len(c.b.extents) < c.limit && c.pos < len(c.text) {
		if c.s.long.open {
			c.pos += c.s.skipLong(c.b, c.text[c.pos:])
		} else if !c.cutLine() {
			return
		}
	}
}

// cutLine adds the next line, or the row that begins there. It returns false if the end of the row is not in the
// text.
func (c *cutter) cutLine() bool {
	rest := c.text[c.pos:]
	end := bytes.IndexByte(rest, '\n')
	next := end + 1
	if end < 0 {
		if !c.s.atCleanEnd() {
			return c.cutUnfinished(rest)
		}
		end, next = len(rest), len(rest)
	}
	end = len(trimCR(rest[:end]))
	switch {
	case end > c.s.opt.MaxLine:
		c.s.tooLong(c.b, end, Excerpt(rest[:end]))
		c.pos += next
	case c.s.form.isBlank(rest[:end]):
		c.s.line++
		c.pos += next
	case c.s.form != Quoted || bytes.Count(rest[:end], []byte{'"'})%2 == 0:
		c.addRow(end, next, 1)
	default:
		return c.cutQuoted(rest, end, next)
	}
	return true
}

// cutUnfinished leaves a line without an end for the next block and returns false, unless the line is too long already.
func (c *cutter) cutUnfinished(rest []byte) bool {
	if len(rest) < c.s.opt.MaxLine+lineEnd {
		return false
	}
	c.s.beginLong(rest)
	c.pos = len(c.text)
	return true
}

// cutQuoted adds a row that may continue behind its first line.
func (c *cutter) cutQuoted(rest []byte, first, afterFirst int) bool {
	most := c.s.opt.MaxLine + lineEnd
	window, full := rest[:min(len(rest), most)], len(rest) >= most
	end, next, v := rowEnd(window, c.s.sep, c.s.atCleanEnd() && len(rest) <= most)
	switch {
	case v == undecided && !full:
		return false
	case v == closed && end <= c.s.opt.MaxLine:
		c.addRow(end, next, bytes.Count(window[:end], []byte{'\n'})+1)
	default:
		c.addRow(first, afterFirst, 1)
	}
	return true
}

// addRow adds the row of size bytes on the given number of lines; the next row begins next bytes further.
func (c *cutter) addRow(size, next, lines int) {
	e := extent{start: c.pos, end: c.pos + size, line: c.s.line + 1, multi: lines > 1}
	if c.s.headers != nil && c.s.form != Plain { // in form Plain the dialect handles headers
		text := c.text[e.start:e.end]
		var fault string
		if e.isHeader, fault = c.s.headers.classifyRow(text, e.line, c.b); fault != "" {
			c.b.faults = append(c.b.faults, Rejection{Line: e.line, Text: Excerpt(text), Reason: fault})
			e.fault = len(c.b.faults)
		}
	}
	c.b.extents = append(c.b.extents, e)
	c.s.line += lines
	c.pos += next
}

func trimCR(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		return line[:n-1]
	}
	return line
}
