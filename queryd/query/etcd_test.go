package query

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

func TestMain(m *testing.M) {
	if base := os.Getenv(readersVariable); base != "" { // the other process of BenchmarkSockets
		os.Exit(readSockets(base))
	}
	eventstest.Main(m)
}

// cluster is a log in etcd with the projections that a collector would store.
type cluster struct {
	t     testing.TB
	log   *eventlog.Log
	store *snapshot.Store
	cfg   eventlog.Config
	hosts map[events.HostID]*projections.Host
	guard clientv3.Cmp
}

func newCluster(t testing.TB) *cluster {
	t.Helper()
	return newClusterOn(t, eventstest.Config(t), eventstest.Etcd(t))
}

// upload appends a row of one host, folds it, saves the effect, and returns the revision of its event.
func (c *cluster) upload(host events.HostID, uuid string, at events.Timestamp, metric string, value int64) events.Revision {
	c.t.Helper()
	v := events.Value{Number: events.Int(value)}
	rec := events.Record{Identity: &events.Identity{UUID: uuid, Index: "0"}, Metric: metric, Source: metric, At: at, Value: v, Text: v.Number.Append(nil)}
	cut := events.NewCutter(c.log.Facts().Cut, "upload-1", "")
	evs := append(cut.Row(host, 10, []events.Record{rec}), cut.Flush()...)
	appended, err := c.log.Append(c.t.Context(), evs)
	if err != nil {
		c.t.Fatal(err)
	}
	rev := appended[len(appended)-1].Revision
	for i := range evs {
		c.save(&evs[i], rev)
	}
	c.markFolded(rev)
	return rev
}

// save folds an event and saves the changes.
func (c *cluster) save(ev *events.Event, rev events.Revision) {
	c.t.Helper()
	h := c.hosts[ev.Host]
	if h == nil {
		h = &projections.Host{ID: ev.Host}
		c.hosts[ev.Host] = h
	}
	effect := h.Apply(ev)
	commit := snapshot.Commit{
		Live: map[events.HostID]*projections.Live{h.ID: &h.Live}, Identity: map[events.HostID]*projections.Identity{h.ID: &h.Identity}, Upload: ev.Upload,
	}
	for _, part := range []map[projections.Window]projections.HostWindow{effect.Fresh, effect.Late} {
		for w, s := range part {
			commit.Chunks = append(commit.Chunks, snapshot.Chunk{Host: h.ID, Window: w, Series: s})
		}
	}
	c.commitPartition(events.PartitionOf(h.ID, c.log.Facts().Partitions), commit)
}

// markFolded records for every partition that the log is folded up to rev.
func (c *cluster) markFolded(rev events.Revision) {
	c.t.Helper()
	for p := range c.log.Facts().Partitions {
		c.commitPartition(events.Partition(p), snapshot.Commit{Offsets: &projections.Offsets{Live: rev, Series: rev}})
	}
}

func (c *cluster) commitPartition(p events.Partition, commit snapshot.Commit) {
	c.t.Helper()
	g, err := c.store.Active(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.store.Save(c.t.Context(), g, p, commit, c.guard); err != nil {
		c.t.Fatal(err)
	}
}

// getJSON sends a request to a running server and decodes its answer.
func getJSON(t testing.TB, target string, into any) int {
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
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v: %s", target, err, text)
	}
	return resp.StatusCode
}

// list is an answer with GPUs or entries.
type list struct {
	Count int
	Next  string `json:"next_cursor"`
	Data  []struct {
		ID        string
		Timestamp time.Time
		Metrics   map[string]json.Number
	}
}

// TestServesWhatIsStored goes from etcd to an answer: data stored before the server starts, and data written while it
// runs, are visible through every surface that asks for the revision of the write.
func TestServesWhatIsStored(t *testing.T) {
	c := newCluster(t)
	at := events.TimestampOf(time.Date(2025, 7, 18, 20, 42, 34, 0, time.UTC))
	for i := range 20 {
		c.upload(events.HostID(fmt.Sprintf("host-%d", i%5)), fmt.Sprintf("GPU-%d", i%5), at+events.Timestamp(i)*events.Timestamp(20*time.Minute), "DCGM_FI_DEV_GPU_UTIL", int64(i))
	}
	s, err := New(Config{Host: "127.0.0.1", Port: FreePort}, c.store, c.log, nil)
	if err != nil {
		t.Fatal(err)
	}
	base, stop := startServer(t, s)

	var gpus list
	if status := getJSON(t, base+"/api/v1/gpus", &gpus); status != 200 || gpus.Count != 5 {
		t.Errorf("GPUs: %d, %+v; want 5", status, gpus)
	}

	late := at + events.Timestamp(30*time.Hour)
	rev := c.upload("host-9", "GPU-9", late, "DCGM_FI_DEV_POWER_USAGE", 300)
	for _, path := range []string{"/api/v1/gpus?", "/api/v1/telemetry/latest?", "/api/v1/telemetry?limit=1&"} {
		var got list
		status := getJSON(t, base+path+"wait="+url.QueryEscape(rev.String()), &got)
		if status != 200 || len(got.Data) == 0 {
			t.Fatalf("%s after revision %s: %d, %+v", path, rev, status, got)
		}
		newest := got.Data[0]
		for _, d := range got.Data {
			if d.ID == "GPU-9" {
				newest = d
			}
		}
		if newest.ID != "GPU-9" || newest.Metrics["DCGM_FI_DEV_POWER_USAGE"] != "300" {
			t.Errorf("%s after revision %s has not got it: %+v", path, rev, got.Data)
		}
	}

	checkPages(t, base, 21)
	var graph struct {
		Data   map[string]any
		Errors []any
	}
	resp, err := http.Post(base+"/graphql", "application/json", strings.NewReader(`{"query":"{ hosts { __typename } }"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&graph); err != nil || len(graph.Errors) > 0 || graph.Data["hosts"] == nil {
		t.Errorf("GraphQL: %v, %+v", err, graph)
	}
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

// checkPages reads all of history at once and page by page.
func checkPages(t *testing.T, base string, want int) {
	t.Helper()
	var whole list
	getJSON(t, base+"/api/v1/telemetry?limit=10000&order=asc", &whole)
	if whole.Count != want {
		t.Errorf("history has %d entries, want %d", whole.Count, want)
	}
	seen := 0
	for cursor := ""; ; {
		var page list
		if status := getJSON(t, base+"/api/v1/telemetry?limit=4&order=asc"+cursor, &page); status != 200 {
			t.Fatalf("page: %d", status)
		}
		for _, d := range page.Data {
			if want := whole.Data[seen]; d.ID != want.ID || !d.Timestamp.Equal(want.Timestamp) {
				t.Errorf("entry %d by pages is %+v, want %+v", seen, d, want)
			}
			seen++
		}
		if page.Next == "" {
			break
		}
		cursor = "&cursor=" + url.QueryEscape(page.Next)
	}
	if seen != whole.Count {
		t.Errorf("pages have %d entries, want %d", seen, whole.Count)
	}
}
