package program

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/google/go-cmp/cmp"
)

// watcher is a WebSocket client that reads the messages of the live stream.
type watcher struct {
	t    *testing.T
	conn *websocket.Conn
	last string // the newest position
}

func (s *stack) dial(path, subprotocol string) *watcher {
	s.t.Helper()
	dialer := websocket.Dialer{Subprotocols: []string{subprotocol}, HandshakeTimeout: 10 * time.Second}
	conn, resp, err := dialer.Dial(strings.Replace(s.queries, "http", "ws", 1)+path, http.Header{})
	if err != nil {
		s.t.Fatalf("connecting to %s: %v (%v)", path, err, resp)
	}
	return &watcher{t: s.t, conn: conn}
}

// subscribe opens /ws and subscribes to everything, from a position if one is given.
func (s *stack) subscribe(from string) *watcher {
	s.t.Helper()
	w := s.dial("/ws", "gpu.live.v1")
	w.send(map[string]any{"op": "sub", "id": "all", "mode": "latest", "hz": 20, "snapshot": true, "from": from})
	return w
}

func (w *watcher) send(m map[string]any) {
	w.t.Helper()
	if err := w.conn.WriteJSON(m); err != nil {
		w.t.Fatal(err)
	}
}

func (w *watcher) next() map[string]any {
	w.t.Helper()
	if err := w.conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		w.t.Fatal(err)
	}
	_, text, err := w.conn.ReadMessage()
	if err != nil {
		w.t.Fatalf("reading the live stream: %v", err)
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		w.t.Fatalf("live stream sent %s: %v", text, err)
	}
	if rev, ok := m["rev"].(string); ok {
		w.last = rev
	}
	return m
}

// until reads up to a message of a kind; an update or snapshot with items comes before it only if it
// is that kind's turn.
func (w *watcher) until(kind string) map[string]any {
	w.t.Helper()
	for {
		m := w.next()
		if m["t"] == kind || m["t"] == "upd" || m["t"] == "err" {
			return m
		}
	}
}

// collect takes updates until every one of want came, as "gpu metric" to value, and fails on one
// that is not wanted.
func (w *watcher) collect(want map[string]string) {
	w.t.Helper()
	got := map[string]string{}
	for len(got) < len(want) || !maps.Equal(got, want) {
		m := w.next()
		if m["t"] != "upd" && m["t"] != "snap" {
			continue
		}
		for _, raw := range m["items"].([]any) {
			item := raw.(map[string]any)
			for metric, value := range item["m"].(map[string]any) {
				key := fmt.Sprint(item["gpu"], " ", metric)
				got[key] = fmt.Sprint(value)
				if _, wanted := want[key]; !wanted {
					w.t.Fatalf("update of %s, which did not change", key)
				}
			}
		}
	}
}

func (w *watcher) close() { w.conn.Close() }

// latest are the newest values of an export, as "gpu metric" to value.
func (e export) latest() map[string]string {
	at, all := map[string]string{}, map[string]string{}
	for _, row := range e.rows {
		key := e.cell(row, "uuid") + " " + e.cell(row, "metric_name")
		if when := e.cell(row, "timestamp"); when >= at[key] {
			at[key] = when
			var v any
			_ = json.Unmarshal([]byte(e.cell(row, "value")), &v)
			all[key] = fmt.Sprint(v)
		}
	}
	return all
}

// part is the rows of some hosts.
func (e export) part(hosts ...string) export {
	p := export{header: e.header}
	for _, h := range hosts {
		p.rows = append(p.rows, e.byHost()[h]...)
	}
	return p
}

func TestSubscribersGetEveryChangeAndExactlyWhatTheyMissed(t *testing.T) {
	t.Parallel()
	s := startStack(t, t.TempDir())
	e := readExport(t, simulated(t, 2, 1))
	first, second := e.part("demo-dgx-01"), e.part("demo-dgx-02")

	w := s.subscribe("")
	w.until("synced")
	s.mustUpload("first.csv", first.file(t, first.rows))
	w.collect(first.latest())
	position := w.last
	w.close()

	s.mustUpload("second.csv", second.file(t, second.rows)) // while no client listens
	back := s.subscribe(position)
	defer back.close()
	back.collect(second.latest()) // fails on anything of the first host
	for m := back.next(); m["t"] != "hb"; m = back.next() {
		if m["t"] == "upd" || m["t"] == "reset" || m["t"] == "snap" {
			t.Errorf("after what it missed the subscriber got %v", m)
		}
	}
}

func TestGraphQLSubscribersGetEveryChange(t *testing.T) {
	t.Parallel()
	s := startStack(t, t.TempDir())
	w := s.dial("/graphql", "graphql-transport-ws")
	defer w.close()
	w.send(map[string]any{"type": "connection_init"})
	if m := w.next(); m["type"] != "connection_ack" {
		t.Fatalf("got %v, want connection_ack", m)
	}
	w.send(map[string]any{"id": "1", "type": "subscribe", "payload": map[string]any{
		"query": `subscription { gpuMetrics(hz: 20) { snapshot gpus { id metrics } } }`,
	}})
	e := readExport(t, simulated(t, 2, 1))
	s.mustUpload("export.csv", e.file(t, e.rows))
	got, want := map[string]string{}, e.latest()
	for !maps.Equal(got, want) {
		m := w.next()
		if m["type"] != "next" {
			t.Fatalf("got %v, want next", m)
		}
		for id, metrics := range graphItems(t, m) {
			for metric, value := range metrics {
				got[id+" "+metric] = fmt.Sprint(value)
			}
		}
		if len(got) > len(want) {
			t.Fatalf("got more than was uploaded:\n%.1000s", cmp.Diff(want, got))
		}
	}
}

// graphItems takes the GPUs' metrics out of a next message.
func graphItems(t *testing.T, m map[string]any) map[string]map[string]any {
	t.Helper()
	text, err := json.Marshal(m["payload"])
	if err != nil {
		t.Fatal(err)
	}
	var payload struct {
		Data struct {
			GPUMetrics struct {
				GPUs []struct {
					ID      string
					Metrics map[string]any
				}
			}
		}
		Errors []any
	}
	if err := json.Unmarshal(text, &payload); err != nil || len(payload.Errors) > 0 {
		t.Fatalf("payload %s: %v", text, err)
	}
	items := map[string]map[string]any{}
	for _, g := range payload.Data.GPUMetrics.GPUs {
		items[g.ID] = g.Metrics
	}
	return items
}

func TestDocumentsThatCouldCrashTheServerGet400(t *testing.T) {
	t.Parallel()
	s := startStack(t, t.TempDir())
	for name, document := range map[string]string{
		"fragments in a circle":      `fragment A on GPU{...B} fragment B on GPU{...A} {gpu(id:"x"){...A}}`,
		"four megabytes of brackets": strings.Repeat("[", 4<<20),
	} {
		t.Run(name, func(t *testing.T) {
			body, err := json.Marshal(map[string]string{"query": document})
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.Post(s.queries+"/graphql", "application/json", strings.NewReader(string(body)))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusBadRequest {
				t.Errorf("status %d, want 400", resp.StatusCode)
			}
			get, err := http.Get(s.queries + "/graphql?query=" + url.QueryEscape(document[:min(len(document), 4000)]))
			if err != nil {
				t.Fatal(err)
			}
			get.Body.Close()
			if get.StatusCode != http.StatusBadRequest {
				t.Errorf("GET: status %d, want 400", get.StatusCode)
			}
			s.get("/api/v1/cluster", &map[string]any{}) // still alive
		})
	}
}
