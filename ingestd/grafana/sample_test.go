package grafana_test

import (
	"bytes"
	"encoding/csv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/dialect/dialecttest"
	"telemetry-pipeline/ingestd/rows"
)

// TestRealFleet writes a real export of 247 GPUs as Grafana would, in both forms, and reads all of it back.
func TestRealFleet(t *testing.T) {
	all, err := csv.NewReader(bytes.NewReader(dialecttest.Sample(t, "dcgm_metrics_20250718_134233.csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	const at, metric, uuid, host, value, labels = 0, 1, 4, 6, 10, 11
	want := map[string]string{}
	byRow := [][]string{{"Series", "Time", "Value"}}
	header := []string{"Time"}
	byTime := map[string][]string{}
	for i, r := range all[1:] {
		want[r[at]+" "+r[metric]+" "+r[host]+" "+r[uuid]] = r[value]
		series := "{" + r[labels] + "}"
		byRow = append(byRow, []string{series, r[at], r[value]})
		header = append(header, series)
		if byTime[r[at]] == nil {
			byTime[r[at]] = make([]string, len(all))
			byTime[r[at]][0] = r[at]
		}
		byTime[r[at]][i+1] = r[value]
	}
	byColumn := [][]string{header}
	for _, row := range byTime {
		byColumn = append(byColumn, row)
	}
	for name, c := range map[string]struct {
		dialect dialecttest.Dialect
		comma   rune
		table   [][]string
	}{"rows": {byRows(), ';', byRow}, "columns": {byColumns(), ',', byColumn}} {
		var text bytes.Buffer
		w := csv.NewWriter(&text)
		w.Comma = c.comma
		if err := w.WriteAll(c.table); err != nil {
			t.Fatal(err)
		}
		read, err := c.dialect.Read(&text, dialect.Options{}, rows.Options{}, 2)
		if err != nil {
			t.Fatal(name, err)
		}
		got := map[string]string{}
		for _, r := range read.Records {
			got[r.At.String()+" "+r.Metric+" "+string(r.Host)+" "+r.Identity.UUID] = r.Value.Number.String()
		}
		if diff := cmp.Diff(want, got); diff != "" || len(read.Rejections) > 0 || len(read.Records) != 2470 {
			t.Errorf("%s: %d records, %d rejections (-file +read):\n%.2000s", name, len(read.Records), len(read.Rejections), diff)
		}
	}
}
