package socket_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/queryd/live"
	"telemetry-pipeline/queryd/live/livetest"
	"telemetry-pipeline/queryd/socket"
)

func (r *rig) ready() *rig {
	r.Helper()
	for end := time.Now().Add(patience); r.hub.Ready() != nil || r.hub.State().At().Number < r.src.Head().Number; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			r.Fatal("view is not ready")
		}
	}
	return r
}

func TestLiveSubscription(t *testing.T) {
	r := newRig(t, nil)
	r.set("h1", "GPU-a", 0)
	r.ready()
	c := r.dial("/ws", "other", "gpu.live.v1")
	if got := c.ws.Subprotocol(); got != "gpu.live.v1" {
		t.Errorf("subprotocol %q, want gpu.live.v1", got)
	}
	hello := c.next()
	if !hello.holds(`{"t":"hello","epoch":"e1","heartbeatMs":50}`) || hello["rev"] == "" || hello["limits"] == nil {
		t.Errorf("hello is %v", hello)
	}
	c.send(`{"op":"sub","id":"a","unknown":[1]}`)
	c.expect(`{"t":"ack","id":"a","resumed":false}`,
		`{"t":"snap","id":"a","part":0,"more":false,"items":[{"gpu":"GPU-a","host":"h1","ts":"2025-07-18T20:42:35Z","m":{"DCGM_FI_DEV_GPU_UTIL":0}}]}`,
		`{"t":"synced","id":"a"}`)
	r.set("h1", "GPU-a", 7)
	upd := c.expect(`{"t":"upd","id":"a","del":[],"items":[{"gpu":"GPU-a","host":"h1","ts":"2025-07-18T20:42:36Z","m":{"DCGM_FI_DEV_GPU_UTIL":7}}]}`)
	hb := c.until(`{"t":"hb"}`)
	if hb["rev"] != upd["rev"] || hb["folded"] != "e1-c1-0" {
		t.Errorf("heartbeat %v, want rev %v and folded e1-c1-0", hb, upd["rev"])
	}
	for _, name := range []string{"ts", "asOf"} {
		if _, err := time.Parse(time.RFC3339, hb[name].(string)); err != nil {
			t.Errorf("heartbeat's %s: %v", name, err)
		}
	}
	c.send(`{"op":"unsub","id":"a"}`)
	c.send(`{"op":"ping"}`)
	c.until(`{"t":"pong"}`)
	r.set("h1", "GPU-a", 8)
	c.send(`{"op":"unsub","id":"a"}`)
	c.expect(`{"t":"err","id":"a","code":"unknown_id"}`) // and no update before
}

func TestLiveSubscriptionOfAScope(t *testing.T) {
	scope, err := access.ParseScope("host=h*")
	if err != nil {
		t.Fatal(err)
	}
	var seen atomic.Pointer[access.Principal]
	r := newRig(t, func(ctx context.Context, _ socket.Operation) (iter.Seq[json.RawMessage], json.RawMessage) {
		seen.Store(access.PrincipalFrom(ctx))
		return noOperations(ctx, socket.Operation{})
	})
	r.caller.Store(&access.Principal{ID: "team", Roles: []access.Role{access.RoleRead}, Scope: scope})
	r.set("h1", "GPU-a", 0)
	r.set("g1", "GPU-b", 0)
	r.ready()
	c := r.dial("/ws", "gpu.live.v1")
	c.next()
	c.send(`{"op":"sub","id":"a"}`)
	c.expect(`{"t":"ack","id":"a","resumed":false}`,
		`{"t":"snap","id":"a","part":0,"more":false,"items":[{"gpu":"GPU-a","host":"h1","ts":"2025-07-18T20:42:35Z","m":{"DCGM_FI_DEV_GPU_UTIL":0}}]}`,
		`{"t":"synced","id":"a"}`)
	r.set("g1", "GPU-b", 7)
	r.set("h1", "GPU-a", 8)
	c.expect(`{"t":"upd","id":"a","del":[],"items":[{"gpu":"GPU-a","host":"h1","ts":"2025-07-18T20:42:38Z","m":{"DCGM_FI_DEV_GPU_UTIL":8}}]}`)
	q := r.dial("/graphql", "graphql-transport-ws")
	q.send(`{"type":"connection_init"}`)
	q.send(`{"type":"subscribe","id":"1","payload":{"query":"{a}"}}`)
	q.until(`{"type":"error","id":"1"}`)
	if p := seen.Load(); p == nil || p.ID != "team" {
		t.Errorf("an operation is executed for %v, want the principal of the upgrade", p)
	}
}

