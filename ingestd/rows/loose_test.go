package rows_test

import (
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"telemetry-pipeline/ingestd/rows"
)

func TestLooseQuotes(t *testing.T) {
	for _, test := range []struct {
		text string
		want []string
	}{
		{`a;b`, []string{"a", "b"}},
		{`m{gpu="0"};1`, []string{`m{gpu="0"}`, "1"}},
		{`"m{gpu=""0"";x}";1`, []string{`m{gpu="0";x}`, "1"}},
		{`"a";"b"`, []string{"a", "b"}},
		{`"";"";`, []string{"", "", ""}},
		{`"a"b;c`, []string{`"a"b`, "c"}},
		{`"a;b`, []string{`"a`, "b"}},
		{`"a""b;"c"`, []string{`"a""b`, "c"}},
		{`";`, []string{`"`, ""}},
	} {
		sc := rows.NewScanner(strings.NewReader(test.text+"\nnext"), rows.Options{Form: rows.Loose, Separator: ';'})
		var b rows.Batch
		if err := sc.Next(&b); err != nil {
			t.Fatal(err)
		}
		var got [][]string
		for row := range b.Rows() {
			var cells []string
			for _, cell := range row.Cells {
				cells = append(cells, string(cell))
			}
			got = append(got, cells)
		}
		if diff := cmp.Diff([][]string{test.want, {"next"}}, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", test.text, diff)
		}
		if err := sc.Next(&b); err != io.EOF {
			t.Errorf("%q: got error %v at the end, want io.EOF", test.text, err)
		}
	}
}
