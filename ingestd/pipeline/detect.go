package pipeline

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"strings"

	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/dcgmdmon"
	"telemetry-pipeline/ingestd/dcgmlong"
	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/fleetint"
	"telemetry-pipeline/ingestd/grafana"
	"telemetry-pipeline/ingestd/rows"
	"telemetry-pipeline/ingestd/scrape"
	"telemetry-pipeline/ingestd/smiapps"
	"telemetry-pipeline/ingestd/smidmon"
	"telemetry-pipeline/ingestd/smiquery"
	"telemetry-pipeline/ingestd/wide"
)

// Grammars returns the dialects in the order in which they are tried; the first match wins.
func Grammars() []dialect.Grammar {
	return []dialect.Grammar{
		scrape.Grammar(),
		dcgmdmon.Grammar(),
		smidmon.Dmon(),
		smidmon.Pmon(),
		dcgmlong.Grammar(),
		fleetint.Metrics(),
		fleetint.Events(),
		fleetint.Health(),
		smiapps.Grammar(),
		smiquery.Grammar(),
		wide.Grammar(),
		grafana.Rows(),
		grafana.Columns(),
	}
}

func grammarNames(all []dialect.Grammar) string {
	names := make([]string, len(all))
	for i, g := range all {
		names[i] = g.Name
	}
	return strings.Join(names, ", ")
}

// detectedFile is a file whose dialect is known, ready to be read row by row.
type detectedFile struct {
	dialect string
	headers []string
	scanner *rows.Scanner
	serial  bool // one worker takes all rows
	small   bool // the examined beginning is all of it
	bare    bool // without rows it is whole too
	worker  func() dialect.Worker
}

// detectDialect returns a file ready to be read, by its beginning. Its refusals mean that nothing of the file was used.
func detectDialect(sc *rows.Scanner, known []dialect.Grammar, p Parameters) (*detectedFile, error) {
	head, err := sc.Peek(dialect.HeadBytes)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, headerRefusal("", err)
	}
	if err := checkText(head); err != nil {
		return nil, err
	}
	small := sc.IsRead()
	first := firstLine(head) // head does not outlive the next call of the scanner
	g, f, ok, err := p.findGrammar(sc, known)
	if !ok {
		if s := recognizeNonTelemetry(f.Head); s != nil {
			return nil, answer.Refuse(answer.CodeNotTelemetry, "the file is no telemetry, but %s; %s", s.kind, s.advice)
		}
	}
	switch {
	case errors.Is(err, io.EOF):
		return nil, answer.Refuse(answer.CodeEmpty, "the file is empty; a telemetry file starts with a header line")
	case err != nil:
		return nil, headerRefusal(first, err)
	case !ok && p.Grammar == nil:
		return nil, notTelemetryRefusal(first, p.Options.Columns)
	}
	workers, err := g.Open(f, p.Options) // also if not ok: its own complaint about the header is the better answer
	if err != nil {
		return nil, answer.Refuse(answer.CodeNotTelemetry, "the file cannot be read as %s: %v", g.Name, err)
	}
	if !ok {
		return nil, answer.Refuse(answer.CodeNotTelemetry,
			"the header %q is none of dialect %s; leave ?dialect= out to have the dialect found", first, g.Name)
	}
	return &detectedFile{dialect: g.Name, headers: cellTexts(f.Header), scanner: sc, serial: g.Serial, small: small, bare: g.Bare, worker: workers}, nil
}

// findGrammar returns the dialect that the sender names, or else the detected one of those that are known.
func (p Parameters) findGrammar(sc *rows.Scanner, known []dialect.Grammar) (dialect.Grammar, dialect.File, bool, error) {
	if p.Grammar == nil {
		return dialect.Detect(sc, known, p.Options)
	}
	f, ok, err := p.Grammar.Prepare(sc, p.Options)
	return *p.Grammar, f, ok, err
}

func firstLine(head []byte) string {
	first, _, _ := bytes.Cut(bytes.TrimLeft(head, "\r\n"), []byte("\n"))
	return rows.Excerpt(bytes.TrimRight(first, "\r"))
}

func notTelemetryRefusal(first string, columns []string) error {
	if len(columns) > 0 {
		return answer.Refuse(answer.CodeNotTelemetry,
			"no known telemetry dialect starts like %q, nor has the columns that ?columns= names; known are %s", first, grammarNames(Grammars()))
	}
	hint := ""
	if isHeadless(first) {
		hint = "; if it is of nvidia-smi without a header, give ?columns=, the string that --query-gpu was given"
	}
	return answer.Refuse(answer.CodeNotTelemetry,
		"no known telemetry dialect starts like %q; known are %s (name one with ?dialect=)%s", first, grammarNames(Grammars()), hint)
}

// isHeadless reports whether a line is a row and no header: one of its cells begins with a digit.
func isHeadless(first string) bool {
	for cell := range strings.SplitSeq(first, ",") {
		if cell = strings.TrimLeft(cell, " "); cell != "" && cell != first && '0' <= cell[0] && cell[0] <= '9' {
			return true
		}
	}
	return false
}

// headerRefusal turns the scanner's error at a file's beginning into a refusal; errors of the body stay as they are.
func headerRefusal(first string, err error) error {
	if bad, ok := errors.AsType[*rows.Rejection](err); ok {
		return answer.Refuse(answer.CodeNotTelemetry,
			"the file's first line %q is no header: %s; known dialects are %s", cmp.Or(first, bad.Text), bad.Reason, grammarNames(Grammars()))
	}
	return err
}

// magics are beginnings of files that people send by mistake, named for the answer.
var magics = []struct{ magic, name string }{
	{"\x89PNG", "a PNG image"},
	{"\x1f\x8b", "gzip-compressed; unpack it first"},
	{"\x28\xb5\x2f\xfd", "zstd-compressed; unpack it first"},
	{"PK\x03\x04", "a zip archive or a spreadsheet; export it as CSV"},
	{"%PDF", "a PDF document"},
	{"PAR1", "a Parquet file"},
}

// checkText refuses bytes that are no text.
func checkText(head []byte) error {
	for _, m := range magics {
		if bytes.HasPrefix(head, []byte(m.magic)) {
			return answer.Refuse(answer.CodeNotText, "the file is no CSV text: it is %s", m.name)
		}
	}
	if bytes.IndexByte(head, 0) >= 0 {
		return answer.Refuse(answer.CodeNotText, "the file is no CSV text: it holds NUL bytes (UTF-16 is read only with its byte order mark)")
	}
	return nil
}

func cellTexts(cells [][]byte) []string {
	out := make([]string, len(cells))
	for i, c := range cells {
		out[i] = strings.ToValidUTF8(string(bytes.TrimSpace(c)), "\uFFFD")
	}
	return out
}
