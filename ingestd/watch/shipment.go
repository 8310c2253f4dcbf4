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

// maxShipment bounds what goes in one upload; a longer backlog goes in several. Where nothing in it can be used, as when a
// driver was away for a day, more and more goes along, up to maxUnusable, until something can.
const (
	maxShipment = 4 << 20
	maxUnusable = 64 << 20
)

// next reads the complete rows behind p, of at most so many bytes; nil when there are none. A line that leaves a quote open
// waits for the rest of its row, unless the file is settled. Text that has no header (headless) is
// shipped as it is. A line that names columns like the header and says something else is a new header, which the tool that
// writes the log has made after an upgrade: it begins a shipment of its own.
func next(file io.ReaderAt, now look, p *progress, headless bool, most int64) (*shipment, error) {
	raw := make([]byte, min(now.size-p.Offset, most))
	n, err := file.ReadAt(raw, p.Offset)
	if err != nil && err != io.EOF {
		return nil, err
	}
	in := charsetOf(file)
	all := in.decode(raw[:n], p.Offset == 0)
	text := all[:bytes.LastIndexByte(all, '\n')+1]
	if len(text) == 0 && int64(n) == most {
		text = all // no line is as long; the server says so, line by line
	}
	if len(text) == 0 {
		return nil, nil
	}
	s := &shipment{header: p.Header, first: p.Line + 1}
	if headless = headless || s.header == "" && isSample(text); !headless && (s.header == "" || newHeader(text, s.header) == 0) {
		if s.header = header(text); s.header == "" {
			return nil, nil // not all of it is there yet
		}
	}
	if i := newHeader(text, s.header); i > 0 {
		text = text[:i]
	} else if !now.settled {
		if text = whole(text, s.header); len(text) == 0 {
			return nil, nil
		}
	}
	s.text, s.end, s.lines = text, p.Offset+in.size(text, p.Offset == 0), p.Line+bytes.Count(text, []byte("\n"))
	return s, nil
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
