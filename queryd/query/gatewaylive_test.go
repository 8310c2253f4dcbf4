package query

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
)

// graphAnswer is the answer of a gateway to a GraphQL query.
type graphAnswer struct {
	Data       map[string]json.RawMessage
	Errors     []struct{ Message string }
	Extensions struct {
		Degraded []struct{ Cluster, State string }
	}
}

// askGraph executes a query.
func askGraph(t testing.TB, base, query, cluster string) (a graphAnswer) {
	t.Helper()
	target := base + "/graphql?query=" + url.QueryEscape(query)
	if cluster != "" {
		target += "&cluster=" + cluster
	}
	getJSON(t, target, &a)
	return a
}

func TestGatewayGraphQL(t *testing.T) {
	t.Parallel()
	fleet, _ := newFleet(t)
	_, base := startGateway(t, Config{}, fleet...)
	tests := []struct{ query, cluster, want string }{
		{`{clusters{name state hostCount gpuCount}}`, "", `{"clusters":[{"gpuCount":2,"hostCount":2,"name":"a","state":"current"},{"gpuCount":4,"hostCount":4,"name":"b","state":"current"},{"gpuCount":2,"hostCount":2,"name":"c","state":"current"}]}`},
		{`{cluster{hostCount gpuCount gpuUtilizationAvg}}`, "", `{"cluster":{"gpuCount":8,"gpuUtilizationAvg":41.25,"hostCount":8}}`},
		{`{cluster(cluster:"b"){hostCount gpuUtilizationAvg}}`, "", `{"cluster":{"gpuUtilizationAvg":40,"hostCount":4}}`},
		{`{hosts(limit:3){cluster name gpus{cluster id}}}`, "", `{"hosts":[{"cluster":"a","gpus":[{"cluster":"a","id":"GPU-a-0"}],"name":"a-0"},{"cluster":"a","gpus":[{"cluster":"a","id":"GPU-shared-a"}],"name":"shared"},{"cluster":"b","gpus":[{"cluster":"b","id":"GPU-b-0"}],"name":"b-0"}]}`},
		{`{gpus{cluster id}}`, "c", `{"gpus":[{"cluster":"c","id":"GPU-c-0"},{"cluster":"c","id":"GPU-c-1"}]}`},
		{`{gpus(host:"shared"){cluster id status}}`, "", `{"gpus":[{"cluster":"a","id":"GPU-shared-a","status":"stale"},{"cluster":"b","id":"GPU-shared-b","status":"stale"}]}`},
		{`{host(name:"b-1"){cluster gpus{telemetry(limit:100){count}}}}`, "", `{"host":{"cluster":"b","gpus":[{"telemetry":{"count":4}}]}}`},
		{`{gpu(id:"GPU-c-1"){cluster status}}`, "", `{"gpu":{"cluster":"c","status":"stale"}}`},
		{`{gpu(id:"nothing"){cluster}}`, "", `{"gpu":null}`},
		{`{telemetry(limit:1000){count entries{cluster}}}`, "a", `{"telemetry":{"count":5,"entries":[{"cluster":"a"},{"cluster":"a"},{"cluster":"a"},{"cluster":"a"},{"cluster":"a"}]}}`},
		{`{telemetry(limit:1000,cluster:"b"){count}}`, "", `{"telemetry":{"count":13}}`},
		{`{telemetry(limit:1000){count}}`, "", `{"telemetry":{"count":26}}`},
	}
	for _, tt := range tests {
		a := askGraph(t, base, tt.query, tt.cluster)
		var data []string
		for _, name := range slices.Sorted(maps.Keys(a.Data)) {
			data = append(data, fmt.Sprintf("%q:%s", name, a.Data[name]))
		}
		if got := "{" + strings.Join(data, ",") + "}"; got != tt.want || len(a.Errors) > 0 || len(a.Extensions.Degraded) > 0 {
			t.Errorf("%s in %q: got %s, %v, want %s", tt.query, tt.cluster, got, a.Errors, tt.want)
		}
	}
	for query, want := range map[string]string{
		`{host(name:"shared"){cluster}}`: "several clusters", `{hosts(cluster:"z"){name}}`: "there are: a, b, c",
	} {
		if a := askGraph(t, base, query, ""); len(a.Errors) != 1 || !strings.Contains(a.Errors[0].Message, want) {
			t.Errorf("%s: got %+v, want an error with %q", query, a, want)
		}
	}
	if status, _, m := getMerged(t, base, "/graphql?query=%7Bhosts%7Bname%7D%7D&cluster=z", ""); status != 404 || m.Code != "unknown_cluster" {
		t.Errorf("an unknown cluster: got %d, %+v", status, m)
	}
}

