package answer

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestReceiptsThatAreKeptAreBounded(t *testing.T) {
	for _, files := range []int{1, 5, 100} {
		o := NewOutcome()
		for range files {
			rec := o.BeginFile("f.csv").Receipt
			for i := range 1000 {
				rec.Headers = append(rec.Headers, fmt.Sprint("column ", i))
				rec.Errors = append(rec.Errors, Fault{i, "value", strings.Repeat("x", 50), "no number"})
				rec.Absences = append(rec.Absences, Absence{i, "value", "N/A", "not_supported"})
			}
			rec.Accepted = 10
		}
		o.SumUp("")
		text := TruncatedReceipt(o.Response(), o.Receipts())
		var back struct {
			Receipt
			Files []Receipt
		}
		if err := json.Unmarshal(text, &back); err != nil || len(text) > maxReceipt || back.Accepted != int64(10*files) {
			t.Errorf("%d files: %d bytes, %d accepted (%v)", files, len(text), back.Accepted, err)
		}
		if files == 5 && (len(back.Files) != 5 || len(back.Files[4].Errors) == 0) {
			t.Errorf("of 5 files there are %d, with %+v", len(back.Files), back.Files)
		}
	}
}
