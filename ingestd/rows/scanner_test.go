package rows_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"telemetry-pipeline/ingestd/rows"
)

// copied is a row that outlives its batch.
type copied struct {
	Line, Size int
	Cells      []string
	Fault      string
}

// scanAll reads all rows of r, after its header if match is not nil.
func scanAll(r io.Reader, opt rows.Options, match func([][]byte) bool) (got []copied, err error) {
	s := rows.NewScanner(r, opt)
	if match != nil {
		if _, _, err := s.Header(match); err != nil {
			return nil, err
		}
	}
	var b rows.Batch
	for {
		if err := s.Next(&b); err != nil {
			return got, err
		}
		for row := range b.Rows() {
			got = append(got, copyRow(row))
		}
	}
}

func copyRow(row *rows.Row) copied {
	c := copied{Line: row.Line, Size: row.Size}
	if row.Fault != nil {
		c.Fault = row.Fault.Reason
		return c
	}
	for _, cell := range row.Cells {
		c.Cells = append(c.Cells, string(cell))
	}
	return c
}

func TestRows(t *testing.T) {
	const bare, after, open = "a quote inside", "text behind", "a quote is opened"
	long := strings.Repeat("x", 100)
	for _, test := range []struct {
		name, text string
		want       []copied
	}{
		{"empty", "", nil},
		{"plain", "a,b\nc,d\n", []copied{{1, 3, []string{"a", "b"}, ""}, {2, 3, []string{"c", "d"}, ""}}},
		{"no last newline", "a,b\nc,d", []copied{{1, 3, []string{"a", "b"}, ""}, {2, 3, []string{"c", "d"}, ""}}},
		{"mixed line ends", "a\r\nb\nc\r", []copied{{1, 1, []string{"a"}, ""}, {2, 1, []string{"b"}, ""}, {3, 1, []string{"c"}, ""}}},
		{"blank lines", "\n  \r\na\n\n", []copied{{3, 1, []string{"a"}, ""}}},
		{"byte order mark", "\xef\xbb\xbfa,b\n", []copied{{1, 3, []string{"a", "b"}, ""}}},
		{"empty cells", ",\n", []copied{{1, 1, []string{"", ""}, ""}}},
		{"quotes", `"a","b ""c""",""` + "\n", []copied{{1, 16, []string{"a", `b "c"`, ""}, ""}}},
		{"newline in quotes", "\"a\r\nb\",c\nd\n", []copied{{1, 8, []string{"a\nb", "c"}, ""}, {3, 1, []string{"d"}, ""}}},
		{"newline and escape in quotes", "\"a\"\"\r\nb\"\nd\n", []copied{{1, 8, []string{"a\"\nb"}, ""}, {3, 1, []string{"d"}, ""}}},
		{"bare quote", "a\"b,c\nd\n", []copied{{1, 5, nil, bare}, {2, 1, []string{"d"}, ""}}},
		{"bare quotes", "a\"b\",c\nd\n", []copied{{1, 6, nil, bare}, {2, 1, []string{"d"}, ""}}},
		{"text behind quote", "\"a\"b,c\nd\n", []copied{{1, 6, nil, after}, {2, 1, []string{"d"}, ""}}},
		{"open quote to the end", "\"a\nb\nc\n", []copied{{1, 2, nil, open}, {2, 1, []string{"b"}, ""}, {3, 1, []string{"c"}, ""}}},
		{"open quote meets a quoted line", "\"a,1\n\"b\",2\nc,3\n",
			[]copied{{1, 4, nil, open}, {2, 5, []string{"b", "2"}, ""}, {3, 3, []string{"c", "3"}, ""}}},
		{"open quote beyond the longest row", "\"a\n" + strings.Repeat("b\n", 60) + "\"\n", append(append([]copied{{1, 2, nil, open}}, numberedRows(2, 60, "b")...),
			copied{62, 1, nil, open})},
		{"long line", "a\n" + long + "\nb\n", []copied{{1, 1, []string{"a"}, ""}, {2, 100, nil, "the line has 100 bytes"}, {3, 1, []string{"b"}, ""}}},
		{"long line at the end", "a\n" + long + "\r", []copied{{1, 1, []string{"a"}, ""}, {2, 100, nil, "the line has 100 bytes"}}},
		{"longest line", long[:64] + "\r\n", []copied{{1, 64, []string{long[:64]}, ""}}},
		{"one byte too long", long[:65] + "\r\n", []copied{{1, 65, nil, "the line has 65 bytes"}}},
		{"NUL", "a\x00b\nc\n", []copied{{1, 3, nil, "the line has NUL bytes"}, {2, 1, []string{"c"}, ""}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for name, opt := range options {
				got, err := scanAll(strings.NewReader(test.text), opt, nil)
				if err != io.EOF {
					t.Errorf("%s: got error %v, want EOF", name, err)
				}
				if diff := cmp.Diff(test.want, trimFaults(got, test.want)); diff != "" {
					t.Errorf("%s: rows (-want +got):\n%s", name, diff)
				}
			}
		})
	}
}

