package coding

import (
	"bufio"
	"errors"
	"io"
	"sync"
)

// Body is an answer that is made while it is sent.
type Body interface {
	io.Reader
	io.WriterTo
	io.Closer
}

// packedBody compresses a body while it is sent.
type packedBody struct {
	coder  *Coder
	coding coding
	body   Body
	ended  sync.Once
}

// errWriteTo is the error of Read: fasthttp calls WriteTo.
var errWriteTo = errors.New("a compressed answer is written, not read")

// Read returns an error: see SupportsBodyWriteTo.
func (b *packedBody) Read([]byte) (int, error) { return 0, errWriteTo }

// SupportsBodyWriteTo reports to fasthttp that it can call WriteTo in place of Read.
func (b *packedBody) SupportsBodyWriteTo() bool { return true }

// WriteTo sends the compressed body. After an error of the body the compressed text has no end, which its reader notices.
func (b *packedBody) WriteTo(w io.Writer) (int64, error) {
	out := &countingWriter{w: w}
	pieces := bufio.NewWriterSize(out, 32<<10)
	err := b.coder.encode(b.coding, pieces, func(e encoder) error {
		_, err := b.body.WriteTo(&flushingWriter{e, pieces})
		return err
	})
	if err == nil {
		err = pieces.Flush()
	}
	return out.n, err
}

// Close closes the body.
func (b *packedBody) Close() (err error) {
	b.ended.Do(func() {
		b.coder.endCoding()
		err = b.body.Close()
	})
	return err
}

// flushingWriter compresses each text that is written, and sends it at once.
type flushingWriter struct {
	packed encoder
	pieces *bufio.Writer
}

// Write compresses and sends a text.
func (f *flushingWriter) Write(p []byte) (int, error) {
	n, err := f.packed.Write(p)
	if err == nil {
		err = f.packed.Flush()
	}
	if err == nil {
		err = f.pieces.Flush()
	}
	return n, err
}

type countingWriter struct {
	w io.Writer
	n int64
}

// Write writes to w.
func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
