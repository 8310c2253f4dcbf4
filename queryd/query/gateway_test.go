package query

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/events/archive/manifest"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
	"telemetry-pipeline/queryd/rest"
)

// fleetCell is a cluster of a gateway, on an etcd of its own.
type fleetCell struct {
	*cluster
	name   string
	server *eventstest.Server
}

// newFleetCell starts an etcd with an empty cluster.
func newFleetCell(t testing.TB, name string) *fleetCell {
	t.Helper()
	server := eventstest.NewServer(t, nil)
	return &fleetCell{name: name, server: server, cluster: newClusterOn(t, server.Config(t), server.Client(t))}
}

// newClusterOn returns an empty cluster.
func newClusterOn(t testing.TB, cfg eventlog.Config, client *clientv3.Client) *cluster {
	t.Helper()
	cfg.DialTimeout = time.Second
	log := eventstest.OpenLog(t, cfg)
	claim, err := client.Put(t.Context(), cfg.Root+"/claim", "mine")
	if err != nil {
		t.Fatal(err)
	}
	return &cluster{
		t: t, log: log, store: snapshot.New(client, cfg, log.Facts(), nil), cfg: cfg, hosts: make(map[events.HostID]*projections.Host),
		guard: clientv3.Compare(clientv3.CreateRevision(cfg.Root+"/claim"), "=", claim.Header.Revision),
	}
}

// source returns the cell as a gateway connects to it.
func (c *fleetCell) source() Source {
	return Source{Name: c.name, Open: func(ctx context.Context, lg *slog.Logger) (*Opened, error) {
		log, err := eventlog.Open(ctx, c.cfg, lg)
		if err != nil {
			return nil, err
		}
		client, err := c.cfg.Dial(lg)
		if err != nil {
			return nil, err
		}
		return &Opened{
			Log: log, Store: snapshot.New(client, c.cfg, log.Facts(), lg), Manifest: manifest.New(client, c.cfg, log.Facts()),
			Close: func() error { _ = client.Close(); return log.Close() },
		}, nil
	}}
}

// startGateway runs a gateway of cells and returns its address.
func startGateway(t testing.TB, cfg Config, fleet ...*fleetCell) (*Gateway, string) {
	t.Helper()
	var sources []Source
	for _, c := range fleet {
		sources = append(sources, c.source())
	}
	cfg.Host, cfg.Port = "127.0.0.1", FreePort
	g, err := NewGateway(cfg, sources, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	waitUntil(t, "gateway is ready", func() bool { return g.Ready() == nil })
	return g, "http://" + g.Addr().String()
}

// merged is an answer of a gateway.
type merged struct {
	Success  bool
	Code     string
	Error    string
	Count    int
	Total    int
	Next     string `json:"next_cursor"`
	Degraded []struct {
		Cluster, State, Reason string
		AsOf                   *time.Time `json:"as_of"`
	}
	Data json.RawMessage
}

// items decodes the data as a list.
func (m *merged) items(t testing.TB) (items []map[string]any) {
	t.Helper()
	if err := json.Unmarshal(m.Data, &items); err != nil {
		t.Fatalf("%v: %s", err, m.Data)
	}
	return items
}

// names returns cluster/hostname of each item.
func (m *merged) names(t testing.TB) (names []string) {
	for _, item := range m.items(t) {
		names = append(names, fmt.Sprintf("%v/%v", item["cluster"], item["hostname"]))
	}
	return names
}

// getMerged sends a request, with a token if it is not empty.
func getMerged(t testing.TB, base, path, token string) (status int, header http.Header, m merged) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatalf("%s: %v: %s", path, err, text)
	}
	return resp.StatusCode, resp.Header, m
}

const (
	gpuUtil = "DCGM_FI_DEV_GPU_UTIL"
	minute  = events.Timestamp(time.Minute)
)

