package ingest

import (
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// formOverhead is how much larger than the files in it a form may be.
const formOverhead = 1 << 20

// form is a multipart body on its way from the socket. Its files are the parts named file.
type form struct {
	b      *body
	parts  *multipart.Reader
	most   int      // files
	given  int      // files
	size   int64    // of the files so far
	limit  int64    // of all files together
	names  []string // of the parts that were no file, as far as an answer would list them
	broken bool     // off, behind a whole file
}

// newForm reads a form's text, which is b's or what b's unpacks to.
func newForm(b *body, text io.Reader, boundary string, most int, limit int64) (*form, error) {
	if boundary == "" {
		return nil, refuse(fiber.StatusBadRequest, codeBadRequest, "the Content-Type multipart/form-data names no boundary")
	}
	return &form{b: b, parts: multipart.NewReader(text, boundary), most: most, limit: limit}, nil
}

func (f *form) next() (*file, error) {
	for {
		part, err := f.parts.NextPart()
		switch {
		case err == io.EOF, err != nil && f.b.read == 0 && errors.Is(err, io.EOF):
			return nil, f.end()
		case err != nil:
			return nil, f.brokenOff(formError(err))
		case part.FormName() == "file":
			return f.file(part)
		case len(f.names) < 10:
			f.names = append(f.names, fmt.Sprintf("%.40q", part.FormName()))
		}
	}
}

func (f *form) file(part *multipart.Part) (*file, error) {
	if f.given == f.most {
		return nil, refuse(fiber.StatusRequestEntityTooLarge, codeTooManyFiles,
			"the upload has more than %d files, the most this server takes at a time; %q and what follows it were not read; send them apart",
			f.most, baseName(part.FileName()))
	}
	f.given++
	return newFile(baseName(part.FileName()), formText{part, f}, f.b.stop), nil
}

// end is what a form that came to its end means.
func (f *form) end() error {
	if f.given > 0 {
		return io.EOF
	}
	came := "the form has no fields"
	if len(f.names) > 0 {
		came = "the form has only " + strings.Join(slices.Compact(f.names), ", ")
	}
	return refuse(fiber.StatusBadRequest, codeMissingFile, "%s; send the file in the field \"file\": curl -F file=@export.csv", came)
}

// brokenOff is what it means that no next part can be had. One that merely does not come is worth no more
// than a warning when a file was there: that one is whole.
func (f *form) brokenOff(err error) error {
	if r, ok := errors.AsType[*refusal](err); f.given > 0 && ok && r.code == codeTruncated {
		f.broken = true
		return io.EOF
	}
	return err
}

func (f *form) trouble() string {
	if f.broken {
		return "the form broke off after the file; the file itself was whole"
	}
	return ""
}

// formText is the content of a part.
type formText struct {
	part *multipart.Part
	of   *form
}

func (t formText) Read(p []byte) (int, error) {
	n, err := t.part.Read(p)
	if t.of.size += int64(n); t.of.size > t.of.limit {
		return n, tooLarge(t.of.limit)
	}
	if err != nil && err != io.EOF {
		return n, formError(err)
	}
	return n, err
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
