package rows_test

import (
	"bytes"
	"encoding/csv"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"telemetry-pipeline/ingestd/rows"
)

var seeds = []string{
	"", "a,b\nc,d\n", "\"a\",\"b\"\"c\"\r\n", "\"a\nb\",c\n", "a\"b\n", "\"a\n\"b\",c\nd", "\"a\"\r", "\"\"\n\"\"\"\"\n", "x\n\n\r\n\"", "\"a\"\r\r\n", "a\r\rb\n",
	"\"" + strings.Repeat("b\n", 50) + "\"\n", strings.Repeat("x", 90) + "\ny\n", strings.Repeat("\",\n", 40), " \n a\n",
}

// FuzzAgainstStandard compares with encoding/csv where that has no complaints.
func FuzzAgainstStandard(f *testing.F) {
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.HasPrefix(text, "\xef\xbb\xbf") || strings.HasPrefix(text, "\xff\xfe") || strings.HasPrefix(text, "\xfe\xff") || strings.Contains(text, "\x00") {
			t.Skip("not the standard's business")
		}
		r := csv.NewReader(strings.NewReader(text))
		r.FieldsPerRecord = -1
		want, err := r.ReadAll()
		if err != nil || slices.ContainsFunc(want, onlySpaces) {
			t.Skip("no well-formed CSV, or blank lines that only we skip")
		}
		var got [][]string
		all, err := scanAll(strings.NewReader(text), rows.Options{MaxLine: 1 << 20}, nil)
		for _, row := range all {
			if row.Fault != "" {
				t.Fatalf("line %d: %s; encoding/csv has no complaint", row.Line, row.Fault)
			}
			got = append(got, row.Cells)
		}
		if diff := cmp.Diff(want, got); diff != "" || err != io.EOF {
			t.Fatalf("error %v, cells (-encoding/csv +ours):\n%s", err, diff)
		}
	})
}

// onlySpaces reports whether a record is a single cell of spaces: package rows takes it for a blank line unless it is
// in quotes.
func onlySpaces(record []string) bool {
	return len(record) == 1 && record[0] != "" && strings.Trim(record[0], " ") == ""
}

// FuzzScanner checks that for any bytes every line ends in a row or a fault, and that neither chunks nor blocks nor a
// reader's failure change the rows.
func FuzzScanner(f *testing.F) {
	for i, seed := range seeds {
		f.Add([]byte(seed), uint64(i), i%3 == 0)
		f.Add([]byte("\xff\xfe"+strings.Join(strings.Split(seed, ""), "\x00")+"\x00"), uint64(i), i%3 == 0)
	}
	f.Fuzz(func(t *testing.T, text []byte, chunks uint64, fail bool) {
		form := rows.Form(chunks % 4)
		reader := func() io.Reader {
			if fail {
				return io.MultiReader(bytes.NewReader(text), iotest.ErrReader(io.ErrUnexpectedEOF))
			}
			return bytes.NewReader(text)
		}
		want, wantErr := scanAll(reader(), rows.Options{MaxLine: 64, Form: form}, nil)
		accountFor(t, form, text, want, wantErr)
		for name, r := range map[string]io.Reader{
			"one byte at a time": iotest.OneByteReader(reader()),
			"data with error":    iotest.DataErrReader(reader()),
			"random chunks":      &chunky{reader(), rand.New(rand.NewPCG(chunks, 0))},
		} {
			got, err := scanAll(r, rows.Options{
				MaxLine: 64, BlockBytes: 64 + int(chunks%200), BatchRows: int(chunks % 7), Form: form, Live: chunks%2 == 0,
			}, nil)
			if diff := cmp.Diff(want, got); diff != "" || errText(err) != errText(wantErr) {
				t.Fatalf("%s: error %v, want %v; rows (-whole +chunked):\n%s", name, err, wantErr, diff)
			}
		}
	})
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// accountFor checks that each line of text is in a row, is blank, or is behind a failure.
func accountFor(t *testing.T, form rows.Form, text []byte, got []copied, err error) {
	t.Helper()
	if bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")) {
		return // bytes and lines of the rows refer to the text in UTF-8
	}
	blanks := " "
	if form == rows.Lines {
		blanks = " \t"
	}
	rest, line := bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")), 1
	for _, row := range got {
		for line < row.Line {
			before, after, _ := bytes.Cut(rest, []byte("\n"))
			if blank := strings.Trim(strings.TrimSuffix(string(before), "\r"), blanks); blank != "" {
				t.Fatalf("line %d %q is in no row and no fault", line, before)
			}
			rest = after
			line++
		}
		if len(rest) < row.Size {
			t.Fatalf("line %d: the row has %d bytes, the text only %d", row.Line, row.Size, len(rest))
		}
		line += bytes.Count(rest[:row.Size], []byte("\n")) + 1
		rest = bytes.TrimPrefix(rest[row.Size:], []byte("\r"))
		if len(rest) > 0 && rest[0] != '\n' {
			t.Fatalf("line %d: the row's %d bytes do not end a line, but go on with %.10q", row.Line, row.Size, rest)
		}
		rest = bytes.TrimPrefix(rest, []byte("\n"))
	}
	if err == io.EOF && len(bytes.Trim(rest, blanks+"\r\n")) > 0 {
		t.Fatalf("the end %.20q is in no row and no fault", rest)
	}
}

// chunky reads in chunks of random size.
type chunky struct {
	r   io.Reader
	rnd *rand.Rand
}

func (c *chunky) Read(p []byte) (int, error) {
	return c.r.Read(p[:min(len(p), c.rnd.IntN(40))])
}