// options are block sizes, none of which may make a difference; the longest row is 64 bytes.
var options = map[string]rows.Options{
	"smallest blocks": {MaxLine: 64, BlockBytes: 1},
	"odd blocks":      {MaxLine: 64, BlockBytes: 71, BatchRows: 3},
	"one block":       {MaxLine: 64, BlockBytes: 1 << 12},
	"single rows":     {MaxLine: 64, BlockBytes: 1 << 12, BatchRows: 1},
}

func numberedRows(from, n int, text string) []copied {
	var all []copied
	for i := range n {
		all = append(all, copied{from + i, len(text), []string{text}, ""})
	}
	return all
}

// trimFaults shortens each fault to the wanted beginning, if it has that beginning.
func trimFaults(got, want []copied) []copied {
	for i := range min(len(got), len(want)) {
		if w := want[i].Fault; w != "" && strings.HasPrefix(got[i].Fault, w) {
			got[i].Fault = w
		}
	}
	return got
}

func TestHugeLineCostsItself(t *testing.T) {
	text := "a,b\n" + strings.Repeat("x", 300<<10) + "\nc,d\n"
	got, err := scanAll(iotest.HalfReader(strings.NewReader(text)), rows.Options{}, nil)
	want := []copied{
		{1, 3, []string{"a", "b"}, ""},
		{2, 300 << 10, nil, "the line has 307200 bytes; the longest accepted has 65536"},
		{3, 3, []string{"c", "d"}, ""},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != io.EOF {
		t.Errorf("error %v, rows (-want +got):\n%s", err, diff)
	}
}

func TestFailureDropsUnterminatedRow(t *testing.T) {
	broken := errors.New("connection reset")
	for text, want := range map[string][]copied{
		"":                      nil,
		"a,b\nc,":               {{1, 3, []string{"a", "b"}, ""}},
		"a,b\nc,d\n":            {{1, 3, []string{"a", "b"}, ""}, {2, 3, []string{"c", "d"}, ""}},
		"a\n\"b\nc\nd\n":        {{1, 1, []string{"a"}, ""}},
		"a\n\n\n":               {{1, 1, []string{"a"}, ""}},
		strings.Repeat("x", 99): nil,
	} {
		for name, opt := range options {
			got, err := scanAll(io.MultiReader(strings.NewReader(text), iotest.ErrReader(broken)), opt, nil)
			if !errors.Is(err, broken) {
				t.Errorf("%q, %s: got error %v, want %v", text, name, err, broken)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%q, %s: rows (-want +got):\n%s", text, name, diff)
			}
		}
	}
}

func TestHeader(t *testing.T) {
	wanted := func(cells [][]byte) bool { return len(cells) == 2 && string(cells[0]) == "time" }
	for _, test := range []struct {
		name, text string
		sep        byte
		ok         bool
		header     []string
		rows       []copied
	}{
		{"comma", "time,v\n1,2\n", ',', true, []string{"time", "v"}, []copied{{2, 3, []string{"1", "2"}, ""}}},
		{"semicolon", "\ntime;v\n1;2,5\n", ';', true, []string{"time", "v"}, []copied{{3, 5, []string{"1", "2,5"}, ""}}},
		{"tab", "time\tv\r\n1\t2\r\n", '\t', true, []string{"time", "v"}, []copied{{2, 3, []string{"1", "2"}, ""}}},
		{"sep line", "\xef\xbb\xbfsep=|\r\ntime|v\r\n1|2\r\n", '|', true, []string{"time", "v"}, []copied{{3, 3, []string{"1", "2"}, ""}}},
		{"quoted", "\"time\",\"v\"\n1,2\n", ',', true, []string{"time", "v"}, []copied{{2, 3, []string{"1", "2"}, ""}}},
		{"repeated", "time,v\n1,2\n\"time\",v\n2,w\n", ',', true, []string{"time", "v"},
			[]copied{{2, 3, []string{"1", "2"}, ""}, {4, 3, []string{"2", "w"}, ""}}},
		{"no match", "a;b,c;d\n", ';', false, []string{"a", "b,c", "d"}, []copied{{1, 7, []string{"a", "b,c", "d"}, ""}}},
		{"no header after a sep line", "sep=;\n\n1;2\n3;4\n", ';', false, []string{"1", "2"},
			[]copied{{3, 3, []string{"1", "2"}, ""}, {4, 3, []string{"3", "4"}, ""}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := rows.NewScanner(strings.NewReader(test.text), rows.Options{})
			header, ok, err := s.Header(wanted)
			if err != nil {
				t.Fatal(err)
			}
			var cells []string
			for _, cell := range header {
				cells = append(cells, string(cell))
			}
			if ok != test.ok || s.Separator() != test.sep || cmp.Diff(test.header, cells) != "" {
				t.Errorf("got header %q, separator %q, ok %v; want %q, %q, %v", cells, s.Separator(), ok, test.header, test.sep, test.ok)
			}
			var got []copied
			var b rows.Batch
			for err = s.Next(&b); err == nil; err = s.Next(&b) {
				for row := range b.Rows() {
					got = append(got, copyRow(row))
				}
			}
			if diff := cmp.Diff(test.rows, got); diff != "" || err != io.EOF {
				t.Errorf("error %v, rows (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestHeaderRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "EOF",
		"\n \n":                         "EOF",
		"\x89PNG\r\n\x1a\n\x00\x00IHDR": "",
		"a\x00b\n":                      "reading the header: line 1: the line has NUL bytes",
		strings.Repeat("h", 70<<10):     "reading the header: line 1: the line has 71680 bytes",
	} {
		_, ok, err := rows.NewScanner(strings.NewReader(text), rows.Options{}).Header(func([][]byte) bool { return false })
		if ok || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.10q: got ok %v, error %v, want %q", text, ok, err, want)
		}
	}
}

func TestPeek(t *testing.T) {
	s := rows.NewScanner(iotest.OneByteReader(strings.NewReader("\xef\xbb\xbfa,b\nc,d\n")), rows.Options{})
	for _, n := range []int{1, 4, 2, 100} {
		got, err := s.Peek(n)
		if want := "a,b\nc,d\n"[:min(n, 8)]; string(got) != want || err != nil {
			t.Errorf("Peek(%d): got %q, %v, want %q", n, got, err, want)
		}
	}
	got := 0
	var b rows.Batch
	for s.Next(&b) == nil {
		for range b.Rows() {
			got++
		}
	}
	if got != 2 {
		t.Errorf("after Peek: got %d rows, want 2", got)
	}
	if _, err := rows.NewScanner(iotest.ErrReader(io.ErrUnexpectedEOF), rows.Options{}).Peek(10); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Peek of a failed reader: got %v, want %v", err, io.ErrUnexpectedEOF)
	}
}

func TestCellsOutliveTheIteration(t *testing.T) {
	var text bytes.Buffer
	for i := range 500 {
		fmt.Fprintf(&text, "%d,\"say \"\"%d\"\"\"\n", i, i)
	}
	s := rows.NewScanner(&text, rows.Options{})
	var b rows.Batch
	if err := s.Next(&b); err != nil {
		t.Fatal(err)
	}
	var cells [][]byte
	for row := range b.Rows() {
		cells = append(cells, row.Cells...)
	}
	for i := range len(cells) / 2 {
		if got, want := string(cells[2*i+1]), fmt.Sprintf(`say "%d"`, i); got != want {
			t.Fatalf("row %d: got %q, want %q", i, got, want)
		}
	}
	if got, want := len(cells), 1000; got != want {
		t.Errorf("got %d cells, want %d", got, want)
	}
}

func TestFit(t *testing.T) {
	for _, test := range []struct {
		cells string
		fits  bool
	}{{"a,b", true}, {"a,b,", true}, {"a,b,c", false}, {"a", false}, {"a,b,,", false}} {
		row := rows.Row{Line: 7, Cells: bytes.Split([]byte(test.cells), []byte(","))}
		fault := row.Fit(2)
		if (fault == nil) != test.fits || test.fits && len(row.Cells) != 2 {
			t.Errorf("%q: got %v and %d cells, want fit %v", test.cells, fault, len(row.Cells), test.fits)
		}
	}
}

func TestExcerpt(t *testing.T) {
	for _, text := range []string{"", "short", strings.Repeat("ä", 40), strings.Repeat("ä", 41), strings.Repeat("\xff", 200), "x" + strings.Repeat("😀", 50)} {
		got := rows.Excerpt([]byte(text))
		if len(got) > rows.MaxText || strings.ToValidUTF8(got, "") != got {
			t.Errorf("Excerpt(%q): got %d bytes %q", text, len(got), got)
		}
	}
	if got := rows.Excerpt([]byte(strings.Repeat("ä", 40))); got != strings.Repeat("ä", 40) {
		t.Errorf("got %q, want the whole text", got)
	}
}
