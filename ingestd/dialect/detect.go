package dialect

import (
	"bytes"
	"errors"

	"telemetry-pipeline/ingestd/rows"
)

// HeadBytes is the number of bytes that are examined before any of a file is read as rows.
const HeadBytes = 64 << 10

// Detect returns the first of the grammars that a file has: by the beginning of its text, else by its first row, else
// by Options.Columns in place of a header; in the last case the first row is still to be read. The scanner is then
// ready for the rows. If the file has none of the grammars, ok is false and f holds the beginning that was read. f is
// valid until the scanner's next call. An error is the scanner's.
func Detect(sc *rows.Scanner, grammars []Grammar, opt Options) (g Grammar, f File, ok bool, err error) {
	head, err := sc.Peek(HeadBytes)
	if err != nil {
		return g, f, false, err
	}
	if f.Head = skipBlankLines(head); beginsWithPreamble(f.Head) {
		f.Head = bytes.Clone(f.Head)
		if head, err = skipPreamble(sc); err != nil {
			return g, f, false, err
		}
		f.Head = head
	}
	for _, g := range grammars {
		if g.Begins != nil && g.Begins(f.Head) {
			f.Header, err = g.readHeader(sc, &f)
			return g, f, err == nil, err
		}
	}
	f.Head = bytes.Clone(f.Head)
	g, f.Header, ok, err = detectByHeader(sc, grammars)
	if _, bad := errors.AsType[*rows.Rejection](err); len(opt.Columns) > 0 && !ok && (err == nil || bad) {
		f.Header = toCells(opt.Columns)
		g, ok = matchGrammar(f.Header, grammars)
		err = nil
	}
	if ok {
		sc.SetForm(g.Form)
	}
	if ok && g.Tails {
		sc.LeaveTails()
	}
	return g, f, ok, err
}

// Prepare prepares the scanner for a file that is declared to have the grammar, whether it looks so or not. f is valid until
// the scanner's next call.
func (g Grammar) Prepare(sc *rows.Scanner, opt Options) (f File, ok bool, err error) {
	if g.Form != rows.Lines {
		_, f, ok, err = Detect(sc, []Grammar{g}, opt)
		return f, ok, err
	}
	head, err := sc.Peek(HeadBytes)
	f.Head = skipBlankLines(head)
	sc.SetForm(rows.Lines)
	return f, err == nil, err
}

// readHeader reads the header of a file that is known to have the grammar. Where it uses the scanner, it copies the head.
func (g Grammar) readHeader(sc *rows.Scanner, f *File) (header [][]byte, err error) {
	sc.SetForm(g.Form)
	if g.Form == rows.Lines {
		return nil, nil
	}
	f.Head = bytes.Clone(f.Head)
	header, _, err = sc.Header(func(cells [][]byte) bool { return g.Match == nil || g.Match(cells) })
	return header, err
}

func detectByHeader(sc *rows.Scanner, grammars []Grammar) (g Grammar, header [][]byte, ok bool, err error) {
	header, ok, err = sc.Header(func(cells [][]byte) bool {
		found := false
		g, found = matchGrammar(cells, grammars)
		return found
	})
	return g, header, ok, err
}

func matchGrammar(header [][]byte, grammars []Grammar) (Grammar, bool) {
	for _, g := range grammars {
		if g.Match != nil && g.Match(header) {
			return g, true
		}
	}
	return Grammar{}, false
}

func toCells(columns []string) [][]byte {
	out := make([][]byte, len(columns))
	for i, name := range columns {
		out[i] = []byte(name)
	}
	return out
}

// skipBlankLines returns text without the blank lines at its beginning.
func skipBlankLines(text []byte) []byte {
	for {
		line, rest, found := bytes.Cut(text, []byte("\n"))
		if !found || len(bytes.TrimSpace(line)) > 0 {
			return text
		}
		text = rest
	}
}
