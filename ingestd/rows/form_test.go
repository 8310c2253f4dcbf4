package rows_test

import (
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"telemetry-pipeline/ingestd/rows"
)

func TestForms(t *testing.T) {
	for _, test := range []struct {
		name string
		form rows.Form
		text string
		want []copied
	}{
		{"plain cells are trimmed", rows.Plain, "a, b ,\tc\r\n", []copied{{1, 8, []string{"a", "b", "c"}, ""}}},
		{"plain quotes are characters", rows.Plain, "a, \"b\nc\", d\"e\n",
			[]copied{{1, 5, []string{"a", `"b`}, ""}, {2, 7, []string{`c"`, `d"e`}, ""}}},
		{"plain blank lines", rows.Plain, "\n  \na,b", []copied{{3, 3, []string{"a", "b"}, ""}}},
		{"plain NUL", rows.Plain, "a\x00,b\nc\n", []copied{{1, 4, nil, "the line has NUL bytes"}, {2, 1, []string{"c"}, ""}}},
		{"a line is a cell", rows.Lines, "# gpu  sm,\"x\r\n\n \t \n  0   7 \nend",
			[]copied{{1, 12, []string{`# gpu  sm,"x`}, ""}, {4, 8, []string{"  0   7 "}, ""}, {5, 3, []string{"end"}, ""}}},
		{"too long in any form", rows.Lines, strings.Repeat("x", 65) + "\ny\n",
			[]copied{{1, 65, nil, "the line has 65 bytes"}, {2, 1, []string{"y"}, ""}}},
	} {
		for name, opt := range options {
			opt.Form = test.form
			got, err := scanAll(strings.NewReader(test.text), opt, nil)
			if diff := cmp.Diff(test.want, trimFaults(got, test.want)); diff != "" || err != io.EOF {
				t.Errorf("%s, %s: error %v, rows (-want +got):\n%s", test.name, name, err, diff)
			}
		}
	}
}

// TestFormBehindTheHeader reads a header as CSV and the rows behind it in another form.
func TestFormBehindTheHeader(t *testing.T) {
	const text = "index, \"name\"\n0, H100\nindex, \"name\"\nindex, name\n1, \"H\n"
	s := rows.NewScanner(strings.NewReader(text), rows.Options{})
	header, ok, err := s.Header(func(cells [][]byte) bool { return len(cells) == 2 })
	if err == nil || ok {
		t.Fatalf("got header %q, %v, error %v; want the refusal of a quote behind a blank", header, ok, err)
	}
	s.SetForm(rows.Plain)
	if header, ok, err = s.Header(func(cells [][]byte) bool { return len(cells) == 2 }); err != nil || !ok {
		t.Fatalf("got header %q, %v, error %v; want it from the same row", header, ok, err)
	}
	want := []copied{{2, 7, []string{"0", "H100"}, ""}, {3, 13, []string{"index", `"name"`}, ""}, {4, 11, []string{"index", "name"}, ""}, {5, 5, []string{"1", `"H`}, ""}}
	if got := readRest(t, s); cmp.Diff(want, got) != "" {
		t.Errorf("rows (-want +got):\n%s", cmp.Diff(want, got))
	}
}

func TestUTF16(t *testing.T) {
	for name, text := range map[string]string{
		"little endian": "\xff\xfea\x00,\x00\xe4\x00\r\x00\n\x00c\x00,\x00d\x00",
		"big endian":    "\xfe\xff\x00a\x00,\x00\xe4\x00\r\x00\n\x00c\x00,\x00d",
	} {
		got, err := scanAll(strings.NewReader(text), rows.Options{}, nil)
		want := []copied{{1, 4, []string{"a", "ä"}, ""}, {2, 3, []string{"c", "d"}, ""}}
		if diff := cmp.Diff(want, got); diff != "" || err != io.EOF {
			t.Errorf("%s: error %v, rows (-want +got):\n%s", name, err, diff)
		}
	}
}