// newFleet returns three cells. Cells a and b have a host of one name; GPUs and readings per cell differ, so that a mean of means is
// not the mean.
func newFleet(t testing.TB) (fleet []*fleetCell, start events.Timestamp) {
	t.Helper()
	start = events.TimestampOf(time.Now().Add(-time.Hour).Truncate(time.Hour))
	hosts := map[string]int{"a": 1, "b": 3, "c": 2}
	for i, name := range []string{"a", "b", "c"} {
		c := newFleetCell(t, name)
		for host := range hosts[name] {
			for row := range 4 {
				id := events.HostID(fmt.Sprintf("%s-%d", name, host))
				c.upload(id, "GPU-"+string(id), start+events.Timestamp(row*10+host)*minute, gpuUtil, int64(10*(i+1)))
			}
		}
		if name != "c" {
			c.upload("shared", "GPU-shared-"+name, start+5*minute, gpuUtil, 100)
		}
		fleet = append(fleet, c)
	}
	return fleet, start
}

func TestGatewayMergesLists(t *testing.T) {
	t.Parallel()
	fleet, _ := newFleet(t)
	_, base := startGateway(t, Config{}, fleet...)
	want := []string{"a/a-0", "a/shared", "b/b-0", "b/b-1", "b/b-2", "b/shared", "c/c-0", "c/c-1"}
	for _, path := range []string{"/api/v1/hosts", "/api/v1/gpus", "/api/v1/telemetry/latest"} {
		status, header, m := getMerged(t, base, path, "")
		if got := m.names(t); status != 200 || !slices.Equal(got, want) || m.Count != len(want) || len(m.Degraded) != 0 || header.Get("X-Clusters-Unavailable") != "" {
			t.Errorf("%s: got %d, %v, %+v, want %v", path, status, got, m.Degraded, want)
		}
		if _, _, m = getMerged(t, base, path+"?limit=3", ""); !slices.Equal(m.names(t), want[:3]) || m.Total != len(want) {
			t.Errorf("%s with a limit: got %v of %d", path, m.names(t), m.Total)
		}
		if status, _, m = getMerged(t, base, path+"?cluster=b", ""); status != 200 || !slices.Equal(m.names(t), want[2:6]) {
			t.Errorf("%s of b: got %d, %v", path, status, m.names(t))
		}
		if status, _, m = getMerged(t, base, path+"?cluster=z", ""); status != 404 || m.Code != "unknown_cluster" || !strings.Contains(m.Error, "a, b, c") {
			t.Errorf("%s of an unknown cluster: got %d, %+v", path, status, m)
		}
	}
}

func TestGatewaySumsUpAllClusters(t *testing.T) {
	t.Parallel()
	fleet, _ := newFleet(t)
	_, base := startGateway(t, Config{}, fleet...)
	_, _, m := getMerged(t, base, "/api/v1/cluster", "")
	var total struct {
		ClusterCount int `json:"cluster_count"`
		HostCount    int `json:"host_count"`
		GPUCount     int `json:"gpu_count"`
		Totals       struct {
			Mean float64 `json:"gpu_utilization_avg"`
		}
		Clusters []struct {
			Cluster   string
			HostCount int `json:"host_count"`
		}
	}
	if err := json.Unmarshal(m.Data, &total); err != nil {
		t.Fatal(err)
	}
	mean := float64(10+100+3*20+100+2*30) / 8
	if total.ClusterCount != 3 || total.HostCount != 8 || total.GPUCount != 8 || total.Totals.Mean != mean || len(total.Clusters) != 3 || total.Clusters[1].HostCount != 4 {
		t.Errorf("got %s, want 8 hosts and GPUs of 3 clusters, and the mean %v", m.Data, mean)
	}
}

