package ingest

import (
	"io"
	"mime"
	"net/url"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// raw is a body that is a file itself.
type raw struct {
	text  io.Reader
	coded *packed // the text, when that is the body without its Content-Encoding
	b     *body
	name  string
	given bool
}

func (r *raw) next() (*file, error) {
	if r.given {
		return nil, io.EOF
	}
	r.given = true
	f := newFile(r.name, r.text, r.b.stop)
	f.alone, f.coded = true, r.coded
	if r.b.live {
		f.live = r.b
	}
	return f, nil
}

func (r *raw) trouble() string { return "" }

// rawTypes are the types under which a file may come as the body itself. Without a type, or as a mere run of
// bytes, its content alone decides.
var rawTypes = []string{
	"", fiber.MIMEOctetStream, "text/csv", "text/plain", "text/tab-separated-values", "application/csv",
	"application/vnd.ms-excel", // as Windows calls CSV
	"application/openmetrics-text", "application/gzip", "application/x-gzip", "application/zstd", "application/age", "application/x-age",
}

// rawName is the file's name as the request's header or path has it, if they do.
func rawName(c *fiber.Ctx) string {
	if _, attrs, err := mime.ParseMediaType(c.Get(fiber.HeaderContentDisposition)); err == nil && attrs["filename"] != "" {
		return baseName(attrs["filename"])
	}
	name, err := url.PathUnescape(c.Params("name"))
	if err != nil {
		name = c.Params("name")
	}
	return baseName(name)
}

// checkRawType refuses what no telemetry file is.
func checkRawType(kind string) error {
	switch {
	case slices.Contains(rawTypes, kind):
		return nil
	case kind == fiber.MIMEApplicationForm:
		return refuse(fiber.StatusUnsupportedMediaType, codeContentType,
			"the body is %q, which is what curl -d says; send the file with curl -T export.csv, or with curl -F file=@export.csv", kind)
	default:
		return refuse(fiber.StatusUnsupportedMediaType, codeContentType,
			"the body is %q, which no telemetry file is; a file itself is sent as one of %s (curl -T export.csv), and several as "+
				"multipart/form-data in fields \"file\" (curl -F file=@export.csv)", kind, strings.Join(rawTypes[1:], ", "))
	}
}
