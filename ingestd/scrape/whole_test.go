package scrape_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"

	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/rows"
)

// TestLineByLineIsTheWhole compares with Prometheus' reading of the text as a whole.
func TestLineByLineIsTheWhole(t *testing.T) {
	text := expositionText(3, 6)
	text = append(text, "DCGM_FI_DEV_METRIC_9{gpu=\"0\",UUID=\"GPU-\\\"9\",Hostname=\"n 9\"} -1.5e-3 1752871354123\n"...)
	at := time.Date(2025, 7, 18, 20, 42, 34, 0, time.UTC)
	var want []string
	for p := textparse.NewPromParser(bytes.Clone(text), labels.NewSymbolTable(), false); ; {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if entry != textparse.EntrySeries {
			continue
		}
		_, ms, value := p.Series()
		when := at
		if ms != nil {
			when = time.UnixMilli(*ms).UTC()
		}
		var set labels.Labels
		p.Labels(&set)
		want = append(want, fmt.Sprintf("%s %s %s %s %v", when.Format(time.RFC3339Nano), set.Get("Hostname"), set.Get("UUID"), set.Get("__name__"), value))
	}
	read, err := promDialect().Read(bytes.NewReader(text), dialect.Options{At: at}, rows.Options{}, 2)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range read.Records {
		got = append(got, fmt.Sprintf("%s %s %s %s %v", r.At, r.Host, r.Identity.UUID, r.Metric, r.Value.Number.Float()))
	}
	if diff := cmp.Diff(want, got); diff != "" || len(want) != 3*8*6+1 {
		t.Errorf("%d samples (-whole +lines):\n%s", len(want), diff)
	}
	if read.Skipped != 12 || len(read.Rejections)+len(read.Warnings) != 0 {
		t.Errorf("got %d skipped, %v, %v; want the 12 comments and nothing else", read.Skipped, read.Rejections, read.Warnings)
	}
}
