package program

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/collectd/retain"
)

const (
	namedFile = `timestamp, index, uuid, pci.bus_id, name, driver_version, power.draw [W]
2026/05/11 09:14:02.120, 0, GPU-2daf7c40-cea9-4c5a-9314-c5ef449d4116, 00000000:1B:00.0, NVIDIA H100 80GB HBM3, 550.54, 600.00 W
`
	uuidFile = `timestamp, uuid, temperature.gpu
2026/05/11 09:14:03.120, GPU-2daf7c40-cea9-4c5a-9314-c5ef449d4116, 61
`
	dmonFile = `# gpu    pwr  gtemp     sm
# Idx      W      C      %
    0    601     63    100
`
	named = "GPU-2daf7c40-cea9-4c5a-9314-c5ef449d4116"
)

// shownGPU is a GPU in an answer, or an entry of its history.
type shownGPU struct {
	ID, UUID, Hostname, Pod string
	Timestamp               time.Time
	Index                   string      `json:"gpu_id"`
	Model                   string      `json:"model_name"`
	Driver                  string      `json:"driver_version"`
	PCI                     string      `json:"pci_bus_id"`
	Conflict                []string    `json:"conflict_hosts"`
	Power                   json.Number `json:"power_draw"`
	Temperature             json.Number
	Parts                   []struct{ Part string }
}

// mustSend uploads a file with parameters, whose rows are all good, and waits until they are visible and none is quarantined.
func (s *stack) mustSend(name, content, parameters string) receipt {
	s.t.Helper()
	status, r := s.upload(name, []byte(content), "?wait=true&"+parameters)
	if status != http.StatusOK || !r.Success || r.Rejected > 0 || r.Accepted == 0 || r.QuarantinedEvents > 0 {
		s.t.Fatalf("uploading %s: %d %+v", name, status, r)
	}
	return r
}

// archiveAtOnce moves every event to the archive as soon as it is folded.
func archiveAtOnce(s *settings) {
	s.folding.Retain = retain.Config{
		ArchiveInterval: time.Millisecond, HotWindow: time.Millisecond, Grace: time.Millisecond, KeepReplaced: time.Millisecond,
		Look: 20 * time.Millisecond, MergeEntries: 2,
	}
}

// A record that has only the UUID takes nothing from the GPU that others have said.
func TestARecordThatSaysLessForgetsNothing(t *testing.T) {
	t.Parallel()
	s := startStack(t, t.TempDir())
	s.mustSend("named.csv", namedFile, "host=n1")
	s.mustSend("uuid.csv", uuidFile, "host=n1")
	for _, name := range []string{named, "n1:0", "n1:0000:1B:00.0", "n1:00000000:1b:00.0"} {
		path := "/api/v1/gpus/" + url.PathEscape(name)
		var g shownGPU
		s.get(path, &g)
		if g.ID != named || g.Index != "0" || g.Model != "NVIDIA H100 80GB HBM3" || g.Driver != "550.54" || g.PCI != "00000000:1b:00.0" || g.Temperature != "61" {
			t.Errorf("%s is %+v, want all that its records said", name, g)
		}
		var history []shownGPU
		if s.get(path+"/telemetry", &history); len(history) != 2 {
			t.Errorf("history of %s has %d entries, want both", name, len(history))
		}
		var data struct {
			GPU struct{ ID, GpuId, ModelName string }
		}
		s.graphql(`query($id: ID!) {gpu(id: $id) {id gpuId modelName}}`, map[string]any{"id": name}, &data)
		if data.GPU.ID != named || data.GPU.GpuId != "0" || data.GPU.ModelName == "" {
			t.Errorf("GraphQL, %s is %+v", name, data.GPU)
		}
	}
}

// A log by index beside a log with UUIDs is of one GPU: in live, totals, subscriptions and history, from etcd and from the
// archive, whichever file came first.
func TestALogByIndexIsOfTheGPUThatHasTheIndex(t *testing.T) {
	t.Parallel()
	files := map[string][2]string{"named.csv": {namedFile, "host=n1"}, "dmon.txt": {dmonFile, "host=n1&start=2026-05-11T09:14:05Z"}}
	watched := map[string]string{"named.csv": "n1:0", "dmon.txt": "n1:0000:1B:00.0"}
	for _, order := range [][]string{{"named.csv", "dmon.txt"}, {"dmon.txt", "named.csv"}} {
		t.Run(order[0]+" first", func(t *testing.T) {
			t.Parallel()
			s := startStack(t, t.TempDir(), archiveAtOnce)
			w := s.dial("/ws", "gpu.live.v1")
			defer w.close()
			w.send(map[string]any{"op": "sub", "id": "slot", "mode": "latest", "hz": 20, "snapshot": true, "filter": map[string]any{"gpu": []string{watched[order[0]]}}})
			w.until("synced")
			for _, name := range order {
				s.mustSend(name, files[name][0], files[name][1])
			}
			w.awaitReading(named, "DCGM_FI_DEV_POWER_USAGE", "601")
			s.checkOneGPU()
			s.awaitArchived()
			s.checkOneGPU()
		})
	}
}

