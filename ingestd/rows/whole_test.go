package rows_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"telemetry-pipeline/ingestd/rows"
)

func TestWhole(t *testing.T) {
	long := strings.Repeat("3,plain\n", 9000) // more than the longest row
	for _, test := range []struct{ whole, open string }{
		{"1,a\n2,b\n", ""},
		{"1,\"a\nb\"\n2,b\n", ""},
		{"1,a\n", "2,\"b\n"},
		{"1,a\n", "2,\"b\nc\nd,\n"},
		{"1,a\n", "2,\"b \"\"c\n"},
		{"1,a\n2,5\" disk\n3,c\n", ""}, // no quote that opens
		{"1,\"a\"x\n2,\"b\nx\",c\n", "3,\"\n"},
		{"1,\"a\n" + long, ""}, // nothing closes it
		{"", "\"a\n"},
		{"1,a\n", "2,"},
		{"", ""},
	} {
		text := test.whole + test.open
		if got := rows.CompleteRows([]byte(text), ','); got != len(test.whole) {
			t.Errorf("%.40q: got %d bytes of whole rows, want %d", text, got, len(test.whole))
		}
	}
}

// FuzzWhole checks for any text that its two parts, cut where Whole returns and read one after the other, have the
// same rows as the text.
func FuzzWhole(f *testing.F) {
	for _, seed := range seeds {
		f.Add(seed, uint16(len(seed)/2))
	}
	f.Add("1,\"a\nb\"\n2,\"c\nd\"\n", uint16(12))
	f.Fuzz(func(t *testing.T, text string, at uint16) {
		for _, mark := range []string{"\xef\xbb\xbf", "\xff\xfe", "\xfe\xff"} {
			if strings.Contains(text, mark) {
				return // Whole applies to the beginning of a file
			}
		}
		cut := strings.LastIndexByte(text[:min(int(at), len(text))], '\n') + 1
		cut = rows.CompleteRows([]byte(text[:cut]), ',')
		want, wantErr := scanAll(strings.NewReader(text), rows.Options{}, nil)
		first, err := scanAll(strings.NewReader(text[:cut]), rows.Options{}, nil)
		second, err2 := scanAll(strings.NewReader(text[cut:]), rows.Options{}, nil)
		for i := range second {
			second[i].Line += strings.Count(text[:cut], "\n")
		}
		if diff := cmp.Diff(want, append(first, second...)); diff != "" || errText(wantErr) != errText(err2) {
			t.Errorf("cut at %d of %q (%v, %v, %v; -whole +in two):\n%s", cut, text, wantErr, err, err2, diff)
		}
	})
}
