package intake

import (
	"io"
	"slices"
	"strings"

	"telemetry-pipeline/ingestd/answer"
)

// raw is a body that is a file itself.
type raw struct {
	text  io.Reader
	coded *Packed // the text, when that is the body without its Content-Encoding
	body  *Body
	name  string
	given bool
}

func (r *raw) Next() (*File, error) {
	if r.given {
		return nil, io.EOF
	}
	r.given = true
	f := NewFile(r.name, r.text, r.body.Stop)
	f.alone, f.coded = true, r.coded
	if r.body.live {
		f.Live = r.body
	}
	return f, nil
}

func (r *raw) Trouble() string { return "" }

// rawTypes are the types under which a file may come as the body itself. Without a type, or as a mere run of
// bytes, its content alone decides.
var rawTypes = []string{
	"", "application/octet-stream", "text/csv", "text/plain", "text/tab-separated-values", "application/csv",
	"application/vnd.ms-excel", // as Windows calls CSV
	"application/openmetrics-text", "application/gzip", "application/x-gzip", "application/zstd", "application/age", "application/x-age",
}

// CheckRawType refuses a content type that no telemetry file has.
func CheckRawType(kind string) error {
	switch {
	case slices.Contains(rawTypes, kind):
		return nil
	case kind == "application/x-www-form-urlencoded":
		return answer.Refuse(answer.CodeContentType,
			"the body is %q, which is what curl -d says; send the file with curl -T export.csv, or with curl -F file=@export.csv", kind)
	default:
		return answer.Refuse(answer.CodeContentType,
			"the body is %q, which no telemetry file is; a file itself is sent as one of %s (curl -T export.csv), and several as "+
				"multipart/form-data in fields \"file\" (curl -F file=@export.csv)", kind, strings.Join(rawTypes[1:], ", "))
	}
}