// awaitReading reads the stream until a GPU has a value.
func (w *watcher) awaitReading(gpu, metric, value string) {
	w.t.Helper()
	for {
		m := w.next()
		items, _ := m["items"].([]any)
		for _, raw := range items {
			item := raw.(map[string]any)
			if readings := item["m"].(map[string]any); item["gpu"] == gpu && fmt.Sprint(readings[metric]) == value {
				return
			}
		}
	}
}

// checkOneGPU checks that n1 has one GPU with the readings of both logs.
func (s *stack) checkOneGPU() {
	s.t.Helper()
	var cluster struct {
		GPUs   int `json:"gpu_count"`
		Totals struct {
			Power json.Number `json:"power_draw"`
		}
	}
	if s.get("/api/v1/cluster", &cluster); cluster.GPUs != 1 || cluster.Totals.Power != "601" {
		s.t.Errorf("the cluster has %d GPUs with %s W, want one with 601 W", cluster.GPUs, cluster.Totals.Power)
	}
	for _, name := range []string{named, "n1:0", "n1:1B:00.0"} {
		var g shownGPU
		if s.get("/api/v1/gpus/"+url.PathEscape(name), &g); g.ID != named || g.Power != "601" || g.Temperature != "63" {
			s.t.Errorf("%s is %+v, want the readings of both logs", name, g)
		}
		var history []shownGPU
		s.get("/api/v1/telemetry?metric=power_draw&order=asc&gpu_id="+url.QueryEscape(name), &history)
		var got []string
		for _, e := range history {
			got = append(got, e.ID+" "+e.Index+" "+e.Power.String())
		}
		if want := []string{named + " 0 600", named + " 0 601"}; !slices.Equal(got, want) {
			s.t.Errorf("history of %s is %q, want %q", name, got, want)
		}
		var buckets []shownGPU
		s.get("/api/v1/telemetry?metric=power_draw&step=1h&agg=max&gpu_id="+url.QueryEscape(name), &buckets)
		if len(buckets) != 1 || buckets[0].Power != "601" {
			s.t.Errorf("hours of %s are %+v, want one with 601 W", name, buckets)
		}
		var data struct {
			Telemetry struct{ Entries []struct{ ID string } }
		}
		s.graphql(`query($id: ID!) {telemetry(gpu: [$id], metric: ["power_draw"]) {entries {id}}}`, map[string]any{"id": name}, &data)
		if e := data.Telemetry.Entries; len(e) != 2 || e[0].ID != named || e[1].ID != named {
			s.t.Errorf("GraphQL, history of %s is %+v, want two entries of the GPU", name, e)
		}
	}
	var then shownGPU
	s.get("/api/v1/gpus/n1:0?as_of=2026-05-11T09:14:03Z", &then)
	if then.ID != named || then.Power != "600" {
		s.t.Errorf("n1:0 as of before the second log is %+v, want 600 W", then)
	}
}

// A host may run any number of pods: their names are kept with the hours that they ran in, not with the host.
func TestAHostRunsAnyNumberOfPods(t *testing.T) {
	t.Parallel()
	s := startStack(t, t.TempDir())
	const minutes, gpus = 3400, 8 // 27,200 pods
	start := time.Date(2025, 7, 1, 0, 0, 0, 0, time.UTC)
	var b bytes.Buffer
	b.WriteString("timestamp,metric_name,gpu_id,uuid,Hostname,pod,namespace,value\n")
	for m := range minutes {
		for g := range gpus {
			fmt.Fprintf(&b, "%s,DCGM_FI_DEV_GPU_UTIL,%d,GPU-f1ee0000-0000-0000-0000-00000000000%d,k8s-1,job-%d-%d,ml,%d\n",
				start.Add(time.Duration(m)*time.Minute).Format(time.RFC3339), g, g, m, g, m%101)
		}
	}
	if r := s.mustSend("pods.csv", b.String(), ""); r.Accepted != minutes*gpus {
		t.Fatalf("accepted %d records, want %d", r.Accepted, minutes*gpus)
	}
	if q := s.quarantine(""); len(q) > 0 {
		t.Errorf("quarantined: %v", q)
	}
	if size := len(s.models()["identity k8s-1"]); size == 0 || size > 16<<10 {
		t.Errorf("identity of the host takes %d bytes, want 1 to 16,384", size)
	}
	var now, then shownGPU
	s.get("/api/v1/gpus/k8s-1:3", &now)
	s.get("/api/v1/gpus/k8s-1:3?as_of=2025-07-01T10:00:30Z", &then)
	if now.Pod != fmt.Sprintf("job-%d-3", minutes-1) || then.Pod != "job-600-3" {
		t.Errorf("pods of k8s-1:3 are %s now and %s then, want the last one and the one of minute 600", now.Pod, then.Pod)
	}
	var history []shownGPU
	s.get("/api/v1/gpus/k8s-1:3/telemetry?order=asc&limit=3", &history)
	for m, e := range history {
		if want := fmt.Sprintf("job-%d-3", m); e.Pod != want {
			t.Errorf("entry %d of history is of pod %s, want %s", m, e.Pod, want)
		}
	}
}

