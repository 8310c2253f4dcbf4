package rest

import (
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/events"
)

// TestHistoryOfAHostThatLeftIsFoundByItsNames lets a host leave the view, and asks for its history by every name of its GPU.
func TestHistoryOfAHostThatLeftIsFoundByItsNames(t *testing.T) {
	f := newFleet()
	id := events.Identity{UUID: "GPU-5fd4f087-86f3-7a43-b711-4771313afc50", Index: "0", PCI: "00000000:1b:00.0"}
	if err := f.addRow("gone", id, events.TimestampOf(noon), [][2]string{{"gpu_utilization", "42"}}); err != nil {
		t.Fatal(err)
	}
	last := f.appended[0]
	last.AppendedAt = last.Last()
	f.foldEvent(last)
	f.foldEvent(events.LeftEvent("gone", last.AppendedAt))
	app := serveFleet(t, f, time.Now)
	if got := getAccepting(t, app, "/api/v1/hosts", ""); !strings.Contains(string(got.body), `"count":0`) {
		t.Errorf("hosts: %s, want none", got.body)
	}
	for _, path := range []string{
		"/api/v1/gpus/GPU-5fd4f087-86f3-7a43-b711-4771313afc50/telemetry", "/api/v1/gpus/5FD4F087-86f3-7a43-b711-4771313afc50/telemetry",
		"/api/v1/gpus/gone:gpu-5fd4f087-86F3-7a43-b711-4771313afc50/telemetry", "/api/v1/gpus/gone:0/telemetry", "/api/v1/gpus/gone:0000:1B:00.0/telemetry", "/api/v1/gpus/gone:0/telemetry?step=1h",
		"/api/v1/telemetry?gpu_id=gone:0", "/api/v1/telemetry?host_id=gone",
	} {
		if got := getAccepting(t, app, path, ""); got.status != 200 || !strings.Contains(string(got.body), "42") {
			t.Errorf("GET %s: %d %s, want its reading", path, got.status, got.body)
		}
	}
	if got := getAccepting(t, app, "/api/v1/gpus/gone:7/telemetry", ""); got.status != 404 {
		t.Errorf("a GPU that never was: %d %s, want 404", got.status, got.body)
	}
}
