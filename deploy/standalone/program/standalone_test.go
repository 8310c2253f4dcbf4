package program

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// entry is a telemetry entry of REST; GraphQL's is brought to the same form.
type entry struct {
	Timestamp     string                 `json:"timestamp"`
	Hostname      string                 `json:"hostname"`
	UUID          string                 `json:"uuid"`
	GPUID         string                 `json:"gpu_id"`
	Device        string                 `json:"device"`
	ModelName     string                 `json:"model_name"`
	DriverVersion string                 `json:"driver_version"`
	Labels        map[string]string      `json:"labels"`
	Metrics       map[string]json.Number `json:"metrics"`
}

func (e entry) addTo(all map[string]string) {
	for metric, value := range e.Metrics {
		key := fmt.Sprint(e.Timestamp, " ", metric, " ", e.UUID)
		all[key] = describe(value.String(), map[string]any{
			"hostname": e.Hostname, "gpu_id": e.GPUID, "device": e.Device, "model_name": e.ModelName,
			"driver_version": e.DriverVersion, "instance": e.Labels["instance"], "job": e.Labels["job"],
		})
	}
}

// restReadings pages through all history by REST.
func (s *stack) restReadings() map[string]string {
	s.t.Helper()
	all := map[string]string{}
	for cursor := ""; ; {
		var page []entry
		cursor = s.get("/api/v1/telemetry?limit=500&cursor="+url.QueryEscape(cursor), &page)
		for _, e := range page {
			e.addTo(all)
		}
		if cursor == "" {
			return all
		}
	}
}

// graphReadings pages through all history by GraphQL.
func (s *stack) graphReadings() map[string]string {
	s.t.Helper()
	document := `query($c: String) { telemetry(limit: 400, cursor: $c) { nextCursor entries {
		timestamp hostname: host uuid gpu_id: gpuId device model_name: modelName driver_version: driverVersion labels metrics } } }`
	all := map[string]string{}
	for cursor := any(nil); ; {
		var data struct {
			Telemetry struct {
				NextCursor *string
				Entries    []entry
			}
		}
		s.graphql(document, map[string]any{"c": cursor}, &data)
		for _, e := range data.Telemetry.Entries {
			e.addTo(all)
		}
		if data.Telemetry.NextCursor == nil {
			return all
		}
		cursor = *data.Telemetry.NextCursor
	}
}

func TestEveryReadingOfAnExportComesBackExactly(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name                  string
		content               func(*testing.T) []byte
		records, gpus, hosts  int
		missingHost, lastGPUs string
	}{
		{name: "a simulated fleet", content: func(t *testing.T) []byte { return simulated(t, 3, 4) }, records: 960, gpus: 24, hosts: 3},
		{name: "a real export", content: func(t *testing.T) []byte { return shared(t, "dcgm_metrics_20250718_134233.csv") }, records: 2470, gpus: 247, hosts: 31},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			content := c.content(t)
			s := startStack(t, t.TempDir())
			r := s.mustUpload("export.csv", content)
			if r.Accepted != c.records || r.Duplicate != 0 || r.Dialect != "dcgm-long" {
				t.Errorf("receipt %+v, want %d accepted", r, c.records)
			}
			want := readExport(t, content).readings(t)
			if len(want) != c.records {
				t.Fatalf("the export has %d distinct readings, want %d", len(want), c.records)
			}
			if diff := cmp.Diff(want, s.restReadings()); diff != "" {
				t.Errorf("REST differs from the file (-file +REST):\n%.2000s", diff)
			}
			if diff := cmp.Diff(want, s.graphReadings()); diff != "" {
				t.Errorf("GraphQL differs from the file (-file +GraphQL):\n%.2000s", diff)
			}
			var gpus, hosts []struct{ ID, Hostname string }
			s.get("/api/v1/gpus", &gpus)
			s.get("/api/v1/hosts", &hosts)
			if len(gpus) != c.gpus || len(hosts) != c.hosts {
				t.Errorf("%d GPUs on %d hosts, want %d on %d", len(gpus), len(hosts), c.gpus, c.hosts)
			}
			s.repeats(content, c.records)
		})
	}
}

// repeats uploads the same file again: all of it is known, nothing changes and no update is pushed.
func (s *stack) repeats(content []byte, records int) {
	s.t.Helper()
	before := s.models()
	watcher := s.subscribe("")
	defer watcher.close()
	watcher.until("synced")
	r := s.mustUpload("export.csv", content)
	if r.Accepted != 0 || r.Duplicate != records {
		s.t.Errorf("the same file again: %d accepted, %d duplicate, want 0 and %d", r.Accepted, r.Duplicate, records)
	}
	if after := s.models(); !maps.Equal(before, after) {
		s.t.Errorf("the same file again changed projections: %s", difference(before, after))
	}
	if m := watcher.until("hb"); m["t"] != "hb" {
		s.t.Errorf("the same file again pushed %v", m)
	}
}

// difference names the first model that two sets of projections do not share.
func difference(a, b map[string]string) string {
	for _, name := range slices.Sorted(maps.Keys(a)) {
		if a[name] != b[name] {
			return fmt.Sprintf("%q differs (%d and %d models)", name, len(a), len(b))
		}
	}
	return fmt.Sprintf("%d and %d models", len(a), len(b))
}

func TestTheSameRecordsInAnyFormGiveEqualProjections(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		content func(*testing.T) []byte
	}{
		{"a simulated fleet", func(t *testing.T) []byte { return simulated(t, 4, 3) }},
		{"a real export", func(t *testing.T) []byte { return shared(t, "dcgm_metrics_20250718_134233.csv") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			formsGiveEqualProjections(t, c.content(t))
		})
	}
}

