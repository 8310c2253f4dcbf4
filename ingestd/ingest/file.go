package ingest

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"path"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/zeebo/xxh3"
)

// formOverhead is how much larger than the file in it a body may be.
const formOverhead = 1 << 20

// form is a multipart body on its way from the socket.
type form struct {
	*body
	parts *multipart.Reader
	names []string // of the parts that were no file, as far as an answer would list them
}

// openForm refuses by the request's header what needs no look at the body.
func (s *Server) openForm(c *fiber.Ctx) (*form, error) {
	if encoding := c.Get(fiber.HeaderContentEncoding); encoding != "" && encoding != "identity" {
		return nil, refuse(fiber.StatusUnsupportedMediaType, codeEncoding, "the body is sent with Content-Encoding %q; send it plain", encoding)
	}
	kind, attrs, err := mime.ParseMediaType(c.Get(fiber.HeaderContentType))
	if err != nil || kind != fiber.MIMEMultipartForm {
		return nil, refuse(fiber.StatusUnsupportedMediaType, codeNotMultipart,
			"the body is %q; send the file as multipart/form-data in the field \"file\": curl -F file=@export.csv", c.Get(fiber.HeaderContentType))
	}
	if attrs["boundary"] == "" {
		return nil, refuse(fiber.StatusBadRequest, codeBadRequest, "the Content-Type multipart/form-data names no boundary")
	}
	limit := s.cfg.MaxUploadSize + formOverhead
	if int64(c.Request().Header.ContentLength()) > limit {
		return nil, tooLarge(s.cfg.MaxUploadSize)
	}
	b := &body{
		src: c.Context().RequestBodyStream(), deadline: c.Context().SetReadDeadline,
		limit: limit, tooLarge: tooLarge(s.cfg.MaxUploadSize),
		patience: s.cfg.ReadTimeout, minRate: s.cfg.MinRate,
	}
	if b.src == nil {
		b.src = strings.NewReader("") // a request without a body
	}
	return &form{body: b, parts: multipart.NewReader(b, attrs["boundary"])}, nil
}

// file finds the part named file.
func (f *form) file() (*multipart.Part, error) {
	for {
		part, err := f.parts.NextPart()
		switch {
		case err == io.EOF, err != nil && f.read == 0 && errors.Is(err, io.EOF):
			return nil, f.missing()
		case err != nil:
			return nil, formError(err)
		case part.FormName() == "file":
			return part, nil
		case len(f.names) < 10:
			f.names = append(f.names, fmt.Sprintf("%.40q", part.FormName()))
		}
	}
}

func (f *form) missing() error {
	came := "the form has no fields"
	if len(f.names) > 0 {
		came = "the form has only " + strings.Join(slices.Compact(f.names), ", ")
	}
	return refuse(fiber.StatusBadRequest, codeMissingFile, "%s; send the file in the field \"file\": curl -F file=@export.csv", came)
}

// rest reads the form to its end and refuses another file. The file before is whole, so a form that breaks
// off after it is worth no more than a warning.
func (f *form) rest() (warning string, err error) {
	for {
		part, err := f.parts.NextPart()
		switch {
		case err == io.EOF:
			return "", nil
		case err != nil:
			return "the form broke off after the file; the file itself was whole", nil
		case part.FormName() == "file":
			return "", refuse(fiber.StatusBadRequest, codeOneFile,
				"one file per upload: the first one was taken, %q and what follows it were not; send them one by one", baseName(part.FileName()))
		}
	}
}

// formError tells what a broken multipart body means.
func formError(err error) error {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return truncated(err)
	}
	return refuse(fiber.StatusBadRequest, codeBadRequest, "the multipart body is malformed: %v", err)
}

// file is an uploaded file as it is read: counted, hashed, bounded.
type file struct {
	part  io.Reader
	size  int64
	limit int64
	hash  *xxh3.Hasher128
}

func newFile(part io.Reader, limit int64) *file {
	return &file{part: part, limit: limit, hash: xxh3.New128()}
}

func (f *file) Read(p []byte) (int, error) {
	n, err := f.part.Read(p)
	f.size += int64(n)
	_, _ = f.hash.Write(p[:n]) // never fails
	if f.size > f.limit {
		return n, tooLarge(f.limit)
	}
	if err != nil && err != io.EOF {
		return n, formError(err)
	}
	return n, err
}

func (f *file) contentHash() string {
	sum := f.hash.Sum128().Bytes()
	return fmt.Sprintf("xxh3-128:%x", sum)
}

// baseName is a file's name as answers and logs show it: without folders and control characters.
func baseName(name string) string {
	name = path.Base(strings.ReplaceAll(name, `\`, "/"))
	name = strings.Map(func(r rune) rune {
		if isControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, "\uFFFD"))
	if name == "." || name == "/" {
		return ""
	}
	return name[:min(len(name), 255)]
}
