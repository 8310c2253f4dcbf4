package subscribe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events/wait"
)

const document = "subscription { gpuMetrics { gpus { id } } }"

// peer is the server's end of one connection, after the subscription.
type peer struct {
	t       *testing.T
	ws      *websocket.Conn
	payload string // of the subscribe message
}

// serve starts a server that runs scripts[i] on the i-th connection, and the last of them on every later one.
func serve(t *testing.T, scripts ...func(*peer)) (url string, connections *atomic.Int32) {
	t.Helper()
	upgrader := websocket.Upgrader{Subprotocols: []string{subprotocol}}
	connections = &atomic.Int32{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != graphqlPath {
			http.NotFound(w, r)
			return
		}
		ws, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			t.Errorf("upgrading: %v", err)
			return
		}
		defer ws.Close()
		p := &peer{t: t, ws: ws}
		p.expect("connection_init")
		p.send(`{"type":"connection_ack"}`)
		p.payload = string(p.expect("subscribe").Payload)
		scripts[min(int(connections.Add(1)), len(scripts))-1](p)
	}))
	t.Cleanup(server.Close)
	return server.URL, connections
}

func (p *peer) expect(kind string) (m message) {
	if err := p.ws.ReadJSON(&m); err != nil || m.Type != kind {
		p.t.Errorf("the client sent %+v (%v), want %s", m, err, kind)
	}
	return m
}

func (p *peer) send(text string) {
	if err := p.ws.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		p.t.Errorf("sending %s: %v", text, err)
	}
}

func (p *peer) result(n string) {
	p.send(`{"id":"1","type":"next","payload":{"data": {"n": ` + n + `}}}`)
}

func (p *peer) complete() { p.send(`{"id":"1","type":"complete"}`) }

func (p *peer) closeWith(code int, reason string) {
	if err := p.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason), time.Now().Add(time.Minute)); err != nil {
		p.t.Errorf("closing: %v", err)
	}
}

// newClient returns a client that connects again at once.
func newClient(t *testing.T, cfg Config) *Client {
	t.Helper()
	c, err := New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.backoff = wait.Backoff{Least: time.Millisecond, Most: time.Millisecond}
	return c
}

func TestEachResultIsOneLine(t *testing.T) {
	var payload string
	url, _ := serve(t, func(p *peer) {
		payload = p.payload
		p.result("1")
		p.send(`{"type":"ping","payload":{"a":1}}`)
		if pong := p.expect("pong"); string(pong.Payload) != `{"a":1}` {
			t.Errorf("a ping was answered with %s, want its payload", pong.Payload)
		}
		p.send(`{"id":"another","type":"next","payload":{"data":{"n":0}}}`)
		p.send("{\"id\":\"1\",\"type\":\"next\",\"payload\":{\"data\":\n{\"n\":2},\"errors\":[]}}")
		p.complete()
	})
	var out bytes.Buffer
	if err := newClient(t, Config{URL: url, Variables: `{"hz":2}`}).Run(t.Context(), document, &out); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("{\"data\":{\"n\":1}}\n{\"data\":{\"n\":2},\"errors\":[]}\n", out.String()); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
	want, err := json.Marshal(map[string]any{"query": document, "variables": map[string]int{"hz": 2}})
	if err != nil {
		t.Fatal(err)
	}
	if payload != string(want) {
		t.Errorf("subscribed with %s, want %s", payload, want)
	}
}

func TestABrokenConnectionIsMadeAgain(t *testing.T) {
	url, connections := serve(t,
		func(p *peer) { p.result("1") }, // and it breaks
		func(p *peer) { p.result("2"); p.closeWith(1012, "restart") },
		func(p *peer) { p.closeWith(4408, "not in time") },
		func(p *peer) { p.result("3"); p.complete() },
	)
	var out bytes.Buffer
	if err := newClient(t, Config{URL: url}).Run(t.Context(), document, &out); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "{\"data\":{\"n\":1}}\n{\"data\":{\"n\":2}}\n{\"data\":{\"n\":3}}\n"; got != want || connections.Load() != 4 {
		t.Errorf("%d connections wrote %q, want 4 that write %q", connections.Load(), got, want)
	}
}

