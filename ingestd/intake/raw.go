package intake

import (
	"io"
	"slices"
	"strings"

	"telemetry-pipeline/ingestd/answer"
)

// rawBody is a body that is a file itself.
type rawBody struct {
	text     io.Reader
	decoded  *Packed // the text, when that is the body without its Content-Encoding
	body     *Body
	name     string
	returned bool
}

func (r *rawBody) NextFile() (*File, error) {
	if r.returned {
		return nil, io.EOF
	}
	r.returned = true
	f := NewFile(r.name, r.text, r.body.StopReading)
	f.onlyFile, f.bodyText = true, r.decoded
	if r.body.live {
		f.Live = r.body
	}
	return f, nil
}

func (r *rawBody) Warning() string { return "" }

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