func TestGatewayPagesHistoryOfAllClusters(t *testing.T) {
	t.Parallel()
	fleet, start := newFleet(t)
	for _, c := range fleet { // the same host, GPU and time in all clusters
		c.upload("twin", "GPU-twin", start+20*minute, gpuUtil, 1)
	}
	_, base := startGateway(t, Config{}, fleet...)
	for _, query := range []string{"order=asc", "order=desc", "order=asc&step=10m&agg=avg", "order=desc&step=10m&agg=avg"} {
		_, _, all := getMerged(t, base, "/api/v1/telemetry?limit=1000&"+query, "")
		whole := all.items(t)
		if query == "order=asc" && len(whole) != 24+2+3 || all.Next != "" {
			t.Fatalf("%s: got %d entries, next %q", query, len(whole), all.Next)
		}
		for limit := 1; limit <= 5; limit++ {
			var pages []map[string]any
			for cursor := ""; ; {
				status, _, m := getMerged(t, base, fmt.Sprintf("/api/v1/telemetry?limit=%d&%s&cursor=%s", limit, query, url.QueryEscape(cursor)), "")
				if status != 200 || m.Count > limit {
					t.Fatalf("%s: got %d, %+v", query, status, m)
				}
				pages = append(pages, m.items(t)...)
				if cursor = m.Next; cursor == "" {
					break
				}
			}
			if fmt.Sprint(pages) != fmt.Sprint(whole) {
				t.Errorf("%s in pages of %d: got\n%v\nwant\n%v", query, limit, pages, whole)
			}
		}
		for i := 1; i < len(whole); i++ {
			older, newer := whole[i-1]["timestamp"].(string), whole[i]["timestamp"].(string)
			if strings.HasPrefix(query, "order=desc") {
				older, newer = newer, older
			}
			if older > newer {
				t.Errorf("%s: %s comes before %s", query, older, newer)
			}
		}
	}
	if status, _, m := getMerged(t, base, "/api/v1/telemetry?cursor=nonsense", ""); status != 400 || m.Code != "bad_parameter" {
		t.Errorf("a cursor of nothing: got %d, %+v", status, m)
	}
}

// fetchText returns the header and the text of an answer.
func fetchText(t testing.TB, base, path string) (http.Header, string) {
	t.Helper()
	resp, err := http.Get(base + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%s: %d, %v: %s", path, resp.StatusCode, err, text)
	}
	return resp.Header, string(text)
}

func TestGatewayStreamsHistoryOfAllClusters(t *testing.T) {
	t.Parallel()
	fleet, _ := newFleet(t)
	_, base := startGateway(t, Config{}, fleet...)
	_, text := fetchText(t, base, "/api/v1/telemetry?format=csv&order=asc")
	lines := strings.Split(strings.TrimSuffix(text, "\r\n"), "\r\n")
	if len(lines) != 27 || !strings.HasSuffix(lines[0], ",labels_raw,cluster") || !strings.HasSuffix(lines[1], ",a") || !strings.Contains(lines[1], "a-0") {
		t.Errorf("csv: got %d lines, %q, %q", len(lines), lines[0], lines[1])
	}
	header, text := fetchText(t, base, "/api/v1/telemetry?format=ndjson&order=asc&limit=5")
	if strings.Count(text, "\n") != 5 || !strings.HasPrefix(text, `{"cluster":"a",`) || header.Get("X-Next-Cursor") == "" {
		t.Errorf("ndjson: got %q, %v", text, header)
	}
	_, rest := fetchText(t, base, "/api/v1/telemetry?format=ndjson&order=asc&cursor="+url.QueryEscape(header.Get("X-Next-Cursor")))
	if _, whole := fetchText(t, base, "/api/v1/telemetry?format=ndjson&order=asc"); text+rest != whole || strings.Count(whole, "\n") != 26 {
		t.Errorf("ndjson in two parts: got %d lines, want those of %d", strings.Count(text+rest, "\n"), strings.Count(whole, "\n"))
	}
	if _, text = fetchText(t, base, "/api/v1/telemetry?format=csv&form=columns"); !strings.HasPrefix(text, "timestamp,a/a-0/GPU-a-0/"+gpuUtil+",a/shared/GPU-shared-a/") {
		t.Errorf("table: got %.200q", text)
	}
	if _, text = fetchText(t, base, "/api/v1/telemetry?format=csv&order=asc&cluster=a"); strings.Contains(strings.SplitN(text, "\r\n", 2)[0], "cluster") {
		t.Errorf("csv of a: got %.200q", text)
	}
}

