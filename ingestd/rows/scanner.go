package rows

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// Options are the settings of a Scanner. The zero value of each field means its default.
type Options struct {
	Form       Form // how the text falls into rows
	Separator  byte // ',' ';' or tab; 0: found by Header, ',' without it
	MaxLine    int  // longest row in bytes, default 64 KiB; a longer one is a fault
	MaxHeader  int  // longest header in bytes, default 1 MiB; rows may be as long as it is
	BlockBytes int  // bytes read at a time, default 256 KiB; raised to hold a longest row
	BatchRows  int  // most rows in a batch, default 4,096; fewer where a row has many cells
	Live       bool // the text is still being written: do not wait for more of it when there is a row

	Memory []byte // for the beginning of the text, as Scanner.Memory of an earlier scanner returned it; may be nil
}

func (o Options) withDefaults() Options {
	o.MaxLine = cmp.Or(max(o.MaxLine, 0), 64<<10)
	o.MaxHeader = max(cmp.Or(max(o.MaxHeader, 0), 1<<20), o.MaxLine)
	o.BlockBytes = max(cmp.Or(max(o.BlockBytes, 0), 256<<10), o.MaxLine+lineEnd)
	o.BatchRows = cmp.Or(max(o.BatchRows, 0), 4096)
	return o
}

// lineEnd is the length in bytes of the longest line end.
const lineEnd = len("\r\n")

// Scanner cuts a reader's text into batches of rows. It is not safe for concurrent use.
type Scanner struct {
	src        io.Reader
	opt        Options
	form       Form
	sep        byte
	header     [][]byte
	headers    *headerTracker // nil: no header was read
	leaveTails bool

	started bool   // the byte order mark has been read
	rest    []byte // bytes read that are in no batch yet
	readErr error  // the reader's last error: io.EOF or a failure; nil while it may have more
	line    int    // lines before rest
	long    longLine
	memory  []byte // the memory of the text's beginning

	rejected      []Rejection // lines that RejectLine took and that are in no batch yet
	rejectedSizes []int
}

// NewScanner returns a scanner of r. It reads nothing yet.
func NewScanner(r io.Reader, opt Options) *Scanner {
	opt = opt.withDefaults()
	return &Scanner{src: r, opt: opt, form: opt.Form, sep: cmp.Or(opt.Separator, ',')}
}

// SetForm changes the form of the rows to come: often only the header, or a Peek, shows it.
func (s *Scanner) SetForm(f Form) { s.form = f }

// LeaveTails makes the scanner leave the cells of a row, from the first with doubled quotes on, unsplit in Row.Tail,
// in form Quoted. Unescaping quotes costs more than the rest of the work on a row of labels, and is wasted where the
// same bytes were seen before.
func (s *Scanner) LeaveTails() { s.leaveTails = true }

// Separator returns the separator in use.
func (s *Scanner) Separator() byte { return s.sep }

// Peek returns the next n bytes (fewer at the end, at most BlockBytes) without consuming them. It leaves out a byte
// order mark at the beginning. With Options.Live it returns at most the first line that is not blank, however much
// has arrived. It returns an error of the reader only when there are no bytes at all. The bytes are valid until the
// next call.
func (s *Scanner) Peek(n int) ([]byte, error) {
	s.detectEncoding()
	n = min(n, s.opt.BlockBytes)
	for len(s.rest) < n && s.readErr == nil && !(s.opt.Live && firstLine(s.rest) > 0) {
		s.rest = slices.Grow(s.rest, min(n-len(s.rest), max(len(s.rest), firstRead)))
		m := len(s.rest)
		s.rest = s.rest[:m+s.readFull(s.rest[m:min(n, cap(s.rest))])]
		s.memory = s.rest[:0]
	}
	if len(s.rest) == 0 && s.readErr != nil {
		return nil, s.endError()
	}
	if line := firstLine(s.rest); s.opt.Live && line > 0 {
		n = min(n, line)
	}
	return s.rest[:min(n, len(s.rest))], nil
}

// firstRead is the size of the first read of a text, which is enough for many small files.
const firstRead = 4 << 10

// IsRead reports whether all of the text has been read, to its clean end, so that Next does not wait for any of it.
func (s *Scanner) IsRead() bool { return s.readErr == io.EOF }

