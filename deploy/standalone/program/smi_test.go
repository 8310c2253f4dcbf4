package program

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const smiQuery = `timestamp, name, uuid, index, utilization.gpu [%], power.min_limit [W], clocks.gr [MHz], encoder.stats.sessionCount, gsp.mode.current, compute_mode, fan.speed [%], hostname
2026/07/03 22:11:09.763, NVIDIA H200, GPU-4c7e1b4e-0000-4444-8888-123456789abc, 0, 100 %, 200.00 W, 1980 MHz, 2, Enabled, Default, [N/A], [N/A]
`

const smiApps = `timestamp, gpu_name, gpu_bus_id, gpu_serial, gpu_uuid, pid, process_name, used_gpu_memory [MiB]
2026/07/03 22:11:09.913, NVIDIA H200, 00000000:0F:00.0, 1650123, GPU-4c7e1b4e-0000-4444-8888-123456789abc, 11345, train, now, 15690 MiB
`

// Metrics that only nvidia-smi has are stored, and asked for, under one name of their own, whichever spelling is used.
// Processes are parts of their GPU.
func TestWhatNvidiaSMIWrites(t *testing.T) {
	t.Parallel()
	s := startStack(t, t.TempDir())
	for _, file := range []struct {
		name, content string
		accepted      int
	}{{"gpus.csv", smiQuery, 7}, {"apps.csv", smiApps, 1}} {
		status, r := s.upload(file.name, []byte(file.content), "?wait=true&host=n1")
		if status != http.StatusOK || r.Accepted != file.accepted || r.Rejected != 0 {
			t.Fatalf("%s: got %d %+v", file.name, status, r)
		}
		s.get("/api/v1/cluster?wait="+url.QueryEscape(r.Revision), &map[string]any{})
	}
	type reading struct {
		Metrics map[string]any
		Absent  map[string]string
		Labels  map[string]string
		Parts   []struct {
			Part    string
			Metrics map[string]any
			Labels  map[string]string
		}
	}
	var gpu reading
	s.get("/api/v1/gpus/GPU-4c7e1b4e-0000-4444-8888-123456789abc", &gpu)
	want := map[string]any{
		"DCGM_FI_DEV_GPU_UTIL": json.Number("100"), "power.min_limit": json.Number("200"), "clocks.current.graphics": json.Number("1980"),
		"encoder.stats.sessionCount": json.Number("2"), "gsp.mode.current": json.Number("1"),
	}
	if diff := cmp.Diff(want, gpu.Metrics); diff != "" {
		t.Errorf("metrics of the GPU (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"DCGM_FI_DEV_FAN_SPEED": "not_supported", "hostname": "not_supported"}, gpu.Absent); diff != "" {
		t.Errorf("absent of the GPU (-want +got):\n%s", diff)
	}
	if gpu.Labels["compute_mode"] != "Default" || gpu.Labels["pid"] != "" {
		t.Errorf("got labels %v, want the compute mode, and nothing of a process", gpu.Labels)
	}
	if len(gpu.Parts) != 1 || gpu.Parts[0].Part != "pid:11345" || gpu.Parts[0].Metrics["process_used_memory_mib"] != json.Number("15690") ||
		gpu.Parts[0].Labels["process_name"] != "train, now" {
		t.Errorf("got parts %+v, want the process and its memory", gpu.Parts)
	}
	for asked, name := range map[string]string{
		"power.min_limit": "power.min_limit", "gpu.power.min_limit [W]": "power.min_limit", "clocks.gr": "clocks.current.graphics",
		"gsp.mode.current": "gsp.mode.current", "process_used_memory_mib": "process_used_memory_mib", "utilization.gpu [%]": "DCGM_FI_DEV_GPU_UTIL",
	} {
		var entries []reading
		s.get("/api/v1/telemetry?metric="+url.QueryEscape(asked), &entries)
		if len(entries) != 1 || !slices.Equal(slices.Collect(maps.Keys(entries[0].Metrics)), []string{name}) {
			t.Errorf("REST, history of %q: got %+v, want one entry with %s", asked, entries, name)
		}
		var data struct {
			Telemetry struct{ Entries []reading }
		}
		s.graphql(`query($m: [String!]) {telemetry(metric: $m) {entries {metrics}}}`, map[string]any{"m": []string{asked}}, &data)
		if got := data.Telemetry.Entries; len(got) != 1 || !slices.Equal(slices.Collect(maps.Keys(got[0].Metrics)), []string{name}) {
			t.Errorf("GraphQL, history of %q: got %+v, want one entry with %s", asked, got, name)
		}
	}
}