func TestGatewaySeriesAndGroups(t *testing.T) {
	t.Parallel()
	fleet, _ := newFleet(t)
	_, base := startGateway(t, Config{}, fleet...)
	_, _, all := getMerged(t, base, "/api/v1/telemetry?form=columns", "")
	whole := all.items(t)
	var pages []map[string]any
	for cursor := ""; ; {
		_, _, m := getMerged(t, base, "/api/v1/telemetry?form=columns&limit=5&cursor="+url.QueryEscape(cursor), "")
		pages = append(pages, m.items(t)...)
		if cursor = m.Next; cursor == "" {
			break
		}
	}
	if len(whole) != 8 || fmt.Sprint(pages) != fmt.Sprint(whole) {
		t.Errorf("series in pages: got %v, want %v", pages, whole)
	}
	names := func(group string) (names []string) {
		_, _, m := getMerged(t, base, "/api/v1/telemetry?form=columns&step=1d&agg=avg,count&group="+group, "")
		for _, item := range m.items(t) {
			names = append(names, fmt.Sprintf("%v/%v:%v", item["cluster"], item["group"], item["members"]))
		}
		return names
	}
	if got := names("cluster"); !slices.Equal(got, []string{"a/<nil>:2", "b/<nil>:4", "c/<nil>:2"}) {
		t.Errorf("groups by cluster: got %v", got)
	}
	if got := names("host"); len(got) != 8 || got[1] != "a/shared:1" || got[5] != "b/shared:1" {
		t.Errorf("groups by host: got %v", got)
	}
}

func TestGatewayFindsTheClusterOfAnID(t *testing.T) {
	t.Parallel()
	fleet, _ := newFleet(t)
	_, base := startGateway(t, Config{}, fleet...)
	for path, want := range map[string]string{
		"/api/v1/hosts/b-1": "b", "/api/v1/gpus/GPU-c-0": "c", "/api/v1/gpus/a-0:0": "a",
		"/api/v1/hosts/shared?cluster=b": "b", "/api/v1/gpus/shared:0?cluster=a": "a",
	} {
		status, _, m := getMerged(t, base, path, "")
		var item struct{ Cluster string }
		if err := json.Unmarshal(m.Data, &item); err != nil || status != 200 || item.Cluster != want {
			t.Errorf("%s: got %d, %s, want one of %s", path, status, m.Data, want)
		}
	}
	for path, want := range map[string]int{
		"/api/v1/hosts/shared": 409, "/api/v1/hosts/shared/gpus": 409, "/api/v1/gpus/shared:0/telemetry": 409,
		"/api/v1/hosts/none": 404, "/api/v1/gpus/none": 404, "/api/v1/hosts/b-1?cluster=a": 404, "/api/v1/events": 400,
	} {
		status, _, m := getMerged(t, base, path, "")
		if status != want || want == 409 && !strings.Contains(m.Error, "a, b") {
			t.Errorf("%s: got %d, %s, want %d", path, status, m.Error, want)
		}
	}
	if status, _, m := getMerged(t, base, "/api/v1/gpus/GPU-b-2/telemetry", ""); status != 200 || m.Count != 4 {
		t.Errorf("history of a GPU: got %d, %+v", status, m)
	}
	if status, _, m := getMerged(t, base, "/api/v1/events?cluster=a", ""); status != 200 || m.Count != 5 {
		t.Errorf("events of a: got %d, %+v", status, m)
	}
}

func TestGatewayWaitsForTheClusterOfARevision(t *testing.T) {
	t.Parallel()
	fleet, start := newFleet(t)
	_, base := startGateway(t, Config{}, fleet...)
	rev := fleet[1].upload("late", "GPU-late", start+50*minute, gpuUtil, 7)
	status, _, m := getMerged(t, base, "/api/v1/hosts?wait="+url.QueryEscape(rev.String()), "")
	if status != 200 || !slices.Contains(m.names(t), "b/late") {
		t.Errorf("got %d, %v", status, m.names(t))
	}
	if status, _, m = getMerged(t, base, "/api/v1/hosts?wait=5", ""); status != 400 || m.Code != "bad_parameter" {
		t.Errorf("a number without a cluster: got %d, %+v", status, m)
	}
}

