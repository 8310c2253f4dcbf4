package program

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"telemetry-pipeline/ingestd/ingest"
)

func TestStandaloneWithoutUploadsAnswersQueries(t *testing.T) {
	t.Parallel()
	s := startStack(t, t.TempDir(), func(s *settings) { s.intake.Off = true })
	if s.uploads != "" {
		t.Errorf("uploads are told to be at %q", s.uploads)
	}
	resp, err := http.Get(s.queries + "/health")
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("queries: %s, %v", resp.Status, err)
	}
}

func TestADemoWithoutUploadsIsRefused(t *testing.T) {
	s := settings{demo: true, intake: ingest.Config{Off: true}}
	if _, err := s.buildParts(t.Context(), openEntrance(t), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "ENABLE_HTTP") {
		t.Errorf("building: %v, want the setting's name", err)
	}
}