// A reading that is hours ahead of the clock is history, and does not stand in for the readings that come after it.
func TestAReadingAheadOfItsTimeIsNotTheLatest(t *testing.T) {
	t.Parallel()
	s := startStack(t, t.TempDir())
	now := time.Now().UTC().Truncate(time.Second)
	send := func(at time.Time, watts int) {
		s.mustSend("row.csv", fmt.Sprintf("timestamp,metric_name,gpu_id,uuid,Hostname,value\n%s,DCGM_FI_DEV_POWER_USAGE,0,%s,n1,%d\n", at.Format(time.RFC3339), named, watts), "")
	}
	send(now.Add(-time.Minute), 100)
	send(now.Add(6*time.Hour), 999)
	send(now, 101)
	var g shownGPU
	if s.get("/api/v1/gpus/"+named, &g); g.Power != "101" {
		t.Errorf("power is %s W, want 101 W, of now", g.Power)
	}
	var history []shownGPU
	if s.get("/api/v1/gpus/"+named+"/telemetry", &history); len(history) != 3 || history[0].Power != "999" {
		t.Errorf("history is %+v, want three readings, the one ahead first", history)
	}
}

// A stray row of another host does not take a GPU away from its host: both list it, and the fleet counts it once.
func TestAStrayRowDoesNotTakeAGPUAway(t *testing.T) {
	t.Parallel()
	s := startStack(t, t.TempDir())
	const header = "timestamp,metric_name,gpu_id,uuid,Hostname,value\n"
	row := func(at, host string, watts int) string {
		return fmt.Sprintf("%s,DCGM_FI_DEV_POWER_USAGE,0,%s,%s,%d\n", at, named, host, watts)
	}
	s.mustSend("host.csv", header+row("2025-07-18T20:00:00Z", "n2", 600)+row("2025-07-18T20:01:00Z", "n2", 610), "")
	s.mustSend("stray.csv", header+row("2025-07-18T20:01:30Z", "n1", 5), "")
	for host, want := range map[string]string{"n1": "n1:" + named + " 5 [n2]", "n2": named + " 610 [n1]"} {
		var gpus []shownGPU
		s.get("/api/v1/hosts/"+host+"/gpus", &gpus)
		if len(gpus) != 1 || fmt.Sprint(gpus[0].ID, " ", gpus[0].Power, " ", gpus[0].Conflict) != want {
			t.Errorf("GPUs of %s are %+v, want one, %s", host, gpus, want)
		}
	}
	var cluster struct {
		GPUs   int `json:"gpu_count"`
		Totals struct {
			Power json.Number `json:"power_draw"`
		}
	}
	if s.get("/api/v1/cluster", &cluster); cluster.GPUs != 1 || cluster.Totals.Power != "610" {
		t.Errorf("the cluster has %d GPUs with %s W, want one with the 610 W of its host", cluster.GPUs, cluster.Totals.Power)
	}
	var data struct {
		Cluster struct{ GPUCount int }
		GPU     struct{ ConflictHosts []string }
	}
	s.graphql(`{cluster {gpuCount} gpu(id: "`+named+`") {conflictHosts}}`, nil, &data)
	if data.Cluster.GPUCount != 1 || !slices.Equal(data.GPU.ConflictHosts, []string{"n1"}) {
		t.Errorf("GraphQL has %+v, want one GPU, also reported by n1", data)
	}
}

// A process leaves live with the first list of its host that does not have it. History keeps it.
func TestProcessesLeaveWithTheNextList(t *testing.T) {
	t.Parallel()
	s := startStack(t, t.TempDir())
	list := func(minute int, pids ...int) {
		var b strings.Builder
		b.WriteString("timestamp, gpu_uuid, pid, process_name, used_gpu_memory [MiB]\n")
		for _, pid := range pids {
			fmt.Fprintf(&b, "2026/05/11 09:%02d:00.000, %s, %d, train, %d MiB\n", minute, named, pid, pid)
		}
		s.mustSend("apps.csv", b.String(), "host=n1")
	}
	for minute := range 5 {
		list(minute, 100+minute, 200+minute, 300)
	}
	shows := func(path string, want ...string) {
		t.Helper()
		var g shownGPU
		s.get(path, &g)
		var got []string
		for _, p := range g.Parts {
			got = append(got, p.Part)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s shows the processes %q, want %q", path, got, want)
		}
	}
	shows("/api/v1/gpus/"+named, "pid:104", "pid:204", "pid:300")
	shows("/api/v1/gpus/"+named+"?as_of=2026-05-11T09:02:30Z", "pid:102", "pid:202", "pid:300")
	var history []shownGPU
	if s.get("/api/v1/gpus/"+named+"/telemetry", &history); len(history) != 15 {
		t.Errorf("history has %d entries, want the 15 of all lists", len(history))
	}
}
