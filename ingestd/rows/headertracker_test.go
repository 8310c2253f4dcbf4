package rows_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"telemetry-pipeline/ingestd/rows"
)

// TestRowsUnderAnotherHeaderAreNotReadByTheFirst joins files whose columns are in another order.
func TestRowsUnderAnotherHeaderAreNotReadByTheFirst(t *testing.T) {
	const text = "time,host,temp\n1,a,41\n\"Time\", HOST ,temp,\n2,a,42\ntime,temp,host\n3,43,a\ntime\n\"host\",time,temp\na,5,45\nTIME,host,temp\n6,a,46\n"
	isHeader := func(cells [][]byte) bool {
		return len(cells) > 2 && bytes.Contains(bytes.ToLower(bytes.Join(cells, []byte(","))), []byte("time"))
	}
	const under = "it stands under the header on line "
	want := []copied{
		{2, 6, []string{"1", "a", "41"}, ""},
		{4, 6, []string{"2", "a", "42"}, ""},
		{5, 14, nil, "a header with other columns"},
		{6, 6, nil, under + "5"},
		{7, 4, nil, under + "5"},
		{8, 16, nil, "a header with other columns"},
		{9, 6, nil, under + "8"},
		{11, 6, []string{"6", "a", "46"}, ""},
	}
	for _, form := range []rows.Form{rows.Quoted, rows.Loose} {
		for _, limit := range []int{1, 2, 100} { // batch sizes make no difference
			s := rows.NewScanner(strings.NewReader(text), rows.Options{Form: form, BatchRows: limit})
			if _, ok, err := s.Header(isHeader); !ok || err != nil {
				t.Fatalf("no header: error %v", err)
			}
			if diff := cmp.Diff(want, trimFaults(readRest(t, s), want)); diff != "" {
				t.Errorf("form %d, %d rows at a time (-want +got):\n%s", form, limit, diff)
			}
		}
	}
}