func formsGiveEqualProjections(t *testing.T, content []byte) {
	plain := startStack(t, t.TempDir())
	plain.mustUpload("plain.csv", content)
	want := plain.models()
	plain.stop()
	e := readExport(t, content)
	forms := map[string]func(s *stack){
		"shuffled": func(s *stack) {
			rows := slices.Clone(e.rows)
			rand.New(rand.NewPCG(1, 2)).Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
			s.mustUpload("shuffled.csv", e.file(t, rows))
		},
		"CRLF and BOM": func(s *stack) {
			s.mustUpload("windows.csv", append([]byte("\ufeff"), bytes.ReplaceAll(content, []byte("\n"), []byte("\r\n"))...))
		},
		"a file per host, all at once": func(s *stack) {
			var all sync.WaitGroup
			for host, rows := range e.byHost() {
				all.Go(func() { s.uploadPatiently(host+".csv", e.file(t, rows)) })
			}
			all.Wait()
		},
		"twice, in halves": func(s *stack) {
			half := len(e.rows) / 2
			for _, part := range [][][]string{e.rows[:half], e.rows[half:], e.rows[half/2 : half+half/2], e.rows[half:], e.rows[:half]} {
				s.mustUpload("half.csv", e.file(t, part))
			}
		},
	}
	for name, send := range forms {
		t.Run(name, func(t *testing.T) {
			s := startStack(t, t.TempDir())
			send(s)
			if got := s.models(); !maps.Equal(got, want) {
				t.Errorf("projections differ from those of the plain file: %s", difference(want, got))
			}
			s.stop()
		})
	}
}

// uploadPatiently sends a file again while the server says that it is busy, as a client does.
func (s *stack) uploadPatiently(name string, content []byte) {
	for range 200 {
		status, r := s.upload(name, content, "?wait=true")
		if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
			continue
		}
		if status != http.StatusOK || r.Rejected > 0 {
			s.t.Errorf("uploading %s: %d %+v", name, status, r)
		}
		return
	}
	s.t.Errorf("uploading %s: busy 200 times", name)
}

func TestWideFormHasEveryReading(t *testing.T) {
	t.Parallel()
	content := []byte("timestamp,gpu_id,uuid,device,model_name,hostname,gpu_utilization,memory_utilization,memory_used_mb,memory_free_mb,temperature,power_draw,sm_clock_mhz,memory_clock_mhz\n" +
		"2024-01-01 12:00:01,0,GPU-w0,nvidia0,Tesla V100,wide-host,75.5,60.2,8192,8192,65,250,1400,1000\n" +
		"2024-01-01 12:00:02,1,GPU-w1,nvidia1,Tesla V100,wide-host,80.1,65.8,9216,7168,67,275,1450,1050\n")
	s := startStack(t, t.TempDir())
	if r := s.mustUpload("wide.csv", content); r.Accepted != 16 || r.Dialect != "wide" {
		t.Errorf("receipt %+v, want 16 accepted as wide", r)
	}
	var gpu map[string]any
	s.get("/api/v1/gpus/wide-host:1", &gpu)
	for field, want := range map[string]string{
		"gpu_utilization": "80.1", "memory_utilization": "65.8", "memory_used_mb": "9216", "memory_free_mb": "7168",
		"temperature": "67", "power_draw": "275", "sm_clock_mhz": "1450", "memory_clock_mhz": "1050", "uuid": "GPU-w1", "last_seen": "2024-01-01T12:00:02Z",
	} {
		if got := fmt.Sprint(gpu[field]); got != want {
			t.Errorf("%s is %s, want %s", field, got, want)
		}
	}
	if metrics, _ := gpu["metrics"].(map[string]any); len(metrics) != 8 {
		t.Errorf("%d readings, want 8: %v", len(metrics), gpu["metrics"])
	}
}

func TestARealWideFileHasEveryReading(t *testing.T) {
	t.Parallel()
	s := startStack(t, t.TempDir())
	if r := s.mustUpload("wide.csv", shared(t, "wide_minimal.csv")); r.Accepted != 16 {
		t.Errorf("receipt %+v, want 16 accepted", r)
	}
	var gpus []struct {
		UUID    string
		Metrics map[string]json.Number
	}
	s.get("/api/v1/gpus", &gpus)
	if len(gpus) != 2 || len(gpus[0].Metrics) != 8 || len(gpus[1].Metrics) != 8 {
		t.Errorf("got %+v, want 2 GPUs with 8 readings each", gpus)
	}
}

func TestEverythingIsThereAfterARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	content := simulated(t, 2, 3)
	s := startStack(t, dir)
	s.mustUpload("export.csv", content)
	want, readings := s.models(), s.restReadings()
	s.stop()

	again := startStack(t, dir)
	var gpus []map[string]any
	again.get("/api/v1/gpus", &gpus) // ready means current: at once
	if len(gpus) != 16 {
		t.Errorf("%d GPUs after a restart, want 16", len(gpus))
	}
	if diff := cmp.Diff(readings, again.restReadings()); diff != "" {
		t.Errorf("history differs after a restart:\n%.1000s", diff)
	}
	if got := again.models(); !maps.Equal(got, want) {
		t.Errorf("projections differ after a restart: %s", difference(want, got))
	}
	if r := again.mustUpload("export.csv", content); r.Accepted != 0 {
		t.Errorf("the same file after a restart: %d accepted, want 0", r.Accepted)
	}
}

func TestADataDirectoryInUseIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	startStack(t, dir)
	_, err := (&settings{dataDir: dir}).buildParts(t.Context(), openEntrance(t), nil)
	if err == nil || !strings.Contains(err.Error(), "DATA_DIR") || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v, want an error that names the directory and how to choose another", err)
	}
}
