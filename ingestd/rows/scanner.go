package rows

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
)

// Options say how a file is read. The zero value of each field means its default.
type Options struct {
	Form       Form // how the text falls into rows
	Separator  byte // ',' ';' or tab; 0: found by Header, ',' without it
	MaxLine    int  // longest row in bytes, default 64 KiB; a longer one is a fault
	MaxHeader  int  // longest header in bytes, default 1 MiB; rows may be as long as it is
	BlockBytes int  // bytes read at a time, default 256 KiB; raised to hold a longest row
	BatchRows  int  // most rows in a batch, default 4,096; fewer where a row has many cells
}

func (o Options) withDefaults() Options {
	o.MaxLine = cmp.Or(max(o.MaxLine, 0), 64<<10)
	o.MaxHeader = max(cmp.Or(max(o.MaxHeader, 0), 1<<20), o.MaxLine)
	o.BlockBytes = max(cmp.Or(max(o.BlockBytes, 0), 256<<10), o.MaxLine+lineEnd)
	o.BatchRows = cmp.Or(max(o.BatchRows, 0), 4096)
	return o
}

// lineEnd is the most bytes that end a line.
const lineEnd = len("\r\n")

// ErrUTF16 refuses text with a UTF-16 byte order mark.
var ErrUTF16 = errors.New("the text is UTF-16; save it as UTF-8 (in PowerShell: | Out-File -Encoding utf8)")

// Scanner cuts a reader's text into batches of rows. Not safe for concurrent use.
type Scanner struct {
	src    io.Reader
	opt    Options
	form   Form
	sep    byte
	header [][]byte

	started bool   // the byte order mark is gone
	rest    []byte // read, but in no batch yet
	ended   error  // what the reader ended with: io.EOF or a failure
	line    int    // lines before rest
	long    longLine
}

// NewScanner prepares to read r; it reads nothing yet.
func NewScanner(r io.Reader, opt Options) *Scanner {
	opt = opt.withDefaults()
	return &Scanner{src: r, opt: opt, form: opt.Form, sep: cmp.Or(opt.Separator, ',')}
}

// SetForm changes the form of the rows to come, for it may be known only by the header, or by a Peek.
func (s *Scanner) SetForm(f Form) {
	s.form = f
	for i, cell := range s.header {
		if f == Plain {
			s.header[i] = trimBlanks(cell)
		}
	}
}

// Separator is the separator in use.
func (s *Scanner) Separator() byte { return s.sep }

// Peek gives the next n bytes (fewer at the end, at most BlockBytes) without consuming them, a UTF-8 byte
// order mark at the beginning left out. An error of the reader is given only when there are no bytes at
// all. The bytes are valid until the next call.
func (s *Scanner) Peek(n int) ([]byte, error) {
	if err := s.start(); err != nil {
		return nil, err
	}
	n = min(n, s.opt.BlockBytes)
	if len(s.rest) < n {
		buf := make([]byte, n)
		m := copy(buf, s.rest)
		s.rest = buf[:m+s.read(buf[m:])]
	}
	if len(s.rest) == 0 && s.ended != nil {
		return nil, s.failure()
	}
	return s.rest[:min(n, len(s.rest))], nil
}

// Next fills b with the next rows, reusing its memory. It waits for a full block, a full batch or the end
// of the text. At the end it gives io.EOF, or the reader's own error, wrapped: then the unterminated last
// row was dropped, and every complete row before it was given. A batch and an error never come together.
func (s *Scanner) Next(b *Batch) error {
	if err := s.start(); err != nil {
		return err
	}
	return s.fill(b, min(s.opt.BatchRows, max(batchCells/max(len(s.header), 1), 1)))
}

// batchCells bounds the cells of a batch where the header tells how many a row has: each may become a record,
// which takes more memory than its text.
const batchCells = 64 << 10

// start reads the byte order mark, if there is one.
func (s *Scanner) start() error {
	if s.started {
		return nil
	}
	head := make([]byte, len(utf8Mark))
	s.rest = head[:s.read(head)]
	if bytes.HasPrefix(s.rest, []byte("\xff\xfe")) || bytes.HasPrefix(s.rest, []byte("\xfe\xff")) {
		return ErrUTF16
	}
	s.rest = bytes.TrimPrefix(s.rest, []byte(utf8Mark))
	s.started = true
	return nil
}

const utf8Mark = "\xef\xbb\xbf"

// read fills buf unless the reader ends first, which it notes.
func (s *Scanner) read(buf []byte) int {
	n, idle := 0, 0
	for n < len(buf) && s.ended == nil {
		m, err := s.src.Read(buf[n:])
		n += m
		if idle++; m > 0 {
			idle = 0
		}
		if err == nil && idle == 100 {
			err = io.ErrNoProgress
		}
		s.ended = err
	}
	return n
}

// fill makes a batch of at most limit rows.
func (s *Scanner) fill(b *Batch, limit int) error {
	b.reset(s)
	for len(b.extents) == 0 {
		n := copy(b.text, s.rest)
		n += s.read(b.text[n:])
		if n == 0 && !s.endLong(b) {
			return s.failure()
		}
		c := cutter{s: s, b: b, text: b.text[:n], limit: limit}
		c.cut()
		if n > 0 && c.pos == 0 && s.ended != nil {
			return s.failure()
		}
		b.used = c.pos
		s.rest = append(s.rest[:0], c.text[c.pos:]...)
	}
	return nil
}

// clean tells that the text is whole: nothing follows, and the reader has not failed.
func (s *Scanner) clean() bool { return s.ended == io.EOF }

// failure is what the caller learns of the reader's end.
func (s *Scanner) failure() error {
	if s.clean() {
		return io.EOF
	}
	return fmt.Errorf("reading rows after line %d: %w", s.line, s.ended)
}