func TestGatewayGraphQLGoesBack(t *testing.T) {
	t.Parallel()
	fleet, start := newFleet(t)
	_, base := startGateway(t, Config{}, fleet...)
	at := (start + 2*minute).Time().UTC().Format(time.RFC3339)
	query := fmt.Sprintf(`{gpus(asOf:%q){cluster id status} one:gpus(asOf:%q,cluster:"b"){id} cluster(asOf:%q){gpuCount active}}`, at, at, at)
	a := askGraph(t, base, query, "")
	var gpus []struct{ Cluster, ID, Status string }
	if err := json.Unmarshal(a.Data["gpus"], &gpus); err != nil || len(gpus) != 6 || gpus[1].Cluster != "b" || gpus[1].Status != "active" {
		t.Errorf("got %s, %v", a.Data["gpus"], a.Errors)
	}
	if string(a.Data["one"]) != `[{"id":"GPU-b-0"},{"id":"GPU-b-1"},{"id":"GPU-b-2"}]` || string(a.Data["cluster"]) != `{"active":6,"gpuCount":6}` {
		t.Errorf("got %s and %s", a.Data["one"], a.Data["cluster"])
	}
}

func TestGatewayGraphQLPages(t *testing.T) {
	t.Parallel()
	fleet, _ := newFleet(t)
	_, base := startGateway(t, Config{}, fleet...)
	type page struct {
		Entries    []map[string]any
		NextCursor string
	}
	read := func(limit int, cursor string) (p page) {
		a := askGraph(t, base, fmt.Sprintf(`{telemetry(limit:%d,cursor:%q){entries{cluster id timestamp} nextCursor}}`, limit, cursor), "")
		if err := json.Unmarshal(a.Data["telemetry"], &p); err != nil {
			t.Fatalf("%v: %+v", err, a)
		}
		return p
	}
	whole, pages := read(1000, ""), []map[string]any{}
	for cursor := ""; ; {
		p := read(4, cursor)
		pages = append(pages, p.Entries...)
		if cursor = p.NextCursor; cursor == "" {
			break
		}
	}
	if fmt.Sprint(pages) != fmt.Sprint(whole.Entries) || len(pages) != 26 {
		t.Errorf("in pages: got %v, want %v", pages, whole.Entries)
	}
}

// frame is a frame of gpu.live.v1 from several clusters.
type frame struct {
	T        string
	ID       string
	Cluster  string
	Rev      string
	Resumed  bool
	Reason   string
	Away     []string
	Clusters []struct{ Cluster, Rev string }
	Items    []struct{ GPU, Host string }
}

// readFrames reads frames until done returns true.
func readFrames(t testing.TB, conn *websocket.Conn, done func(f frame) bool) {
	t.Helper()
	for {
		var f frame
		if err := conn.ReadJSON(&f); err != nil {
			t.Fatal(err)
		}
		if done(f) {
			return
		}
	}
}

