package intake

import (
	"io"
	"mime"
	"time"

	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/unpack"
)

// Source yields the files of an upload, one after another.
type Source interface {
	// NextFile returns the next file, or io.EOF behind the last. It may be called when the file before was not read to its
	// end. Any other error ends the upload; the files returned before are not affected.
	NextFile() (*File, error)
	// Warning returns a warning about an upload whose files are whole; "" is none.
	Warning() string
}

// Config bounds uploads on their way from the socket.
type Config struct {
	MaxUploadSize int64         // bytes of one upload as it is sent, all its files together
	ReadTimeout   time.Duration // for the next bytes of a body
	MinRate       int64         // bytes per second that an upload must reach on average
	Limits        Limits
	Streams       Streams
	Unpacking     unpack.Options
}

// BodyLimit returns how many bytes a body of a media type may have: the files, and a form's text around them.
func (c Config) BodyLimit(kind string) int64 {
	if kind == FormType {
		return c.MaxUploadSize + formOverhead
	}
	return c.MaxUploadSize
}

// FormType is the media type of a body that holds files as parts.
const FormType = "multipart/form-data"

// Request is the part of an upload's request that concerns its bytes.
type Request struct {
	ContentType, ContentEncoding string // of the header
	ContentLength                int64  // by the header; negative: it does not say
	Name                         string // of a file that is the body itself
	Live                         bool   // the text may still be being written
	Text                         io.Reader
	SetReadDeadline              func(time.Time) error // on the connection
}

// Open returns the files in a request's body. It refuses by the request's header everything that needs no look at the body.
func Open(r Request, cfg Config) (*Body, Source, error) {
	kind, attrs, err := mime.ParseMediaType(r.ContentType)
	if err != nil && r.ContentType != "" {
		return nil, nil, answer.Refuse(answer.CodeContentType, "the Content-Type %q cannot be read: %v", r.ContentType, err)
	}
	limit := cfg.BodyLimit(kind)
	if r.ContentLength > limit {
		return nil, nil, answer.TooLarge(cfg.MaxUploadSize)
	}
	b := NewBody(r.Text, r.ContentLength, r.SetReadDeadline, cfg)
	b.limit = limit
	if r.Live {
		cfg.Streams.applyTo(b, cfg.MaxUploadSize)
	}
	text, most := io.Reader(b), cfg.MaxUploadSize
	var coded *Packed
	if r.ContentEncoding != "" {
		coded = decodeBody(b, r.ContentEncoding, cfg.Unpacking)
		text, most = coded, cfg.Limits.UnpackedSize
	}
	if kind == FormType {
		src, err := newForm(b, text, attrs["boundary"], cfg.Limits.Files, most)
		return b, src, err
	}
	return b, &rawBody{text: text, decoded: coded, body: b, name: r.Name}, CheckRawType(kind)
}
