package intake

import (
	"io"
	"time"

	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/unpack"
)

// Packed is a file, or a whole body, whose text may be packed. It is opened by the first read, so that
// nothing waits for the sender before its time.
type Packed struct {
	src  io.Reader
	open func(io.Reader) (*unpack.Reader, error)
	text *unpack.Reader // nil until opened
	err  error          // why it cannot be opened
}

// Unpack returns a reader of a file's text without the packing that its beginning shows.
func Unpack(src io.Reader, bounds unpack.Options) *Packed {
	return &Packed{src: src, open: func(r io.Reader) (*unpack.Reader, error) { return unpack.Open(r, bounds) }}
}

// decodeBody returns a reader of a body without its Content-Encoding.
func decodeBody(src io.Reader, encoding string, bounds unpack.Options) *Packed {
	return &Packed{src: src, open: func(r io.Reader) (*unpack.Reader, error) { return unpack.Decode(r, encoding, bounds) }}
}

// Read returns text. Its error is a refusal when the packing is at fault.
func (p *Packed) Read(b []byte) (int, error) {
	if p.text == nil && p.err == nil {
		text, err := p.open(p.src)
		p.text, p.err = text, refuseUnpack(err)
	}
	if p.err != nil {
		return 0, p.err
	}
	n, err := p.text.Read(b)
	return n, refuseUnpack(err)
}

// Layers returns the packings that were removed, outermost first; nil before the first read and for plain text.
func (p *Packed) Layers() []string {
	if p.text == nil {
		return nil
	}
	return p.text.Layers()
}

// bombPatience is how long more of a live stream is waited for to find out whether it is a bomb.
const bombPatience = 2 * time.Second

// DetectBomb returns the error to answer for a file whose text begins like no telemetry: if the text unpacks without end,
// that is the reason.
func (f *File) DetectBomb(text *Packed, err error) error {
	if !answer.CostsOneFile(err) {
		return err
	}
	if f.Live != nil {
		f.Live.readTimeout = min(f.Live.readTimeout, bombPatience)
	}
	for _, p := range []*Packed{text, f.bodyText} {
		if p == nil || p.text == nil {
			continue
		}
		if bomb := p.text.ProbeRatio(); bomb != nil {
			return refuseUnpack(bomb)
		}
	}
	return err
}

// Close releases the decoders.
func (p *Packed) Close() {
	if p.text != nil {
		p.text.Close()
	}
}

// refuseUnpack returns the refusal for an error of unpacking; every other error stays as it is.
func refuseUnpack(err error) error {
	e, ok := err.(*unpack.Error)
	if !ok {
		return err
	}
	switch e.Kind {
	case unpack.TooLarge:
		return answer.Refuse(answer.CodeTooLarge, "%s", e.Error()).WithCause(e)
	case unpack.Bomb:
		return answer.Refuse(answer.CodeUnpackRatio, "%s", e.Error()).WithCause(e)
	case unpack.Locked:
		return answer.Refuse(answer.CodeEncrypted, "%s", e.Error()).WithCause(e)
	case unpack.Unsupported:
		return answer.Refuse(answer.CodePacking, "%s", e.Error()).WithCause(e)
	default:
		return answer.Refuse(answer.CodeDamaged, "%s", e.Error()).WithCause(e)
	}
}