func TestGatewayLiveStreams(t *testing.T) {
	t.Parallel()
	fleet, start := newFleet(t)
	_, base := startGateway(t, Config{}, fleet...)
	conn := dialSocket(t, base, "/ws", "gpu.live.v1")
	readFrames(t, conn, func(f frame) bool {
		if f.T != "hello" || len(f.Clusters) != 3 || f.Clusters[1].Cluster != "b" || f.Clusters[1].Rev == "" {
			t.Errorf("got hello %+v", f)
		}
		return true
	})
	writeText(t, conn, `{"op":"sub","id":"x"}`)
	gpus, synced, revs := map[string]int{}, 0, map[string]string{}
	readFrames(t, conn, func(f frame) bool {
		if f.Rev != "" {
			revs[f.Cluster] = f.Rev
		}
		if f.T == "snap" {
			gpus[f.Cluster] += len(f.Items)
		}
		if f.T == "synced" {
			synced++
		}
		return synced == 3
	})
	if fmt.Sprint(gpus) != "map[a:2 b:4 c:2]" {
		t.Errorf("got snapshots of %v", gpus)
	}
	fleet[1].upload("b-1", "GPU-b-1", start+55*minute, gpuUtil, 77)
	readFrames(t, conn, func(f frame) bool {
		if f.T != "upd" {
			return false
		}
		if f.Cluster != "b" || len(f.Items) != 1 || f.Items[0].GPU != "GPU-b-1" {
			t.Errorf("got update %+v", f)
		}
		return true
	})
	// Another connection goes on from the positions before the update.
	from, err := json.Marshal(revs)
	if err != nil {
		t.Fatal(err)
	}
	again := dialSocket(t, base, "/ws", "gpu.live.v1")
	writeText(t, again, `{"op":"sub","id":"x","from":`+string(from)+`}`)
	resumed, updates := 0, 0
	synced = 0
	readFrames(t, again, func(f frame) bool {
		switch f.T {
		case "ack":
			if f.Resumed {
				resumed++
			}
		case "upd":
			updates += len(f.Items)
		case "snap", "reset":
			t.Errorf("got %+v", f)
		case "synced":
			synced++
		}
		return synced == 3
	})
	if resumed != 3 || updates != 1 {
		t.Errorf("got %d resumed streams and %d changed GPUs", resumed, updates)
	}
	one := dialSocket(t, base, "/ws?cluster=c", "gpu.live.v1")
	writeText(t, one, `{"op":"sub","id":"x"}`)
	readFrames(t, one, func(f frame) bool {
		if f.T != "hello" && f.Cluster != "c" {
			t.Errorf("a stream of c: got %+v", f)
		}
		return f.T == "synced"
	})
	if status, _, m := getMerged(t, base, "/graphql?cluster=z&query=x", ""); status != 404 {
		t.Errorf("got %d, %+v", status, m)
	}
}

func TestGatewayLiveStreamOfACellThatComesBack(t *testing.T) {
	t.Parallel()
	fleet, _ := newFleet(t)
	b := fleet[1]
	b.server.Stop()
	_, base := startGateway(t, Config{}, fleet...)
	conn := dialSocket(t, base, "/ws", "gpu.live.v1")
	readFrames(t, conn, func(f frame) bool {
		if !slices.Equal(f.Away, []string{"b"}) {
			t.Errorf("got hello %+v", f)
		}
		return true
	})
	writeText(t, conn, `{"op":"sub","id":"x"}`)
	synced := 0
	readFrames(t, conn, func(f frame) bool {
		if f.T == "synced" {
			synced++
		}
		return synced == 2
	})
	graph := dialSocket(t, base, "/graphql", "graphql-transport-ws")
	writeText(t, graph, `{"type":"connection_init"}`)
	writeText(t, graph, `{"type":"subscribe","id":"1","payload":{"query":"subscription{gpuMetrics{cluster token gpus{id}}}"}}`)
	seen := map[string]bool{}
	readUpdates := func(want int) (token string) {
		t.Helper()
		for len(seen) < want {
			m := readMessage(t, graph)
			var u struct {
				Data struct {
					GPUMetrics struct{ Cluster, Token string }
				}
			}
			if m.Type != "next" {
				continue
			}
			if err := json.Unmarshal(m.Payload, &u); err != nil {
				t.Fatal(err)
			}
			seen[u.Data.GPUMetrics.Cluster] = true
			token = u.Data.GPUMetrics.Token
		}
		return token
	}
	readUpdates(2)
	b.server.Start(t)
	readFrames(t, conn, func(f frame) bool {
		if f.T == "synced" && f.Cluster != "b" {
			t.Errorf("got %+v", f)
		}
		return f.T == "synced"
	})
	if token := readUpdates(3); !strings.Contains(token, "a~") || !strings.Contains(token, "b~") || !strings.Contains(token, "c~") {
		t.Errorf("got token %q, want a position in each cluster", token)
	}
}