func TestErrorsThatEndASubscription(t *testing.T) {
	broken := func(p *peer) { p.result("1") }
	tests := []struct {
		name        string
		cfg         Config
		script      func(*peer)
		says        []string
		connections int32
	}{
		{"a refused operation", Config{}, func(p *peer) {
			p.send(`{"id":"1","type":"error","payload":[{"message":"no field x"},{"message":"nor y"}]}`)
		}, []string{"no field x; nor y"}, 1},
		{"a final close", Config{}, func(p *peer) { p.result("1"); p.closeWith(4400, "Invalid message") }, []string{"4400", "Invalid message"}, 1},
		{"a missing right", Config{}, func(p *peer) { p.result("1"); p.closeWith(4403, "may not do this") }, []string{"4403", "may not do this"}, 1},
		{"a break before the first result", Config{}, func(p *peer) { p.closeWith(1013, "no room") }, []string{"no room"}, 1},
		{"a break and no second attempt", Config{RetryFor: -1}, broken, []string{"retry-for"}, 1},
		{"a message that is no JSON", Config{RetryFor: -1}, func(p *peer) { p.result("1"); p.send("nonsense") }, []string{"reading a message"}, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			url, connections := serve(t, test.script)
			test.cfg.URL = url
			err := newClient(t, test.cfg).Run(t.Context(), document, &bytes.Buffer{})
			for _, part := range test.says {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("it ended with %v, want an error with %q", err, part)
				}
			}
			if n := connections.Load(); n != test.connections {
				t.Errorf("%d connections, want %d", n, test.connections)
			}
		})
	}
}

func TestAServerThatIsNotThereIsNamedWithAdvice(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "GraphQL is off", http.StatusNotFound) }))
	t.Cleanup(other.Close)
	silent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ws, err := (&websocket.Upgrader{}).Upgrade(w, r, nil); err == nil {
			ws.Close()
		}
	}))
	t.Cleanup(silent.Close)
	for url, says := range map[string][]string{
		address:    {address, "-url", "go run ./deploy/standalone"},
		other.URL:  {"404", "GraphQL is off", "-url", "enable-websocket"},
		silent.URL: {subprotocol, "-url"},
	} {
		err := newClient(t, Config{URL: url}).Run(t.Context(), document, &bytes.Buffer{})
		for _, part := range says {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %v, want an error with %q", url, err, part)
			}
		}
	}
}

func TestTheUserEndsASubscription(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	closed := make(chan error, 1)
	url, _ := serve(t, func(p *peer) {
		p.result("1")
		cancel()
		_, _, err := p.ws.ReadMessage()
		closed <- err
	})
	if err := newClient(t, Config{URL: url}).Run(ctx, document, &bytes.Buffer{}); err != nil {
		t.Errorf("it ended with %v, want nil", err)
	}
	if err := <-closed; !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		t.Errorf("the server saw %v, want a normal close", err)
	}
}

// full is a writer that always fails.
type full struct{}

var errFull = errors.New("no space left")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestOutputThatCannotBeWrittenEndsASubscription(t *testing.T) {
	url, connections := serve(t, func(p *peer) { p.result("1"); p.complete() })
	if err := newClient(t, Config{URL: url}).Run(t.Context(), document, full{}); !errors.Is(err, errFull) || connections.Load() != 1 {
		t.Errorf("%d connections ended with %v, want 1 with %v", connections.Load(), err, errFull)
	}
}

func TestSettings(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "ws://localhost:8080/graphql",
		"gateway:8080":                  "ws://gateway:8080/graphql",
		"http://gateway:8080/":          "ws://gateway:8080/graphql",
		"https://example.org/telemetry": "wss://example.org/telemetry/graphql",
		"ws://gateway:8080/graphql":     "ws://gateway:8080/graphql",
	} {
		c, err := New(Config{URL: text}, nil)
		if err != nil || c.endpoint != want {
			t.Errorf("url %q: %+v, %v, want endpoint %s", text, c, err, want)
		}
	}
	for _, cfg := range []Config{{URL: "ftp://gateway"}, {URL: "http://"}, {Variables: "[1]"}, {Variables: "null"}, {Variables: "{"}} {
		if _, err := New(cfg, nil); err == nil || !strings.Contains(err.Error(), "flag ") {
			t.Errorf("%+v: %v, want an error that names the flag", cfg, err)
		}
	}
}
