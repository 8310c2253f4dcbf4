package rows_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"telemetry-pipeline/ingestd/rows"
)

// scanTails reads like scanAll and completes the rows. It also returns the tails that they had before.
func scanTails(text string, opt rows.Options) (got []copied, tails []string, err error) {
	s := rows.NewScanner(strings.NewReader(text), opt)
	s.LeaveTails()
	var b rows.Batch
	for {
		if err := s.Next(&b); err != nil {
			return got, tails, err
		}
		for row := range b.Rows() {
			tails = append(tails, string(row.Tail))
			if fault := row.Complete(); fault != row.Fault || row.Tail != nil {
				panic("the row is not complete, or its fault is another")
			}
			got = append(got, copyRow(row))
		}
	}
}

func TestTails(t *testing.T) {
	text := `a,"b","c=""1"",d=""2"""` + "\n" + // labels that are last
		`a,"b ""c""","d"` + "\n" + // more cells behind them, which only splitting shows
		`"a ""b""",c` + "\n" + `"a ""b""","c"` + "\n" + // at the beginning
		`a,"b ""c""",d` + "\n" + `a,"b ""c"" ",` + "\n" + // no quote at the end
		`a,"b","c"` + "\n" + `a,""` + "\n" +
		`a,"b "" c"d"` + "\n" + // no cells at all
		"a,\"b \"\"\nc\"\"\"\n" // several lines
	got, tails, _ := scanTails(text, rows.Options{})
	want := []string{`"c=""1"",d=""2"""`, `"b ""c""","d"`, "", "", "", "", "", "", `"b "" c"d"`, ""}
	if !slices.Equal(tails, want) {
		t.Errorf("got tails %q, want %q", tails, want)
	}
	if whole, _ := scanAll(strings.NewReader(text), rows.Options{}, nil); !cmp.Equal(whole, got) {
		t.Errorf("rows (-at once +completed):\n%s", cmp.Diff(whole, got))
	}
}

// FuzzTails checks that a completed row equals the row that is split at once.
func FuzzTails(f *testing.F) {
	for _, seed := range seeds {
		f.Add(seed, uint8(0))
	}
	f.Add(`a,"b ""c"" ","d"""`+"\n", uint8(1))
	f.Fuzz(func(t *testing.T, text string, form uint8) {
		opt := rows.Options{MaxLine: 64, Form: rows.Form(form % 4)}
		want, wantErr := scanAll(strings.NewReader(text), opt, nil)
		got, _, err := scanTails(text, opt)
		if diff := cmp.Diff(want, got); diff != "" || errText(err) != errText(wantErr) {
			t.Fatalf("error %v, want %v; rows (-at once +completed):\n%s", err, wantErr, diff)
		}
	})
}
