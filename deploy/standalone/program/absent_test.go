package program

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// absences holds the absent readings in an answer of REST or GraphQL for one GPU, or of one entry of its history.
type absences struct {
	Temperature any
	Metrics     map[string]any
	Absent      map[string]string
	AbsentText  map[string]string
	RESTText    map[string]string `json:"absent_text"`
}

func (a absences) comparable() absences {
	if a.AbsentText == nil {
		a.AbsentText = a.RESTText
	}
	a.RESTText = nil
	return a
}

const absentRows = `timestamp,metric_name,gpu_id,uuid,Hostname,value
2025-07-18T20:42:34Z,DCGM_FI_DEV_GPU_TEMP,0,GPU-a,n1,41
2025-07-18T20:42:35Z,DCGM_FI_DEV_GPU_TEMP,0,GPU-a,n1,[Unknown Error]
2025-07-18T20:42:35Z,DCGM_FI_DEV_MEMORY_TEMP,0,GPU-a,n1,[N/A]
2025-07-18T20:42:35Z,DCGM_FI_DEV_FAN_SPEED,0,GPU-a,n1,
2025-07-18T20:42:35Z,DCGM_FI_DEV_SM_CLOCK,0,GPU-a,n1,2147483635
2025-07-18T20:42:35Z,DCGM_FI_DEV_POWER_USAGE,0,GPU-a,n1,[GPU is lost]
2025-07-18T20:42:35Z,DCGM_FI_DEV_GPU_UTIL,0,GPU-a,n1,4294967295
2025-07-18T20:42:35Z,DCGM_FI_DEV_MEM_COPY_UTIL,0,GPU-a,n1,0
`

// An absent reading is left out wherever its value would be, and its reason stands beside.
func TestAbsentReadingsAreReportedWithTheirReason(t *testing.T) {
	t.Parallel()
	s := startStack(t, t.TempDir())
	if r := s.mustUpload("absent.csv", []byte(absentRows)); r.Accepted != 8 || r.Absent != 6 {
		t.Errorf("got %d accepted of which %d absent, want 8 and 6", r.Accepted, r.Absent)
	}
	want := absences{
		Metrics: map[string]any{"DCGM_FI_DEV_MEM_COPY_UTIL": json.Number("0")},
		Absent: map[string]string{
			"DCGM_FI_DEV_GPU_TEMP": "error", "DCGM_FI_DEV_MEMORY_TEMP": "not_supported", "DCGM_FI_DEV_FAN_SPEED": "blank",
			"DCGM_FI_DEV_SM_CLOCK": "not_permitted", "DCGM_FI_DEV_POWER_USAGE": "lost",
		},
		AbsentText: map[string]string{
			"DCGM_FI_DEV_GPU_TEMP": "[Unknown Error]", "DCGM_FI_DEV_MEMORY_TEMP": "[N/A]",
			"DCGM_FI_DEV_SM_CLOCK": "2147483635", "DCGM_FI_DEV_POWER_USAGE": "[GPU is lost]",
		},
	}
	same := func(from string, got absences) {
		t.Helper()
		if diff := cmp.Diff(want, got.comparable()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", from, diff)
		}
	}
	var gpus, latest, history []absences
	s.get("/api/v1/gpus", &gpus)
	s.get("/api/v1/telemetry/latest", &latest)
	s.get("/api/v1/telemetry?start_time="+url.QueryEscape("2025-07-18T20:42:35Z"), &history)
	var one absences
	s.get("/api/v1/gpus/GPU-a", &one)
	if len(gpus) != 1 || len(latest) != 1 || len(history) != 1 {
		t.Fatalf("got %d GPUs, %d latest entries, %d in history, want one each", len(gpus), len(latest), len(history))
	}
	same("GPUs", gpus[0])
	same("the GPU", one)
	same("latest", latest[0])
	same("history", history[0])
	var data struct {
		GPU struct {
			absences
			Telemetry struct{ Entries []absences }
		}
	}
	s.graphql(`{gpu(id: "GPU-a") {temperature metrics absent absentText telemetry(limit: 1) {entries {temperature metrics absent absentText}}}}`, nil, &data)
	same("GraphQL", data.GPU.absences)
	if len(data.GPU.Telemetry.Entries) != 1 {
		t.Fatalf("got %d entries by GraphQL, want 1", len(data.GPU.Telemetry.Entries))
	}
	same("GraphQL's history", data.GPU.Telemetry.Entries[0])
}

const (
	agentMetrics = `timestamp,component,metric_name,value,labels
2025-11-05T12:00:00Z,accelerator-nvidia-memory,accelerator_nvidia_memory_used_bytes,1.073741824e+09,"{""gpu"":""0"",""uuid"":""GPU-a""}"
`
	agentEvents = `timestamp,component,event_name,event_type,message
2025-11-05T12:00:01Z,accelerator-nvidia-error-xid,error_xid,Fatal,XID 79 detected on GPU 0
2025-11-05T12:00:02Z,os,reboot,Warning,system reboot detected
`
	agentHealth = `timestamp,component_name,health,reason
2025-11-05T12:00:03Z,accelerator-nvidia-ecc,Unhealthy,uncorrected errors
N/A,cpu,Healthy,
`
)

// Files of one host's agent: readings of a GPU, and of the host itself, which is no GPU.
func TestFilesOfAnAgentAreReadings(t *testing.T) {
	t.Parallel()
	s := startStack(t, t.TempDir())
	for _, file := range []struct {
		dialect, content   string
		accepted, rejected int
	}{
		{"fleetint-metrics", agentMetrics, 1, 0},
		{"fleetint-events", agentEvents, 2, 0},
		{"fleetint-health", agentHealth, 1, 1},
	} {
		status, r := s.upload(file.dialect+".csv", []byte(file.content), "?wait=true&host=n1")
		if status != http.StatusOK || r.Dialect != file.dialect || r.Accepted != file.accepted || r.Rejected != file.rejected {
			t.Fatalf("%s: got %d %+v", file.dialect, status, r)
		}
		s.get("/api/v1/cluster?wait="+url.QueryEscape(r.Revision), &map[string]any{})
	}
	var entries []struct {
		Timestamp, ID string
		Labels        map[string]string
		Metrics       map[string]any
	}
	s.get("/api/v1/telemetry?order=asc&host_id=n1", &entries)
	var got []string
	for _, e := range entries {
		got = append(got, fmt.Sprintf("%s %q %v %s", e.Timestamp, e.ID, e.Metrics, e.Labels["component"]))
	}
	want := []string{
		`2025-11-05T12:00:00Z "GPU-a" map[DCGM_FI_DEV_FB_USED:1024] accelerator-nvidia-memory`,
		`2025-11-05T12:00:01Z "GPU-a" map[DCGM_FI_DEV_XID_ERRORS:79] accelerator-nvidia-error-xid`,
		`2025-11-05T12:00:02Z "" map[event_reboot:1] os`,
		`2025-11-05T12:00:03Z "" map[health_accelerator-nvidia-ecc:2] `,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	var gpus []struct{ ID string }
	if s.get("/api/v1/gpus", &gpus); len(gpus) != 1 {
		t.Errorf("got GPUs %v, want GPU-a alone: the XID names it by the index that the metrics give it", gpus)
	}
}
