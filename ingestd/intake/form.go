package intake

import (
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"slices"
	"strings"

	"telemetry-pipeline/ingestd/answer"
)

// formOverhead is how much larger than the files in it a form may be.
const formOverhead = 1 << 20

// form is a multipart body on its way from the socket. Its files are the parts named file.
type form struct {
	b           *Body
	parts       *multipart.Reader
	maxFiles    int      // files
	files       int      // files
	size        int64    // of the files so far
	limit       int64    // of all files together
	otherFields []string // of the parts that were no file, as far as an answer would list them
	brokenOff   bool     // off, behind a whole file
}

// newForm reads a form's text: b itself, or b without its Content-Encoding.
func newForm(b *Body, text io.Reader, boundary string, most int, limit int64) (*form, error) {
	if boundary == "" {
		return nil, answer.Refuse(answer.CodeBadRequest, "the Content-Type multipart/form-data names no boundary")
	}
	return &form{b: b, parts: multipart.NewReader(text, boundary), maxFiles: most, limit: limit}, nil
}

func (f *form) NextFile() (*File, error) {
	for {
		part, err := f.parts.NextPart()
		switch {
		case err == io.EOF, err != nil && f.b.read == 0 && errors.Is(err, io.EOF):
			return nil, f.endError()
		case err != nil:
			return nil, f.partError(formError(err))
		case part.FormName() == "file":
			return f.openPart(part)
		case len(f.otherFields) < 10:
			f.otherFields = append(f.otherFields, fmt.Sprintf("%.40q", part.FormName()))
		}
	}
}

func (f *form) openPart(part *multipart.Part) (*File, error) {
	if f.files == f.maxFiles {
		return nil, answer.Refuse(answer.CodeTooManyFiles,
			"the upload has more than %d files, the most this server takes at a time; %q and what follows it were not read; send them apart",
			f.maxFiles, BaseName(part.FileName()))
	}
	f.files++
	return NewFile(BaseName(part.FileName()), formText{part, f}, f.b.StopReading), nil
}

// endError returns the error at the form's end: io.EOF, or a refusal when no file was in it.
func (f *form) endError() error {
	if f.files > 0 {
		return io.EOF
	}
	came := "the form has no fields"
	if len(f.otherFields) > 0 {
		came = "the form has only " + strings.Join(slices.Compact(f.otherFields), ", ")
	}
	return answer.Refuse(answer.CodeMissingFile, "%s; send the file in the field \"file\": curl -F file=@export.csv", came)
}

// partError returns the error of a missing next part. If it merely did not arrive and a file was there, the error is
// only a warning, since that file is whole.
func (f *form) partError(err error) error {
	if r, ok := errors.AsType[*answer.Refusal](err); f.files > 0 && ok && r.Code == answer.CodeTruncated {
		f.brokenOff = true
		return io.EOF
	}
	return err
}

func (f *form) Warning() string {
	if f.brokenOff {
		return "the form broke off after the file; the file itself was whole"
	}
	return ""
}

// formText is the content of a part.
type formText struct {
	part *multipart.Part
	form *form
}

func (t formText) Read(p []byte) (int, error) {
	n, err := t.part.Read(p)
	if t.form.size += int64(n); t.form.size > t.form.limit {
		return n, answer.TooLarge(t.form.limit)
	}
	if err != nil && err != io.EOF {
		return n, formError(err)
	}
	return n, err
}

// formError returns the refusal for a broken multipart body.
func formError(err error) error {
	if r, ok := errors.AsType[*answer.Refusal](err); ok {
		return r
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return answer.TruncatedBody(err)
	}
	return answer.Refuse(answer.CodeBadRequest, "the multipart body is malformed: %v", err)
}
