package ingest

import (
	"io"
	"time"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/ingestd/unpack"
)

// packed is a file, or a whole body, whose text may be packed. It is opened by the first read, so that
// nothing waits for the sender before its time.
type packed struct {
	src  io.Reader
	open func(io.Reader) (*unpack.Reader, error)
	text *unpack.Reader // nil until opened
	err  error          // why it cannot be opened
}

// unpacked takes off what is recognised at the beginning of a file.
func (s *Server) unpacked(src io.Reader) *packed {
	return &packed{src: src, open: func(r io.Reader) (*unpack.Reader, error) { return unpack.Open(r, s.packing) }}
}

// decoded takes off a body's Content-Encoding.
func (s *Server) decoded(src io.Reader, encoding string) *packed {
	return &packed{src: src, open: func(r io.Reader) (*unpack.Reader, error) { return unpack.Decode(r, encoding, s.packing) }}
}

func (p *packed) Read(b []byte) (int, error) {
	if p.text == nil && p.err == nil {
		text, err := p.open(p.src)
		p.text, p.err = text, unpackError(err)
	}
	if p.err != nil {
		return 0, p.err
	}
	n, err := p.text.Read(b)
	return n, unpackError(err)
}

// layers names what was taken off; nil when nothing was, or the beginning has not been read.
func (p *packed) layers() []string {
	if p.text == nil {
		return nil
	}
	return p.text.Layers()
}

// bombPatience is how long more of a live stream is waited for to find out whether it is a bomb.
const bombPatience = 2 * time.Second

// blame finds the error to tell of a file that was refused by how its text begins: what unpacks to no end is not
// merely no telemetry.
func (f *file) blame(text *packed, err error) error {
	if !costsOneFile(err) {
		return err
	}
	if f.live != nil {
		f.live.patience = min(f.live.patience, bombPatience)
	}
	for _, p := range []*packed{text, f.coded} {
		if p == nil || p.text == nil {
			continue
		}
		if bomb := p.text.Probe(); bomb != nil {
			return unpackError(bomb)
		}
	}
	return err
}

func (p *packed) close() {
	if p.text != nil {
		p.text.Close()
	}
}

// unpackError makes a refusal of what is wrong with a packed file; every other error stays as it is.
func unpackError(err error) error {
	e, ok := err.(*unpack.Error)
	if !ok {
		return err
	}
	switch e.Kind {
	case unpack.TooLarge:
		return refuse(fiber.StatusRequestEntityTooLarge, codeTooLarge, "%s", e.Error()).because(e)
	case unpack.Bomb:
		return refuse(fiber.StatusRequestEntityTooLarge, codeBomb, "%s", e.Error()).because(e)
	case unpack.Locked:
		return refuse(fiber.StatusUnprocessableEntity, codeLocked, "%s", e.Error()).because(e)
	case unpack.Unsupported:
		return refuse(fiber.StatusUnsupportedMediaType, codePacking, "%s", e.Error()).because(e)
	default:
		return refuse(fiber.StatusBadRequest, codeDamaged, "%s", e.Error()).because(e)
	}
}
