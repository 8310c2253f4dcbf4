package wide_test

import (
	"bytes"
	"testing"

	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/dialect/dialecttest"
	"telemetry-pipeline/ingestd/rows"
)

// TestSample reads the documented example of the wide form: two GPUs with all named fields each.
func TestSample(t *testing.T) {
	got, err := wideDialect().Read(bytes.NewReader(dialecttest.Sample(t, "wide_minimal.csv")), dialect.Options{}, rows.Options{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Records) != 16 || got.Rows != 2 || got.Absent+len(got.Rejections)+len(got.Warnings) != 0 || !got.ZoneAssumed {
		t.Fatalf("got %+v; want 16 records of 2 rows in an assumed zone, and nothing else", got)
	}
	want := map[string][8]string{
		"GPU-00000001": {"75.5", "60.2", "8192", "8192", "65", "250", "1400", "1000"},
		"GPU-00000002": {"80.1", "65.8", "9216", "7168", "67", "275", "1450", "1050"},
	}
	at := map[string]string{"GPU-00000001": "2024-01-01T12:00:01Z", "GPU-00000002": "2024-01-01T12:00:02Z"}
	for i, r := range got.Records {
		uuid, field := r.Identity.UUID, metric.Named()[i%8]
		if r.Host != "test-host-1" || r.Metric != field.Metric || r.Source != field.Name ||
			r.Value.Number.String() != want[uuid][i%8] || r.At.String() != at[uuid] {
			t.Errorf("got %s %s %s=%s from %s at %s; want %s=%s at %s",
				r.Host, uuid, r.Metric, r.Value.Number, r.Source, r.At, field.Metric, want[uuid][i%8], at[uuid])
		}
	}
}
