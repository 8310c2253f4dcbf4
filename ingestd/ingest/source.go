package ingest

import (
	"cmp"
	"io"
	"mime"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// source yields the files of an upload, one after another.
type source interface {
	// next gives the next file, or io.EOF behind the last. It may be asked when the file before it was not
	// read to its end. Any other error ends the upload; files that were given before it are not touched by it.
	next() (*file, error)
	// trouble tells what a person should know of the upload although all its files are whole; "" is nothing.
	trouble() string
}

// openSource finds the files in a request's body. It refuses by the request's header what needs no look at
// the body.
func (s *Server) openSource(c *fiber.Ctx, p parameters) (*body, source, error) {
	declared := c.Get(fiber.HeaderContentType)
	kind, attrs, err := mime.ParseMediaType(declared)
	if err != nil && declared != "" {
		return nil, nil, refuse(fiber.StatusUnsupportedMediaType, codeContentType, "the Content-Type %q cannot be read: %v", declared, err)
	}
	if int64(c.Request().Header.ContentLength()) > s.bodyLimit(kind) {
		return nil, nil, tooLarge(s.cfg.MaxUploadSize)
	}
	b := s.bodyOf(c, s.bodyLimit(kind))
	if isLive(c, p) {
		s.cfg.Streams.liven(b, s.cfg.MaxUploadSize)
	}
	text, limit := io.Reader(b), s.cfg.MaxUploadSize
	var coded *packed
	if encoding := c.Get(fiber.HeaderContentEncoding); encoding != "" {
		coded = s.decoded(b, encoding)
		text, limit = coded, s.cfg.Limits.UnpackedSize
	}
	if kind == fiber.MIMEMultipartForm {
		src, err := newForm(b, text, attrs["boundary"], s.cfg.Limits.Files, limit)
		return b, src, err
	}
	return b, &raw{text: text, coded: coded, b: b, name: cmp.Or(p.name, rawName(c))}, checkRawType(kind)
}

func isForm(c *fiber.Ctx) bool {
	kind, _, err := mime.ParseMediaType(c.Get(fiber.HeaderContentType))
	return err == nil && kind == fiber.MIMEMultipartForm
}

// bodyLimit is how large a body may be: the files, and what a form puts around them.
func (s *Server) bodyLimit(kind string) int64 {
	if kind == fiber.MIMEMultipartForm {
		return s.cfg.MaxUploadSize + formOverhead
	}
	return s.cfg.MaxUploadSize
}

func (s *Server) bodyOf(c *fiber.Ctx, limit int64) *body {
	var src io.Reader = c.Context().RequestBodyStream()
	if src == nil {
		src = strings.NewReader("") // a request without a body
	}
	return &body{
		src: src, declared: int64(c.Request().Header.ContentLength()), deadline: c.Context().SetReadDeadline,
		limit: limit, tooLarge: tooLarge(s.cfg.MaxUploadSize),
		patience: s.cfg.ReadTimeout, minRate: s.cfg.MinRate,
	}
}