// TestLiveStreamsOfAGatewayKeepToTheScope: to a principal of cluster a there is no other cluster, whichever way it asks.
func TestLiveStreamsOfAGatewayKeepToTheScope(t *testing.T) {
	t.Parallel()
	fleet, start := newFleet(t)
	guard, tokens := newFleetGuard(t, map[string]string{"a": "cluster=a", "host": "cluster=b,host=b-1"})
	_, base := startGateway(t, Config{Guard: guard}, fleet...)
	frames := dialSocketAs(t, base, "/ws", "gpu.live.v1", tokens["a"])
	readFrames(t, frames, func(f frame) bool {
		if f.T != "hello" || len(f.Clusters) != 1 || f.Clusters[0].Cluster != "a" {
			t.Errorf("got hello %+v", f)
		}
		return true
	})
	writeText(t, frames, `{"op":"sub","id":"all"}`)
	synced := func(f frame) bool { return f.T == "synced" }
	seen := seeOnly(t, frames, map[string]bool{"a-0": true, "shared": true}, synced)
	if seen != 2 {
		t.Errorf("the snapshot has %d GPUs, want both of a", seen)
	}
	graph := dialSocketAs(t, base, "/graphql", "graphql-transport-ws", tokens["a"])
	writeText(t, graph, `{"type":"connection_init"}`)
	writeText(t, graph, `{"type":"subscribe","id":"1","payload":{"query":"subscription{gpuMetrics{cluster token gpus{id host}}}"}}`)
	one := dialSocketAs(t, base, "/ws", "gpu.live.v1", tokens["host"])
	writeText(t, one, `{"op":"sub","id":"all"}`)
	if seen := seeOnly(t, one, map[string]bool{"b-1": true}, synced); seen != 1 {
		t.Errorf("the snapshot of a scope of one host has %d GPUs", seen)
	}
	// An update of b comes before the one of a, and is not seen.
	fleet[1].upload("b-0", "GPU-b-0", start+55*minute, gpuUtil, 77)
	fleet[1].upload("b-1", "GPU-b-1", start+56*minute, gpuUtil, 78)
	fleet[0].upload("a-0", "GPU-a-0", start+55*minute, gpuUtil, 79)
	updated := func(f frame) bool { return f.T == "upd" }
	seeOnly(t, frames, map[string]bool{"a-0": true}, updated)
	seeOnly(t, one, map[string]bool{"b-1": true}, updated)
	for last := ""; !strings.Contains(last, `"GPU-a-0"`); {
		m := readMessage(t, graph)
		if last = string(m.Payload); strings.Contains(last, `"b`) || strings.Contains(last, "GPU-b") || strings.Contains(last, `"c-`) {
			t.Errorf("a subscription in the scope of a has %s", last)
		}
	}
	again := dialSocketAs(t, base, "/ws", "gpu.live.v1", tokens["a"])
	writeText(t, again, `{"op":"sub","id":"x","from":{"b":"7"}}`)
	seeOnly(t, again, map[string]bool{"a-0": true, "shared": true}, synced)
	checkOtherClusterIsUnknown(t, base, tokens["a"])
}

// seeOnly reads frames until the first that ends, and returns the number of GPUs in them. All are of the hosts.
func seeOnly(t *testing.T, conn *websocket.Conn, hosts map[string]bool, ends func(f frame) bool) (gpus int) {
	t.Helper()
	readFrames(t, conn, func(f frame) bool {
		gpus += len(f.Items)
		for _, item := range f.Items {
			if !hosts[item.Host] {
				t.Errorf("got a GPU of %s in %+v", item.Host, f)
			}
		}
		return ends(f)
	})
	return gpus
}

// checkOtherClusterIsUnknown compares what a principal of a hears of cluster b and of one that nobody has.
func checkOtherClusterIsUnknown(t *testing.T, base, token string) {
	t.Helper()
	for _, ask := range []func(cluster string) string{
		func(cluster string) string { return refusedSocket(t, base, "/ws?cluster="+cluster, token) },
		func(cluster string) string { return refusedSocket(t, base, "/graphql?cluster="+cluster, token) },
		func(cluster string) string {
			conn := dialSocketAs(t, base, "/graphql", "graphql-transport-ws", token)
			writeText(t, conn, `{"type":"connection_init"}`)
			writeText(t, conn, `{"type":"subscribe","id":"1","payload":{"query":"subscription{gpuMetrics(cluster:\"`+cluster+`\"){token}}"}}`)
			return readUntil(t, conn, "error")
		},
	} {
		other, unknown := ask("b"), ask("z")
		if got := strings.ReplaceAll(other, "b", "z"); got != strings.ReplaceAll(unknown, "b", "z") || !strings.Contains(unknown, "z") {
			t.Errorf("of another cluster: got %s, of one that nobody has %s", other, unknown)
		}
	}
}

// refusedSocket returns the status and the answer to a handshake that is refused.
func refusedSocket(t *testing.T, base, path, token string) string {
	t.Helper()
	header := http.Header{"Origin": {base}, "Authorization": {"Bearer " + token}}
	conn, resp, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(base, "http")+path, header)
	if err == nil {
		conn.Close()
		t.Fatalf("%s is opened", path)
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.Status + " " + string(text)
}

// readUntil returns the first message of a kind.
func readUntil(t *testing.T, conn *websocket.Conn, kind string) string {
	t.Helper()
	for {
		_, text, err := conn.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), `"`+kind+`"`) {
			return string(text)
		}
	}
}
