package ingest

import (
	"bytes"
	"strings"
	"testing"

	"telemetry-pipeline/ingestd/dialect/dialecttest"
	"telemetry-pipeline/ingestd/rows"
)

// TestRealStrangers refuses by name files of the collection of real inputs that are no telemetry.
func TestRealStrangers(t *testing.T) {
	for name, want := range map[string]string{
		"dcgm-default-counters.csv":            "a counters file of dcgm-exporter",
		"grafana/dcgm-exporter-dashboard.json": "a Grafana dashboard",
	} {
		_, err := detect(bytes.NewReader(dialecttest.Sample(t, name)), rows.Options{}, parameters{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want a refusal that names %s", name, err, want)
		}
	}
}
