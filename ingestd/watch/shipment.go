package watch

import (
	"bytes"
	"io"
	"strings"
)

// shipment is the next lines of a file, with the header that describes them.
type shipment struct {
	header string
	text   []byte // complete lines; the header is prepended unless it is among them
	first  int    // number of text's first line in the file
	end    int64  // offset after text
	lines  int    // number of lines before that offset
}

// maxShipment bounds one upload; a longer backlog takes several. A shipment without a single usable line, such as one
// from a day without a driver, is extended up to maxUnusable until it has one.
const (
	maxShipment = 4 << 20
	maxUnusable = 64 << 20
)

// nextShipment returns the complete rows after p, of at most most bytes; nil when there are none. A row with an open
// quote waits for its end, unless the file is idle. Text without a header (headless) is shipped unchanged. A line
// that names columns but differs from the header is a new header, written by an upgraded tool, and begins a shipment
// of its own.
func nextShipment(file io.ReaderAt, now fileState, p *progress, headless bool, most int64) (*shipment, error) {
	raw := make([]byte, min(now.size-p.Offset, most))
	n, err := file.ReadAt(raw, p.Offset)
	if err != nil && err != io.EOF {
		return nil, err
	}
	in := charsetOf(file)
	all := in.decodeText(raw[:n], p.Offset == 0)
	text := all[:bytes.LastIndexByte(all, '\n')+1]
	if len(text) == 0 && int64(n) == most {
		text = all // no line is that long; the server rejects it line by line
	}
	if len(text) == 0 {
		return nil, nil
	}
	s := &shipment{header: p.Header, first: p.Line + 1}
	if headless = headless || s.header == "" && isSample(text); !headless && (s.header == "" || findNewHeader(text, s.header) == 0) {
		if s.header = parseHeader(text); s.header == "" {
			return nil, nil // the header is not complete yet
		}
	}
	if i := findNewHeader(text, s.header); i > 0 {
		text = text[:i]
	} else if !now.idle {
		if text = trimOpenRow(text, s.header); len(text) == 0 {
			return nil, nil
		}
	}
	s.text, s.end, s.lines = text, p.Offset+in.encodedSize(text, p.Offset == 0), p.Line+bytes.Count(text, []byte("\n"))
	return s, nil
}

// uploadBody returns the uploaded content: the header, then the text.
func (s *shipment) uploadBody() []byte {
	if s.header == "" || bytes.HasPrefix(s.text, []byte(s.header)) {
		return s.text
	}
	return append([]byte(s.header), s.text...)
}

// lineOf returns the line number in the file of a line of the uploaded content; 0 for a line of the header.
func (s *shipment) lineOf(line int) int {
	if before := len(s.uploadBody()) - len(s.text); before > 0 {
		line -= strings.Count(s.header, "\n")
	}
	if line < 1 {
		return 0
	}
	return s.first + line - 1
}
