package coding

import (
	"bytes"
	"io"
	"strings"
	"sync"

	"github.com/gofiber/fiber/v2"
	"github.com/klauspost/compress/gzip"
	zstandard "github.com/klauspost/compress/zstd"
)

const (
	leastBytes = 1 << 10 // a smaller answer is sent as it is

	// mostAtOnce bounds the memory of compressions, about a megabyte each. An answer beyond it is sent as it is.
	mostAtOnce = 64

	zstdWindow = 256 << 10
)

// Coder compresses answers. It is safe for concurrent use.
type Coder struct {
	running chan struct{} // holds an element for each compression under way

	gzips, zstds sync.Pool // of encoders that are closed
}

// New returns a coder.
func New() *Coder { return &Coder{running: make(chan struct{}, mostAtOnce)} }

// coderKey is the local value of a request under which Answer leaves the coder for SetStream.
type coderKey struct{}

// Answer is a handler that compresses the answers of the handlers behind it: texts in memory, and streams that they set by
// SetStream.
func (c *Coder) Answer(ctx *fiber.Ctx) error {
	ctx.Locals(coderKey{}, c)
	if err := ctx.Next(); err != nil {
		return err
	}
	resp := ctx.Response()
	if resp.IsBodyStream() || len(resp.Body()) < leastBytes {
		return nil
	}
	coding := c.startCoding(ctx)
	if coding == identity {
		return nil
	}
	defer c.endCoding()
	var packed bytes.Buffer
	err := c.encode(coding, &packed, func(w encoder) error {
		_, err := w.Write(resp.Body())
		return err
	})
	resp.SetBodyRaw(packed.Bytes())
	return err
}

// SetStream sets an answer that is made while it is sent; size is its length, or -1 for one that is not known. The header of
// the answer must be complete. The body is closed when it is sent, or will not be.
func SetStream(ctx *fiber.Ctx, body Body, size int) {
	c, ok := ctx.Locals(coderKey{}).(*Coder)
	if !ok || size >= 0 && size < leastBytes {
		ctx.Context().SetBodyStream(body, size)
		return
	}
	coding := c.startCoding(ctx)
	if coding == identity {
		ctx.Context().SetBodyStream(body, size)
		return
	}
	ctx.Context().SetBodyStream(&packedBody{coder: c, coding: coding, body: body}, -1)
}

// startCoding returns the coding of an answer and sets its header. Unless it is identity, the caller ends it with endCoding.
func (c *Coder) startCoding(ctx *fiber.Ctx) coding {
	if ctx.GetRespHeader(fiber.HeaderContentEncoding) != "" || !isText(ctx.GetRespHeader(fiber.HeaderContentType)) {
		return identity
	}
	ctx.Vary(fiber.HeaderAcceptEncoding)
	if ctx.Method() == fiber.MethodHead || !ctx.Request().Header.IsHTTP11() {
		return identity
	}
	coding := acceptedCoding(ctx.Get(fiber.HeaderAcceptEncoding))
	if coding == identity {
		return identity
	}
	select {
	case c.running <- struct{}{}:
		ctx.Set(fiber.HeaderContentEncoding, string(coding))
		return coding
	default:
		return identity
	}
}

func (c *Coder) endCoding() { <-c.running }

// isText reports whether a media type is of text, which is worth compressing.
func isText(media string) bool {
	media, _, _ = strings.Cut(media, ";")
	return strings.HasPrefix(media, "text/") || strings.HasSuffix(media, "json") || strings.HasSuffix(media, "yaml")
}

// encoder compresses the texts that are written to it.
type encoder interface {
	io.WriteCloser
	Flush() error
	Reset(w io.Writer)
}

// encode writes to w, compressed, the texts that write writes. After an error the compressed text has no end.
func (c *Coder) encode(coding coding, w io.Writer, write func(encoder) error) error {
	pool := &c.gzips
	if coding == zstd {
		pool = &c.zstds
	}
	e, ok := pool.Get().(encoder)
	if !ok {
		var err error
		if e, err = newEncoder(coding); err != nil {
			return err
		}
	}
	e.Reset(w)
	if err := write(e); err != nil {
		return err
	}
	err := e.Close()
	e.Reset(nil) // drops the reference to w
	pool.Put(e)
	return err
}

func newEncoder(c coding) (encoder, error) {
	if c == zstd {
		return zstandard.NewWriter(nil, zstandard.WithEncoderLevel(zstandard.SpeedFastest), zstandard.WithEncoderConcurrency(1),
			zstandard.WithLowerEncoderMem(true), zstandard.WithWindowSize(zstdWindow))
	}
	return gzip.NewWriterLevel(nil, gzip.BestSpeed)
}
