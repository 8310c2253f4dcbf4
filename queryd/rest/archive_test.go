package rest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/queryd/history"
)

// TestHistoryReportsAMissingArchiveObject: trying again does not bring back an object that was removed.
func TestHistoryReportsAMissingArchiveObject(t *testing.T) {
	f := newFleet()
	f.addRows(t, oddCells)
	app := serveFleet(t, f, time.Now)
	f.mu.Lock()
	f.fail = fmt.Errorf("reading: %w", history.ErrArchive)
	f.mu.Unlock()
	for _, target := range []string{
		"/api/v1/telemetry", "/api/v1/telemetry?step=1h", "/api/v1/telemetry?format=csv", "/api/v1/gpus?as_of=2025-07-18T18:10:00Z",
	} {
		got := getAccepting(t, app, target, "")
		if text := string(got.body); got.status != http.StatusServiceUnavailable || !strings.Contains(text, "collectd archive check") || strings.Contains(text, "try again") {
			t.Errorf("%s: %d %s, want 503 that names the check", target, got.status, text)
		}
	}
}