func TestLiveAbsentReadingsAndParts(t *testing.T) {
	r := newRig(t, nil)
	r.src.Store(generation, r.fleet.Report(
		livetest.Reading{Host: `h "1"`, UUID: "GPU-a", Part: "mig:1", Metric: util, At: r.clock, Absent: events.Lost},
		livetest.Reading{Host: `h "1"`, UUID: "GPU-a", Part: "mig:1", Metric: "µ", At: r.clock, Value: -5}))
	r.ready()
	c := r.dial("/ws")
	c.send(`{"op":"sub","id":"1"}`)
	c.until(`{"t":"snap","items":[{"gpu":"GPU-a","host":"h \"1\"","part":"mig:1","ts":"2025-07-18T20:42:34Z","m":{"µ":-5},"absent":{"DCGM_FI_DEV_GPU_UTIL":"` + events.Lost.String() + `"}}]}`)
}

func TestLiveResume(t *testing.T) {
	r := newRig(t, nil)
	r.set("h1", "GPU-a", 1)
	r.set("h2", "GPU-b", 1)
	r.ready()
	c := r.dial("/ws")
	c.send(`{"op":"sub","id":"a","mode":"events"}`)
	rev := c.until(`{"t":"synced"}`)["rev"].(string)
	_ = c.ws.Close()
	r.set("h2", "GPU-b", 2)
	r.set("h2", "GPU-b", 3)
	again := r.dial("/ws")
	again.until(`{"t":"hello"}`)
	again.send(`{"op":"sub","id":"x","mode":"events","from":"` + rev + `"}`)
	again.expect(`{"t":"ack","id":"x","resumed":true,"rev":"` + rev + `"}`)
	values := []any{}
	for len(values) < 2 {
		m := again.until(`{"t":"upd","id":"x"}`)
		values = append(values, m["items"].([]any)[0].(map[string]any)["m"].(map[string]any)[util])
	}
	if !slices.Equal(values, []any{2.0, 3.0}) {
		t.Errorf("came back to %v, want exactly 2 and 3", values)
	}
	again.send(`{"op":"sub","id":"y","from":"` + rev + `"}`)
	again.until(`{"t":"upd","id":"y","items":[{"gpu":"GPU-b","host":"h2","ts":"2025-07-18T20:42:38Z","m":{"DCGM_FI_DEV_GPU_UTIL":3}}]}`)
	again.expect(`{"t":"synced","id":"y"}`)
	again.send(`{"op":"sub","id":"z","from":"nonsense","filter":{"host":["h1"]}}`)
	again.expect(`{"t":"ack","id":"z","resumed":false,"reason":"epoch"}`, `{"t":"reset","id":"z","reason":"epoch"}`, `{"t":"snap","id":"z"}`, `{"t":"synced","id":"z"}`)
}

func TestLiveFiltersByCanonicalMetric(t *testing.T) {
	r := newRig(t, nil, func(c *socket.Config, _ *live.Config) {
		c.Metric = func(name string) string { return strings.ReplaceAll(name, "util", util) }
	})
	r.set("h1", "GPU-a", 1)
	r.ready()
	c := r.dial("/ws")
	c.send(`{"op":"sub","id":"a","filter":{"host":["h?"],"gpu":["GPU-a"],"metric":["util"]}}`)
	if items := c.until(`{"t":"snap"}`)["items"].([]any); len(items) != 1 {
		t.Errorf("got items %v, want the one GPU", items)
	}
}

// A filter takes every name of a GPU. By index it follows the slot: the GPU that lost it comes under del.
func TestLiveFilterByIndexFollowsTheSlot(t *testing.T) {
	r := newRig(t, nil)
	r.set("h1", "GPU-a", 1)
	r.ready()
	c := r.dial("/ws")
	c.send(`{"op":"sub","id":"a","mode":"events","filter":{"gpu":["h1:0"]}}`)
	c.until(`{"t":"snap","id":"a","items":[{"gpu":"GPU-a","host":"h1","ts":"2025-07-18T20:42:35Z","m":{"DCGM_FI_DEV_GPU_UTIL":1}}]}`)
	rev := c.until(`{"t":"synced"}`)["rev"].(string)
	r.set("h1", "GPU-b", 2)
	const swapped = `"del":["GPU-a"],"items":[{"gpu":"GPU-b","host":"h1","ts":"2025-07-18T20:42:36Z","m":{"DCGM_FI_DEV_GPU_UTIL":2}}]}`
	c.until(`{"t":"upd","id":"a",` + swapped)
	for _, mode := range []string{"events", "latest"} {
		again := r.dial("/ws")
		again.send(`{"op":"sub","id":"b","mode":"` + mode + `","from":"` + rev + `","filter":{"gpu":["h1:0"]}}`)
		again.until(`{"t":"upd","id":"b",` + swapped)
	}
}

