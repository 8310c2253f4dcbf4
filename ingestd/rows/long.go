package rows

import (
	"bytes"
	"fmt"
)

// longLine is a line that is longer than a row may be and whose end has not been read yet.
type longLine struct {
	open   bool
	length int
	cr     bool // its last byte so far is '\r', which may belong to the line end
	text   string
}

// beginLong begins a line that is too long with text, the rest of a block.
func (s *Scanner) beginLong(text []byte) {
	s.long = longLine{open: true, text: Excerpt(text)}
	s.addLong(text)
}

func (s *Scanner) addLong(text []byte) {
	if len(text) > 0 {
		s.long.length += len(text)
		s.long.cr = text[len(text)-1] == '\r'
	}
}

// skipLong skips the part of the open long line that is in text, and returns its length in bytes.
func (s *Scanner) skipLong(b *Batch, text []byte) int {
	end := bytes.IndexByte(text, '\n')
	if end < 0 {
		s.addLong(text)
		return len(text)
	}
	s.addLong(text[:end])
	s.closeLong(b)
	return end + 1
}

// endLong closes the open long line at a clean end of the text. It returns false if there is none.
func (s *Scanner) endLong(b *Batch) bool {
	if !s.long.open || !s.atCleanEnd() {
		return false
	}
	s.closeLong(b)
	return true
}

func (s *Scanner) closeLong(b *Batch) {
	if s.long.cr {
		s.long.length--
	}
	s.tooLong(b, s.long.length, s.long.text)
	s.long = longLine{}
}

// tooLong adds a fault for the next line.
func (s *Scanner) tooLong(b *Batch, length int, text string) {
	s.line++
	b.faults = append(b.faults, Rejection{
		Line: s.line, Text: text,
		Reason: fmt.Sprintf("the line has %d bytes; the longest accepted has %d", length, s.opt.MaxLine),
	})
	b.extents = append(b.extents, extent{end: length, line: s.line, fault: len(b.faults)})
}