// TestGatewayDoesNotAnswerWithoutTheAwaitedRevision: an answer of the other clusters alone would look complete.
func TestGatewayDoesNotAnswerWithoutTheAwaitedRevision(t *testing.T) {
	t.Parallel()
	fleet, start := newFleet(t)
	_, base := startGateway(t, Config{REST: rest.Config{MaxWait: 50 * time.Millisecond}}, fleet...)
	rev := fleet[1].upload("late", "GPU-late", start+50*minute, gpuUtil, 7)
	rev.Number += 1000
	for _, path := range []string{"/api/v1/hosts", "/api/v1/gpus", "/api/v1/telemetry", "/api/v1/telemetry/latest", "/api/v1/cluster", "/api/v1/hosts/b-1"} {
		if status, _, m := getMerged(t, base, path+"?wait="+url.QueryEscape(rev.String()), ""); status != http.StatusGatewayTimeout || m.Code != "wait_timeout" {
			t.Errorf("%s: got %d, %+v", path, status, m)
		}
	}
}

func TestACellThatIsAwayDegradesOnlyItsOwnAnswers(t *testing.T) {
	t.Parallel()
	fleet, start := newFleet(t)
	g, base := startGateway(t, Config{}, fleet...)
	b := fleet[1]
	b.server.Stop()
	stateOf := func(name string) string {
		_, _, m := getMerged(t, base, "/api/v1/clusters", "")
		for _, item := range m.items(t) {
			if item["name"] == name {
				return item["state"].(string)
			}
		}
		return "none"
	}
	waitUntil(t, "b is behind", func() bool { return stateOf("b") == "behind" })
	if err := g.Ready(); err != nil {
		t.Errorf("the gateway is not ready: %v", err)
	}
	status, header, m := getMerged(t, base, "/api/v1/hosts", "")
	if status != 200 || m.Count != 8 || len(m.Degraded) != 1 || m.Degraded[0].Cluster != "b" || m.Degraded[0].AsOf == nil || header.Get("X-Clusters-Stale") != "b" {
		t.Errorf("hosts while b is behind: got %d, %+v, %v", status, m, header)
	}
	status, header, m = getMerged(t, base, "/api/v1/telemetry?limit=1000", "")
	for _, item := range m.items(t) {
		if item["cluster"] == "b" {
			t.Errorf("history of b without its etcd: %v", item)
		}
	}
	if status != 200 || m.Count != 4+1+8 || header.Get("X-Clusters-Unavailable") != "b" {
		t.Errorf("history while b is behind: got %d, %d entries, %v", status, m.Count, header)
	}
	if status, header, m = getMerged(t, base, "/api/v1/quarantine", ""); status != 200 || header.Get("X-Clusters-Unavailable") != "b" {
		t.Errorf("the quarantine while b is behind: got %d, %+v, %v", status, m, header)
	}
	if status, _, m = getMerged(t, base, "/api/v1/events?cluster=b", ""); status != http.StatusServiceUnavailable {
		t.Errorf("events of b while it is behind: got %d, %+v", status, m)
	}
	if status, _, m = getMerged(t, base, "/api/v1/hosts/b-0", ""); status != 200 {
		t.Errorf("a host of b's last view: got %d, %+v", status, m)
	}
	b.server.Start(t)
	waitUntil(t, "b is current again", func() bool { return stateOf("b") == "current" })
	b.upload("b-9", "GPU-b-9", start+55*minute, gpuUtil, 5)
	waitUntil(t, "b follows again", func() bool {
		_, _, m := getMerged(t, base, "/api/v1/hosts", "")
		return slices.Contains(m.names(t), "b/b-9") && len(m.Degraded) == 0
	})
}

func TestACellThatNeverAnswered(t *testing.T) {
	t.Parallel()
	fleet, _ := newFleet(t)
	b := fleet[1]
	b.server.Stop()
	_, base := startGateway(t, Config{}, fleet...)
	status, header, m := getMerged(t, base, "/api/v1/hosts", "")
	if status != 200 || m.Count != 4 || header.Get("X-Clusters-Unavailable") != "b" || len(m.Degraded) != 1 || m.Degraded[0].State != "away" {
		t.Errorf("hosts without b: got %d, %+v, %v", status, m, header)
	}
	for path, want := range map[string]int{"/api/v1/hosts?cluster=b": 503, "/api/v1/hosts?cluster=a": 200, "/api/v1/hosts/b-0": 503, "/api/v1/hosts/a-0": 200, "/api/v1/cluster": 200} {
		if status, _, m := getMerged(t, base, path, ""); status != want {
			t.Errorf("%s: got %d, %+v, want %d", path, status, m, want)
		}
	}
	b.server.Start(t)
	waitUntil(t, "b is there", func() bool {
		_, _, m := getMerged(t, base, "/api/v1/hosts", "")
		return m.Count == 8 && len(m.Degraded) == 0
	})
}