func TestLiveErrorsThatLeaveTheConnection(t *testing.T) {
	r := newRig(t, nil, func(c *socket.Config, _ *live.Config) { c.Subscriptions = 2 }).ready()
	c := r.dial("/ws")
	c.until(`{"t":"hello"}`)
	c.send(`{"op":"sub","id":"a","mode":"sometimes"}`)
	c.expect(`{"t":"err","id":"a","code":"bad_option"}`)
	c.send(`{"op":"sub","id":"a","hz":1000}`)
	if m := c.expect(`{"t":"err","id":"a","code":"bad_option"}`); !strings.Contains(m["msg"].(string), "hz") {
		t.Errorf("message %q does not name hz", m["msg"])
	}
	c.send(`{"op":"sub","id":"a","snapshot":false}`)
	c.send(`{"op":"sub","id":"b","snapshot":false}`)
	c.send(`{"op":"sub","id":"c"}`)
	c.until(`{"t":"err","id":"c","code":"too_many"}`)
	r.set("h1", "GPU-a", 1)
	c.until(`{"t":"upd"}`)
}

func TestLiveCloseCodes(t *testing.T) {
	fast := func(c *socket.Config, _ *live.Config) { c.SubTimeout = 50 * time.Millisecond }
	slow := func(c *socket.Config, l *live.Config) { l.QueueBytes = 1; l.Heartbeat = time.Hour }
	for _, test := range []struct {
		name, send string
		options    []option
		code       int
		words      string
	}{
		{name: "no JSON", send: `hello?`, code: 4400, words: "JSON object"},
		{name: "no object", send: `[]`, code: 4400},
		{name: "unknown op", send: `{"op":"subscribe","id":"1"}`, code: 4400, words: "subscribe"},
		{name: "no id", send: `{"op":"sub"}`, code: 4400, words: "id"},
		{name: "id of another type", send: `{"op":"sub","id":1}`, code: 4400, words: "id"},
		{name: "hz as text", send: `{"op":"sub","id":"1","hz":"4"}`, code: 4400, words: "hz"},
		{name: "long id", send: `{"op":"sub","id":"` + strings.Repeat("x", 200) + `"}`, code: 4400, words: "id"},
		{name: "same id twice", send: `{"op":"sub","id":"1"}` + "\n" + `{"op":"sub","id":"1"}`, code: 4409, words: "Subscriber for 1 already exists"},
		{name: "nothing asked", options: []option{fast}, code: 4408, words: "no sub"},
		{name: "only pings", send: `{"op":"ping"}`, options: []option{fast}, code: 4408},
		{name: "too often", send: strings.TrimSpace(strings.Repeat(`{"op":"ping"}`+"\n", 400)), code: 4429},
		{name: "no UTF-8", send: "\xff\xfe", code: 1007},
		{name: "too long", send: `{"op":"` + strings.Repeat("x", 100<<10) + `"}`, code: 1009},
		{name: "slow", send: "slow", options: []option{slow}, code: 4008},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, nil, test.options...).ready()
			c := r.dial("/ws")
			if test.send == "slow" {
				c.send(`{"op":"sub","id":"1","mode":"events"}`)
				c.until(`{"t":"synced"}`)
				go func() {
					for range 20_000 { // faster than any client: the queue has room for one
						r.src.Store(generation, r.fleet.Report(livetest.Reading{Host: "h1", UUID: "GPU-a", Metric: util, At: r.clock, Value: int64(r.clock)}))
						r.clock++
					}
				}()
			} else if test.send != "" {
				for text := range strings.SplitSeq(test.send, "\n") {
					if c.ws.WriteMessage(websocket.TextMessage, []byte(text)) != nil {
						break // closed already
					}
				}
			}
			c.expectClose(test.code, test.words)
		})
	}
	t.Run("binary", func(t *testing.T) {
		c := newRig(t, nil).dial("/ws")
		if err := c.ws.WriteMessage(websocket.BinaryMessage, []byte(`{"op":"ping"}`)); err != nil {
			t.Fatal(err)
		}
		c.expectClose(4400, "text")
	})
	t.Run("another subprotocol", func(t *testing.T) {
		c := newRig(t, nil).dial("/ws", "graphql-transport-ws")
		c.expectClose(4406, "gpu.live.v1")
	})
}