// Memory returns memory for the Options of another scanner, once this one and its Peek's results are not used any more.
func (s *Scanner) Memory() []byte { return s.memory }

// firstLine returns the end of the first line that is not blank, or 0 if text does not hold it.
func firstLine(text []byte) int {
	blank := len(text) - len(bytes.TrimLeft(text, " \t\r\n"))
	if end := bytes.IndexByte(text[blank:], '\n'); end >= 0 {
		return blank + end + 1
	}
	return 0
}

// Next fills b with the next rows and reuses its memory. It waits for a full block, a full batch or the end of the
// text, and with Options.Live only for the end of a row. At the end it returns io.EOF, or the reader's own error,
// wrapped: then the unterminated last row was dropped, and every complete row before it was delivered. A batch and an
// error never come together.
func (s *Scanner) Next(b *Batch) error {
	s.detectEncoding()
	if s.fillRejected(b) {
		return nil
	}
	return s.fillBatch(b, min(s.opt.BatchRows, max(batchCells/max(len(s.header), 1), 1)))
}

// batchCells bounds the cells of a batch where the header shows the number of cells in a row: each cell may become a
// record, which takes more memory than its text.
const batchCells = 64 << 10

// detectEncoding reads the byte order mark, if there is one. It converts text in UTF-16 to UTF-8.
func (s *Scanner) detectEncoding() {
	if s.started {
		return
	}
	s.started = true
	head := s.readBOM()
	if bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff")) {
		encoded := io.MultiReader(bytes.NewReader(head), &endedReader{s.src, s.readErr})
		s.src, s.readErr = transform.NewReader(encoded, unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM).NewDecoder()), nil
		head = nil
	}
	s.rest = bytes.TrimPrefix(head, []byte(utf8BOM))
}

const utf8BOM = "\xef\xbb\xbf"

// readBOM reads as many bytes as the longest byte order mark has.
func (s *Scanner) readBOM() []byte {
	head := s.opt.Memory[:0]
	if cap(head) < len(utf8BOM) {
		head = make([]byte, 0, firstRead)
	}
	s.memory = head
	for len(head) < len(utf8BOM) && s.readErr == nil {
		head = head[:len(head)+s.readSome(head[len(head):len(utf8BOM)])]
	}
	return head
}

// endedReader is a reader whose end may have been read already.
type endedReader struct {
	io.Reader
	readErr error
}

func (r *endedReader) Read(p []byte) (int, error) {
	if r.readErr != nil {
		return 0, r.readErr
	}
	return r.Reader.Read(p)
}

// readFull fills buf unless the reader ends first, and records that end. With Options.Live it returns after the first
// bytes.
func (s *Scanner) readFull(buf []byte) int {
	n := 0
	for n < len(buf) && s.readErr == nil {
		n += s.readSome(buf[n:])
		if s.opt.Live {
			break
		}
	}
	return n
}

// readSome reads at least one byte unless the reader ends, and records that end.
func (s *Scanner) readSome(buf []byte) (n int) {
	for idle := 0; n == 0 && s.readErr == nil; idle++ {
		n, s.readErr = s.src.Read(buf)
		if n == 0 && s.readErr == nil && idle == 100 {
			s.readErr = io.ErrNoProgress
		}
	}
	return n
}

// fillBatch fills b with at most limit rows.
func (s *Scanner) fillBatch(b *Batch, limit int) error {
	b.resetFor(s)
	for wait := !s.opt.Live; len(b.extents) == 0; wait = true {
		n := copy(b.text, s.rest)
		if wait || n == 0 {
			n += s.readFull(b.text[n:])
		}
		if n == 0 && !s.endLong(b) {
			return s.endError()
		}
		c := cutter{s: s, b: b, text: b.text[:n], limit: limit}
		c.cutRows()
		if n > 0 && c.pos == 0 && s.readErr != nil {
			return s.endError()
		}
		b.used = c.pos
		s.rest = append(s.rest[:0], c.text[c.pos:]...)
	}
	return nil
}

// atCleanEnd reports whether the text is complete: nothing follows, and the reader has not failed.
func (s *Scanner) atCleanEnd() bool { return s.readErr == io.EOF }

// endError returns the error that the caller sees at the reader's end.
func (s *Scanner) endError() error {
	if s.atCleanEnd() {
		return io.EOF
	}
	return fmt.Errorf("reading rows after line %d: %w", s.line, s.readErr)
}
