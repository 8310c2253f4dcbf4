package pipeline

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/ingestd/dialect/dialecttest"
	"telemetry-pipeline/ingestd/rows"
)

// TestRealNonTelemetry refuses by name files of the collection of real inputs that are no telemetry.
func TestRealNonTelemetry(t *testing.T) {
	for name, want := range map[string]string{
		"dcgm-default-counters.csv":            "a counters file of dcgm-exporter",
		"grafana/dcgm-exporter-dashboard.json": "a Grafana dashboard",
	} {
		_, err := detectDialect(rows.NewScanner(bytes.NewReader(dialecttest.Sample(t, name)), rows.Options{}), Grammars(), Parameters{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want a refusal that names %s", name, err, want)
		}
	}
}

// TestRealFilesAreKnown detects the dialect of each kind of telemetry in that collection.
func TestRealFilesAreKnown(t *testing.T) {
	p, err := ParseParameters(map[string]string{"host": "n1", "start": "2026-07-03T22:11:09Z"}, "UTC", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"dcgm_metrics_20250718_134233.csv":              "dcgm-long",
		"wide_minimal.csv":                              "wide",
		"nvidia-smi/h200-load-query-gpu.csv":            "nvidia-smi",
		"nvidia-smi/rtx2080-windows-idle-query-gpu.csv": "nvidia-smi",
		"nvidia-smi/h100-idle-dmon.txt":                 "nvidia-smi-dmon",
	} {
		got, err := detectDialect(rows.NewScanner(bytes.NewReader(dialecttest.Sample(t, name)), rows.Options{}), Grammars(), p)
		if err != nil || got.dialect != want {
			t.Errorf("%s: got %+v, error %v, want dialect %s", name, got, err, want)
		}
	}
}