func TestLiveShutdown(t *testing.T) {
	r := newRig(t, nil).ready()
	idle, busy := r.dial("/ws"), r.dial("/ws")
	busy.send(`{"op":"sub","id":"1"}`)
	busy.until(`{"t":"synced"}`)
	idle.until(`{"t":"hello"}`)
	closed := make(chan error, 1)
	go func() { closed <- r.server.Close() }()
	for _, c := range []*client{idle, busy} {
		bye := c.until(`{"t":"bye"}`)
		if ms := bye["retryMs"].(float64); ms < 500 || ms > 10_000 {
			t.Errorf("retryMs is %v", ms)
		}
		c.expectClose(1012, "")
	}
	if err := <-closed; err != nil {
		t.Errorf("Close: %v", err)
	}
	if _, response, err := r.try("/ws", nil); err == nil || response == nil || response.StatusCode != 503 {
		t.Errorf("connecting after Close: %v, %v; want 503", response, err)
	}
}

// Two streams of one connection share one heartbeat, whose position is the older of the two.
func TestLiveHeartbeatOfSeveralStreams(t *testing.T) {
	r := newRig(t, nil)
	r.set("h1", "GPU-a", 1)
	r.ready()
	c := r.dial("/ws")
	c.send(`{"op":"sub","id":"slow","hz":0.01}`)
	c.send(`{"op":"sub","id":"fast","hz":20}`)
	c.until(`{"t":"synced","id":"fast"}`)
	r.set("h1", "GPU-a", 2) // the slow one gets this at once, and the next in 100 s
	first := c.until(`{"t":"upd","id":"slow"}`)
	r.set("h1", "GPU-a", 3)
	var fast message
	for fast = c.until(`{"t":"upd","id":"fast"}`); fast["rev"] == first["rev"]; fast = c.until(`{"t":"upd","id":"fast"}`) {
	}
	for range 3 {
		if hb := c.until(`{"t":"hb"}`); hb["rev"] != first["rev"] {
			t.Errorf("heartbeat has position %v, want %v, which the slow stream has", hb["rev"], first["rev"])
		}
	}
}

// A heartbeat that was there before an update and is sent after it would make a client that keeps the last position
// resume from before the update.
func TestLiveHeartbeatsTakeNobodyBack(t *testing.T) {
	r := newRig(t, nil, func(_ *socket.Config, c *live.Config) { c.Heartbeat = time.Millisecond })
	r.set("h1", "GPU-a", 0)
	r.ready()
	c := r.dial("/ws")
	c.send(`{"op":"sub","id":"a","mode":"events"}`)
	c.until(`{"t":"synced","id":"a"}`)
	const updates = 2000
	stored := make(chan struct{})
	go func() {
		defer close(stored)
		for v := range int64(updates) {
			r.set("h1", "GPU-a", 1+v)
		}
	}()
	var previous message
	for got := 0; got < updates; {
		m := c.next()
		switch m["t"] {
		case "upd":
			got, previous = got+1, m
		case "hb":
			if previous != nil && m["rev"] != previous["rev"] {
				t.Fatalf("after %v, a heartbeat with position %v", previous, m["rev"])
			}
		case "lag": // on a machine that was busy
		default:
			t.Fatalf("got %v", m)
		}
	}
	<-stored
}

func TestLiveManyClients(t *testing.T) {
	r := newRig(t, nil)
	for i := range 20 {
		r.set(events.HostID(fmt.Sprintf("h%d", i)), fmt.Sprintf("GPU-%d", i), 0)
	}
	r.ready()
	const n = 50
	results := make(chan string, n)
	for i := range n {
		c := r.dial("/ws")
		go func() {
			c.send(fmt.Sprintf(`{"op":"sub","id":"%d","hz":20}`, i))
			last := map[string]float64{}
			for {
				_ = c.ws.SetReadDeadline(time.Now().Add(patience))
				_, text, err := c.ws.ReadMessage()
				if err != nil {
					results <- err.Error()
					return
				}
				var m struct {
					Items []struct {
						GPU string             `json:"gpu"`
						M   map[string]float64 `json:"m"`
					} `json:"items"`
				}
				if err := json.Unmarshal(text, &m); err != nil {
					results <- err.Error()
					return
				}
				done := len(m.Items) > 0
				for _, item := range m.Items {
					last[item.GPU] = item.M[util]
				}
				for _, v := range last {
					done = done && v == 99
				}
				if done && len(last) == 20 {
					results <- ""
					return
				}
			}
		}()
	}
	for v := range int64(100) {
		for i := range 20 {
			r.set(events.HostID(fmt.Sprintf("h%d", i)), fmt.Sprintf("GPU-%d", i), v)
		}
	}
	for range n {
		if err := <-results; err != "" {
			t.Errorf("a client: %s", err)
		}
	}
}
