package dialect_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/rows"
)

// inventedGrammars returns telemetry formats that are recognised by one word.
func inventedGrammars() []dialect.Grammar {
	starts := func(word string) func([]byte) bool {
		return func(head []byte) bool { return bytes.HasPrefix(head, []byte(word)) }
	}
	first := func(word string) func([][]byte) bool {
		return func(header [][]byte) bool {
			return len(header) > 1 && string(bytes.TrimSpace(header[0])) == word
		}
	}
	return []dialect.Grammar{
		{Name: "lines", Form: rows.Lines, Begins: starts("# gpu")},
		{Name: "titled", Begins: starts("report,")},
		{Name: "plain", Form: rows.Plain, Match: first("index")},
		{Name: "quoted", Match: first("time")},
	}
}

func TestDetect(t *testing.T) {
	for _, test := range []struct {
		text, columns, want string
	}{
		{"# gpu  sm\n0 7\n", "", "lines [] [# gpu  sm]"},
		{"\n  \r\n# gpu  sm\n0 7\n", "", "lines [] [# gpu  sm]"},
		{"report,2\na,b\n", "", "titled [report 2] [a b]"},
		{"time;v\n1;\"2;3\"\n", "", "quoted [time v] [1 2;3]"},
		{"sep=\t\ntime\tv\n1\t2\n", "", "quoted [time v] [1 2]"},
		{"index, name\n0, \"H\n", "", "plain [index  name] [0 \"H]"},
		{"time,v\n1,2\n", "index,v", "quoted [time v] [1 2]"},
		{"0, H100\n1, H200\n", "index,name", "plain [index name] [0 H100]"},
		{"0, \"H100\n", "index,name", "plain [index name] [0 \"H100]"},
		{"17;2\n", "time,v", "quoted [time v] [17 2]"},
		{"0, H100\n", "uuid,name", "none"},
		{"a,b\n", "", "none"},
		{"# gp", "", "none"},
	} {
		for name, r := range map[string]io.Reader{
			"at once": strings.NewReader(test.text), "in bytes": iotest.OneByteReader(strings.NewReader(test.text)),
		} {
			var opt dialect.Options
			if test.columns != "" {
				opt.Columns = dialect.SplitColumns(test.columns)
			}
			sc := rows.NewScanner(r, rows.Options{})
			g, f, ok, err := dialect.Detect(sc, inventedGrammars(), opt)
			if got := describeFile(t, sc, g, f, ok); got != test.want || err != nil {
				t.Errorf("%q, columns %q, %s: got %s, error %v; want %s", test.text, test.columns, name, got, err, test.want)
			}
		}
	}
}

// describeFile returns the dialect, its header and the first row behind it as text.
func describeFile(t *testing.T, sc *rows.Scanner, g dialect.Grammar, f dialect.File, ok bool) string {
	t.Helper()
	if !ok {
		return "none"
	}
	var b rows.Batch
	if err := sc.Next(&b); err != nil {
		t.Error(err)
	}
	text := g.Name + " [" + string(bytes.Join(f.Header, []byte(" "))) + "]"
	for row := range b.Rows() {
		return text + " [" + string(bytes.Join(row.Cells, []byte(" "))) + "]"
	}
	return text
}

// TestTake reads a text as a dialect that it does not look like.
func TestTake(t *testing.T) {
	all := inventedGrammars()
	sc := rows.NewScanner(strings.NewReader("0 7\n"), rows.Options{})
	f, ok, err := all[0].Prepare(sc, dialect.Options{})
	if got, want := describeFile(t, sc, all[0], f, ok), "lines [] [0 7]"; got != want || err != nil {
		t.Errorf("got %s, error %v; want %s", got, err, want)
	}
	sc = rows.NewScanner(strings.NewReader("a,b\n"), rows.Options{})
	if f, ok, err := all[3].Prepare(sc, dialect.Options{}); ok || err != nil || string(f.Head) != "a,b\n" {
		t.Errorf("got %v, error %v, head %q; want a header that does not match, and the text", ok, err, f.Head)
	}
}

func TestDetectPassesErrors(t *testing.T) {
	broken := errors.New("connection reset")
	for text, want := range map[string]error{"": io.EOF, "\n\n": io.EOF} {
		if _, _, ok, err := dialect.Detect(rows.NewScanner(strings.NewReader(text), rows.Options{}), inventedGrammars(), dialect.Options{}); ok || !errors.Is(err, want) {
			t.Errorf("%q: got %v, error %v, want %v", text, ok, err, want)
		}
	}
	r := io.MultiReader(strings.NewReader("time"), iotest.ErrReader(broken))
	if _, _, ok, err := dialect.Detect(rows.NewScanner(r, rows.Options{}), inventedGrammars(), dialect.Options{Columns: []string{"index", "v"}}); ok || !errors.Is(err, broken) {
		t.Errorf("got %v, error %v, want %v", ok, err, broken)
	}
}
