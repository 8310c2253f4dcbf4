package ingest

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"strings"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/ingestd/dcgmlong"
	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/rows"
	"telemetry-pipeline/ingestd/wide"
)

// worker parses rows for one goroutine.
type worker interface {
	Parse(row *rows.Row, out *dialect.Parsed)
}

// grammar is a dialect as the detection sees it. open reads a header and gives a maker of workers.
type grammar struct {
	name  string
	match func(header [][]byte) bool
	open  func(header [][]byte, opt dialect.Options) (func() worker, error)
}

// grammars lists the dialects in the order in which they are tried; the first match wins.
func grammars() []grammar {
	return []grammar{
		{"dcgm-long", dcgmlong.Match, func(header [][]byte, opt dialect.Options) (func() worker, error) {
			p, err := dcgmlong.New(header, opt)
			if err != nil {
				return nil, err
			}
			return func() worker { return p.Worker() }, nil
		}},
		{"wide", wide.Match, func(header [][]byte, opt dialect.Options) (func() worker, error) {
			p, err := wide.New(header, opt)
			if err != nil {
				return nil, err
			}
			return func() worker { return p.Worker() }, nil
		}},
	}
}

func grammarNames(all []grammar) string {
	names := make([]string, len(all))
	for i, f := range all {
		names[i] = f.name
	}
	return strings.Join(names, ", ")
}

// sniffBytes is how much of a file detection looks at before anything of it is believed.
const sniffBytes = 64 << 10

// telemetry is a file whose dialect is known, ready to be read row by row.
type telemetry struct {
	dialect string
	headers []string
	scanner *rows.Scanner
	worker  func() worker
}

// detect looks at the beginning of a file. Its refusals mean that nothing of the file was used.
func detect(file io.Reader, opt rows.Options, p parameters) (*telemetry, error) {
	sc := rows.NewScanner(file, opt)
	head, err := sc.Peek(sniffBytes)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, unreadable("", err)
	}
	if err := checkText(head); err != nil {
		return nil, err
	}
	first := firstLine(head) // head does not outlive the next call of the scanner
	candidates := grammars()
	if p.grammar != nil {
		candidates = []grammar{*p.grammar}
	}
	var found grammar
	header, ok, err := sc.Header(func(cells [][]byte) bool {
		for _, f := range candidates {
			if f.match(cells) {
				found = f
				return true
			}
		}
		return false
	})
	switch {
	case errors.Is(err, io.EOF):
		return nil, refuse(fiber.StatusUnprocessableEntity, codeEmpty, "the file is empty; a telemetry file starts with a header line")
	case err != nil:
		return nil, unreadable(first, err)
	case !ok && p.grammar == nil:
		return nil, notTelemetry(first)
	case !ok:
		found = *p.grammar // its own complaint about the header is the better answer
	}
	workers, err := found.open(header, p.options)
	if err != nil {
		return nil, refuse(fiber.StatusUnprocessableEntity, codeNotTelemetry, "the header cannot be read as %s: %v", found.name, err)
	}
	if !ok {
		return nil, refuse(fiber.StatusUnprocessableEntity, codeNotTelemetry,
			"the header %q is not that of dialect %s; leave ?dialect= out to have the dialect found", first, found.name)
	}
	return &telemetry{dialect: found.name, headers: texts(header), scanner: sc, worker: workers}, nil
}

func firstLine(head []byte) string {
	first, _, _ := bytes.Cut(bytes.TrimLeft(head, "\r\n"), []byte("\n"))
	return rows.Excerpt(bytes.TrimRight(first, "\r"))
}

func notTelemetry(first string) error {
	return refuse(fiber.StatusUnprocessableEntity, codeNotTelemetry,
		"no known telemetry dialect starts like %q; known are %s (name one with ?dialect=)", first, grammarNames(grammars()))
}

// unreadable turns what the scanner says of a file's beginning into a refusal; errors of the body pass.
func unreadable(first string, err error) error {
	if errors.Is(err, rows.ErrUTF16) {
		return refuse(fiber.StatusUnsupportedMediaType, codeNotText, "%v", err)
	}
	if bad, ok := errors.AsType[*rows.Rejection](err); ok {
		return refuse(fiber.StatusUnprocessableEntity, codeNotTelemetry,
			"the file's first line %q is no header: %s; known dialects are %s", cmp.Or(first, bad.Text), bad.Reason, grammarNames(grammars()))
	}
	return err
}

// magics are beginnings of files that people send by mistake, named so that the answer can say what it was.
var magics = []struct{ magic, name string }{
	{"\x89PNG", "a PNG image"},
	{"\x1f\x8b", "gzip-compressed; unpack it first"},
	{"\x28\xb5\x2f\xfd", "zstd-compressed; unpack it first"},
	{"PK\x03\x04", "a zip archive or a spreadsheet; export it as CSV"},
	{"%PDF", "a PDF document"},
	{"PAR1", "a Parquet file"},
}

// checkText refuses what is no text.
func checkText(head []byte) error {
	for _, m := range magics {
		if bytes.HasPrefix(head, []byte(m.magic)) {
			return refuse(fiber.StatusUnsupportedMediaType, codeNotText, "the file is no CSV text: it is %s", m.name)
		}
	}
	if bytes.IndexByte(head, 0) >= 0 {
		return refuse(fiber.StatusUnsupportedMediaType, codeNotText, "the file is no CSV text: it holds NUL bytes")
	}
	return nil
}

func texts(cells [][]byte) []string {
	out := make([]string, len(cells))
	for i, c := range cells {
		out[i] = strings.ToValidUTF8(string(bytes.TrimSpace(c)), "\uFFFD")
	}
	return out
}
