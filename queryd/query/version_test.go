package query

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

// generations returns the records of all generations.
func (c *cluster) generations() snapshot.Generations {
	c.t.Helper()
	all, err := c.store.Generations(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	return all
}

// activateNext makes an empty generation of a model version the active one, and returns the one before it.
func (c *cluster) activateNext(version int) projections.Generation {
	c.t.Helper()
	before := c.generations()
	next, err := c.store.Create(c.t.Context(), before, version, true)
	if err != nil {
		c.t.Fatal(err)
	}
	evict := func(projections.Generation) clientv3.Op { return clientv3.OpDelete(c.cfg.Root + "/owners") }
	if err := c.store.Activate(c.t.Context(), c.generations(), next, evict); err != nil {
		c.t.Fatal(err)
	}
	return before.Active
}

func fetch(t *testing.T, target string) (int, string) {
	t.Helper()
	resp, err := http.Get(target)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// expect asks until the answer has a status and a text, which are to be there in a moment.
func expect(t *testing.T, target string, status int, text string) {
	t.Helper()
	var got int
	var body string
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if got, body = fetch(t, target); got == status && strings.Contains(body, text) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("GET %s: %d %s; want %d and %q", target, got, body, status, text)
		}
	}
}

// startUnready runs a server that may not become ready.
func startUnready(t *testing.T, c *cluster) (*Server, string) {
	t.Helper()
	s, err := New(Config{Host: "127.0.0.1", Port: FreePort}, c.store, c.log, nil)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(t.Context()) }() // which ends before the cleanup
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	waitUntil(t, "server listens", func() bool { return s.Addr() != nil })
	return s, "http://" + s.Addr().String()
}

func TestOnlyGenerationsOfItsModelVersionAreServed(t *testing.T) {
	c := newCluster(t)
	if _, err := c.store.Begin(t.Context(), snapshot.ModelVersion-1); err != nil {
		t.Fatal(err)
	}
	at := events.TimestampOf(time.Date(2025, 7, 18, 20, 42, 34, 0, time.UTC))
	c.upload("host-1", "GPU-1", at, "DCGM_FI_DEV_GPU_UTIL", 1)
	_, base := startUnready(t, c)
	expect(t, base+"/ready", 503, "is active with models of version 1, and this program serves version 2")
	expect(t, base+"/health", 200, "start one if none runs")
	expect(t, base+"/api/v1/gpus", 503, "not_ready")

	c.activateNext(snapshot.ModelVersion)
	c.hosts = map[events.HostID]*projections.Host{}
	c.upload("host-1", "GPU-1", at+1, "DCGM_FI_DEV_GPU_UTIL", 1)
	c.upload("host-1", "GPU-1", at+events.Timestamp(time.Hour), "DCGM_FI_DEV_GPU_UTIL", 2)
	expect(t, base+"/ready", 200, `{"status":"ready"}`)
	expect(t, base+"/api/v1/gpus", 200, `"last_seen":"2025-07-18T21:42:34Z"`) // without the second reading, as_of below needs no history

	served := c.activateNext(snapshot.ModelVersion + 1)
	expect(t, base+"/health", 200, "upgrade it")
	expect(t, base+"/health", 200, `"as_of"`)
	expect(t, base+"/ready", 200, "upgrade it")
	expect(t, base+"/api/v1/telemetry", 200, "GPU-1")
	if err := c.store.Remove(t.Context(), served, c.generations().All[served], func(int) {}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/api/v1/gpus", "/api/v1/hosts", "/api/v1/cluster", "/api/v1/telemetry/latest"} {
		if status, body := fetch(t, base+path); status != 200 || !strings.Contains(body, "1") || strings.Contains(body, `"data":[]`) || !strings.Contains(body, `"as_of"`) {
			t.Errorf("GET %s after the removal: %d %s; want the last view with its age", path, status, body)
		}
	}
	for _, path := range []string{"/api/v1/telemetry", "/api/v1/gpus?as_of=2025-07-18T20:50:00Z"} {
		if status, body := fetch(t, base+path); status != 503 || !strings.Contains(body, "another generation of projections") {
			t.Errorf("GET %s after the removal: %d %s; want a refusal instead of half of history", path, status, body)
		}
	}
}

func TestAnUnreadableValueIsNamed(t *testing.T) {
	c := newCluster(t)
	at := events.TimestampOf(time.Date(2025, 7, 18, 20, 42, 34, 0, time.UTC))
	c.upload("host-1", "GPU-1", at, "DCGM_FI_DEV_GPU_UTIL", 1)
	c.upload("host-2", "GPU-2", at, "DCGM_FI_DEV_GPU_UTIL", 2)
	spoilLive(t, c, "host-2")
	s, base := startUnready(t, c)
	reg := prometheus.NewRegistry()
	if err := s.Metrics(reg); err != nil {
		t.Fatal(err)
	}
	expect(t, base+"/ready", 200, `live model of host \"host-2\"`)
	expect(t, base+"/health", 200, `"status":"degraded"`)
	expect(t, base+"/api/v1/status", 200, `live model of host \"host-2\"`)
	if n := gauge(t, reg, "live_unreadable_values"); n != 1 {
		t.Errorf("live_unreadable_values is %v, want 1", n)
	}
	c.upload("host-2", "GPU-2", at+1, "DCGM_FI_DEV_GPU_UTIL", 3) // writes both models again
	expect(t, base+"/health", 200, `"status":"healthy"`)
	expect(t, base+"/api/v1/gpus", 200, "GPU-2")
	if n := gauge(t, reg, "live_unreadable_values"); n != 0 {
		t.Errorf("live_unreadable_values is %v, want 0", n)
	}
}

// spoilLive overwrites the live model of a host with bytes of a later form.
func spoilLive(t *testing.T, c *cluster, host string) {
	t.Helper()
	client := eventstest.Etcd(t)
	all, err := client.Get(t.Context(), c.cfg.Prefix("projections"), clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range all.Kvs {
		if key := string(kv.Key); strings.Contains(key, "/live/") && strings.HasSuffix(key, "/"+host) {
			if _, err := client.Put(t.Context(), key, "\x01\x00\x00\xfe"); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("no live model of %s in %v", host, all.Kvs)
}

func gauge(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}
