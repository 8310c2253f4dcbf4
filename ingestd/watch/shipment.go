package watch

import (
	"bytes"
	"io"
	"strings"
)

// shipment is the next lines of a file, with the header that says what they mean.
type shipment struct {
	header string
	text   []byte // complete lines, behind the header where that is not among them
	first  int    // the file's line that text begins with
	end    int64  // offset behind them
	lines  int    // lines up to there
}

// maxShipment bounds what goes in one upload; a longer backlog goes in several.
const maxShipment = 4 << 20

// next reads the complete lines behind p; nil when there are none. Text that has no header (headless) is
// shipped as it is. A line that begins like the header and says something else is a new header, which the tool that
// writes the log has made after an upgrade: it begins a shipment of its own.
func next(file io.ReaderAt, size int64, p *progress, headless bool) (*shipment, error) {
	buf := make([]byte, min(size-p.Offset, maxShipment))
	n, err := file.ReadAt(buf, p.Offset)
	if err != nil && err != io.EOF {
		return nil, err
	}
	text := buf[:bytes.LastIndexByte(buf[:n], '\n')+1]
	if len(text) == 0 && int64(n) == maxShipment {
		text = buf[:n] // no line is as long; the server says so, line by line
	}
	if len(text) == 0 {
		return nil, nil
	}
	s := &shipment{header: p.Header, first: p.Line + 1}
	if !headless && (s.header == "" || newHeader(text, s.header) == 0) {
		if s.header = header(text); s.header == "" {
			return nil, nil // not all of it is there yet
		}
	}
	if i := newHeader(text, s.header); i > 0 {
		text = text[:i]
	}
	s.text, s.end, s.lines = text, p.Offset+int64(len(text)), p.Line+bytes.Count(text, []byte("\n"))
	return s, nil
}

// header gives the lines at the beginning of text that say what the others mean: a line sep=X, and either
// the lines of comment that tools such as dmon begin with, or the first line. "" when they are not all there.
func header(text []byte) string {
	end := 0
	line := func() (string, bool) {
		rest := text[end:]
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			return "", false
		}
		return strings.TrimSpace(string(rest[:i])), true
	}
	comments, entity := false, false
	for {
		l, ok := line()
		if !ok {
			return ""
		}
		skip := l == "" || strings.HasPrefix(strings.ToLower(l), "sep=")
		comment := strings.HasPrefix(l, "#") || entity && strings.HasPrefix(l, "ID")
		if comments && !comment {
			return string(text[:end])
		}
		end += bytes.IndexByte(text[end:], '\n') + 1
		comments, entity = comments || comment, entity || strings.HasPrefix(l, "#Entity")
		if !skip && !comment {
			return string(text[:end])
		}
	}
}

// newHeader finds a line that begins with the header's first cell and is not the header; -1 when there is none.
func newHeader(text []byte, header string) int {
	known := []byte(strings.TrimRight(lastLine(header), "\r\n"))
	cell, _, found := bytes.Cut(known, []byte(","))
	if !found || len(cell) == 0 || known[0] == '#' {
		return -1
	}
	cell = append(bytes.Clone(cell), ',')
	for at := 0; at < len(text); {
		if rest := text[at:]; bytes.HasPrefix(rest, cell) {
			if line, _, _ := bytes.Cut(rest, []byte("\n")); !bytes.Equal(bytes.TrimRight(line, "\r"), known) {
				return at
			}
		}
		i := bytes.IndexByte(text[at:], '\n')
		if i < 0 {
			break
		}
		at += i + 1
	}
	return -1
}

func lastLine(header string) string {
	header = strings.TrimRight(header, "\r\n")
	return header[strings.LastIndexByte(header, '\n')+1:]
}

// content is what is uploaded.
func (s *shipment) content() []byte {
	if s.header == "" || bytes.HasPrefix(s.text, []byte(s.header)) {
		return s.text
	}
	return append([]byte(s.header), s.text...)
}

// lineOf gives the file's line that a line of the content stands for; 0 when it is the header's.
func (s *shipment) lineOf(line int) int {
	if before := len(s.content()) - len(s.text); before > 0 {
		line -= strings.Count(s.header, "\n")
	}
	if line < 1 {
		return 0
	}
	return s.first + line - 1
}
