package rows_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"telemetry-pipeline/ingestd/rows"
)

// TestLongHeader reads a header that is longer than a row may be: then the rows may be as long.
func TestLongHeader(t *testing.T) {
	any := func([][]byte) bool { return true }
	for _, columns := range []int{10, 100, 5_000, 50_000} {
		var text strings.Builder
		for range 2 {
			for i := range columns {
				fmt.Fprintf(&text, "c%06d,", i)
			}
			text.WriteString("last\n1,2\n")
		}
		for _, block := range []int{1, 100_000} {
			sc := rows.NewScanner(iotest.HalfReader(strings.NewReader(text.String())), rows.Options{MaxLine: 100, MaxHeader: 100_000, BlockBytes: block})
			header, ok, err := sc.Header(any)
			if fits := 8*columns+len("last") <= 100_000; fits != (err == nil) || fits && (!ok || len(header) != columns+1) {
				t.Fatalf("%d columns: got %d, error %v; want them: %v", columns, len(header), err, fits)
			}
			if err != nil {
				continue
			}
			var got []string
			var b rows.Batch
			for sc.Next(&b) == nil {
				for row := range b.Rows() { // the repeated header is left out
					got = append(got, fmt.Sprintf("%d:%s", row.Line, row.Cells))
				}
			}
			if want := "[2:[1 2] 4:[1 2]]"; fmt.Sprint(got) != want {
				t.Errorf("%d columns, blocks of %d: got rows %v, want %v", columns, block, got, want)
			}
			if err := sc.Next(&b); err != io.EOF {
				t.Errorf("got error %v at the end", err)
			}
		}
	}
}