// TestAGatewayOfAllButOneIsOfTheRest compares the answers to a principal who sees one cluster with the answers of a gateway that has no other
// one: a cluster outside of the scope does not exist.
func TestAGatewayOfAllButOneIsOfTheRest(t *testing.T) {
	t.Parallel()
	fleet, _ := newFleet(t)
	guard, tokens := newFleetGuard(t, map[string]string{"a": "cluster=a", "hosts": "cluster=b,host=b-1", "all": "*", "nowhere": "cluster=zzz"})
	_, whole := startGateway(t, Config{Guard: guard}, fleet...)
	_, alone := startGateway(t, Config{Guard: guard}, fleet[0])
	paths := []string{
		"/api/v1/hosts", "/api/v1/gpus", "/api/v1/telemetry?limit=1000", "/api/v1/telemetry?limit=2", "/api/v1/hosts/shared", "/api/v1/hosts/b-0",
		"/api/v1/hosts?cluster=b", "/api/v1/hosts?cluster=zzz", "/api/v1/events", "/api/v1/events?cluster=b", "/api/v1/quarantine", "/api/v1/telemetry/latest",
		"/api/v1/telemetry?form=columns", "/api/v1/telemetry?step=10m&form=columns&group=cluster", "/api/v1/gpus/GPU-b-0/telemetry", "/graphql?query=%7Bhosts%7Bname%7D%7D&cluster=b", "/health",
	}
	for _, query := range []string{
		`{clusters{name state hostCount}}`, `{cluster{hostCount gpuCount gpuUtilizationAvg}}`, `{hosts{name cluster}}`, `{hosts(cluster:"b"){name}}`, `{gpu(id:"GPU-b-0"){id}}`,
		`{host(name:"shared"){cluster gpus{id}}}`, `{telemetry(limit:3){count nextCursor entries{cluster id}}}`, `{telemetry(limit:3,cluster:"zzz"){count}}`,
	} {
		paths = append(paths, "/graphql?query="+url.QueryEscape(query))
	}
	for _, path := range paths {
		if got, want := rawAnswer(t, whole, path, tokens["a"]), rawAnswer(t, alone, path, tokens["a"]); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
	if _, _, m := getMerged(t, whole, "/api/v1/hosts", tokens["hosts"]); !slices.Equal(m.names(t), []string{"b/b-1"}) {
		t.Errorf("a scope of a host of b: got %v", m.names(t))
	}
	if _, _, m := getMerged(t, whole, "/api/v1/hosts", tokens["all"]); m.Count != 8 {
		t.Errorf("the whole scope: got %v", m.names(t))
	}
	for _, path := range []string{"/api/v1/hosts", "/api/v1/clusters", "/api/v1/telemetry"} {
		if status, _, m := getMerged(t, whole, path, tokens["nowhere"]); status != 200 || m.Count != 0 || len(m.Degraded) != 0 {
			t.Errorf("%s in a scope of no cluster: got %d, %+v", path, status, m)
		}
	}
}

// newFleetGuard returns a guard of principals with a scope each, and their tokens.
func newFleetGuard(t testing.TB, scopes map[string]string) (*access.Guard, map[string]string) {
	t.Helper()
	tokens := make(map[string]string)
	var lines []string
	for id, text := range scopes {
		scope, err := access.ParseScope(text)
		if err != nil {
			t.Fatal(err)
		}
		token, line, err := access.NewToken(id, []access.Role{access.RoleRead}, scope, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		tokens[id] = token
		lines = append(lines, line)
	}
	file := t.TempDir() + "/principals"
	writeFile(t, file, strings.Join(lines, "\n"))
	guard, err := access.New(access.Config{File: file}, access.AllClusters, nil)
	if err != nil {
		t.Fatal(err)
	}
	return guard, tokens
}

// rawAnswer returns status and body of an answer.
func rawAnswer(t testing.TB, base, path, token string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d %s %s", resp.StatusCode, resp.Header.Get("X-Clusters-Unavailable"), body)
}

func writeFile(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
