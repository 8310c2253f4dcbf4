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

	"telemetry-pipeline/queryd/live"
	"telemetry-pipeline/queryd/socket"
)

// script is an executor that obeys the query's text: "one", "three", "errors", "forever", "hang", "panic", "echo".
type script struct {
	running atomic.Int32
}

func (s *script) execute(ctx context.Context, op socket.Operation) (iter.Seq[json.RawMessage], json.RawMessage) {
	switch op.Query {
	case "errors":
		return nil, json.RawMessage(`[{"message":"no such field"}]`)
	case "panic":
		panic("on purpose")
	}
	return func(yield func(json.RawMessage) bool) {
		s.running.Add(1)
		defer s.running.Add(-1)
		n := map[string]int{"one": 1, "three": 3, "forever": 1 << 30}[op.Query]
		for i := range n {
			if !yield(json.RawMessage(fmt.Sprintf(`{"data":{"n":%d}}`, i))) {
				return
			}
		}
		switch op.Query {
		case "hang":
			<-ctx.Done()
		case "echo":
			text, err := json.Marshal(op)
			if err != nil {
				panic(err)
			}
			yield(text)
		}
	}, nil
}

func newGraphQL(t *testing.T, options ...option) (*rig, *script) {
	s := &script{}
	return newRig(t, s.execute, options...), s
}

// graphql connects and initialises.
func (r *rig) graphql() *client {
	r.Helper()
	c := r.dial("/graphql", "graphql-transport-ws")
	c.send(`{"type":"connection_init","payload":{"token":"x"}}`)
	c.expect(`{"type":"connection_ack"}`)
	return c
}

func subscribe(id, query string) string {
	return fmt.Sprintf(`{"id":%q,"type":"subscribe","payload":{"query":%q}}`, id, query)
}

func TestGraphQLOperations(t *testing.T) {
	r, _ := newGraphQL(t)
	c := r.dial("/graphql", "graphql-ws", "graphql-transport-ws")
	if got := c.ws.Subprotocol(); got != "graphql-transport-ws" {
		t.Fatalf("subprotocol %q", got)
	}
	c.send(`{"type":"ping"}`) // allowed before the init
	c.expect(`{"type":"pong"}`)
	c.send(`{"type":"connection_init"}`)
	c.expect(`{"type":"connection_ack"}`)
	c.send(`{"type":"ping","payload":{"a":1}}`)
	c.expect(`{"type":"pong","payload":{"a":1}}`)
	c.send(`{"type":"pong"}`)

	c.send(subscribe("q", "one"))
	c.expect(`{"id":"q","type":"next","payload":{"data":{"n":0}}}`, `{"id":"q","type":"complete"}`)
	c.send(subscribe("q", "three")) // the id is free again
	c.expect(`{"id":"q","type":"next","payload":{"data":{"n":0}}}`, `{"type":"next","payload":{"data":{"n":1}}}`, `{"type":"next","payload":{"data":{"n":2}}}`, `{"id":"q","type":"complete"}`)
	c.send(subscribe("e", "errors"))
	c.expect(`{"id":"e","type":"error","payload":[{"message":"no such field"}]}`)
	c.send(subscribe("e", "one")) // no complete came between
	c.expect(`{"id":"e","type":"next"}`, `{"id":"e","type":"complete"}`)
	c.send(`{"type":"complete","id":"never was"}`)
	c.send(`{"id":"x","type":"subscribe","payload":{"query":"echo","operationName":"O","variables":{"v":[1,null]},"extensions":{"e":true}}}`)
	c.expect(`{"id":"x","type":"next","payload":{"query":"echo","operationName":"O","variables":{"v":[1,null]},"extensions":{"e":true}}}`)
}

func TestGraphQLCompleteEndsTheOperation(t *testing.T) {
	r, s := newGraphQL(t)
	c := r.graphql()
	for range 20 {
		c.send(subscribe("s", "forever"))
		c.until(`{"id":"s","type":"next"}`)
		c.send(`{"id":"s","type":"complete"}`)
		c.send(subscribe("s", "one")) // at once, under the same id
		last := c.until(`{"id":"s","type":"complete"}`)
		if len(last) != 2 {
			t.Errorf("complete is %v", last)
		}
	}
	for end := time.Now().Add(patience); s.running.Load() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d operations still run after complete", s.running.Load())
		}
	}
}

func TestGraphQLConnectionEndEndsOperations(t *testing.T) {
	r, s := newGraphQL(t)
	for _, query := range []string{"forever", "hang"} {
		c := r.graphql()
		c.send(subscribe("1", query))
		c.send(subscribe("2", query))
		for end := time.Now().Add(patience); s.running.Load() < 2; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("operations do not start")
			}
		}
		_ = c.ws.NetConn().Close()
		for end := time.Now().Add(patience); s.running.Load() > 0; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %d operations still run after the connection ended", query, s.running.Load())
			}
		}
	}
}

func TestGraphQLCloseCodes(t *testing.T) {
	const initialise = `{"type":"connection_init"}`
	for _, test := range []struct {
		name  string
		send  []string
		code  int
		words string
	}{
		{"no JSON", []string{`{`}, 4400, "Invalid message"},
		{"no type", []string{`{}`}, 4400, "type"},
		{"array", []string{`[]`}, 4400, ""},
		{"server's type", []string{initialise, `{"type":"next","id":"1"}`}, 4400, ""},
		{"legacy type", []string{initialise, `{"type":"start","id":"1","payload":{"query":"one"}}`}, 4400, ""},
		{"init payload no object", []string{`{"type":"connection_init","payload":"x"}`}, 4400, "object"},
		{"ping payload no object", []string{`{"type":"ping","payload":[]}`}, 4400, "object"},
		{"id missing", []string{initialise, `{"type":"subscribe","payload":{"query":"one"}}`}, 4400, "id"},
		{"id empty", []string{initialise, `{"id":"","type":"subscribe","payload":{"query":"one"}}`}, 4400, "id"},
		{"id a number", []string{initialise, `{"id":1,"type":"subscribe","payload":{"query":"one"}}`}, 4400, "id"},
		{"complete without id", []string{initialise, `{"type":"complete"}`}, 4400, "id"},
		{"no payload", []string{initialise, `{"id":"1","type":"subscribe"}`}, 4400, "query"},
		{"no query", []string{initialise, `{"id":"1","type":"subscribe","payload":{}}`}, 4400, "query"},
		{"query a number", []string{initialise, `{"id":"1","type":"subscribe","payload":{"query":1}}`}, 4400, "query"},
		{"variables a list", []string{initialise, `{"id":"1","type":"subscribe","payload":{"query":"one","variables":[]}}`}, 4400, "variables"},
		{"before init", []string{subscribe("1", "one")}, 4401, "Unauthorized"},
		{"no init", nil, 4408, "Connection initialisation timeout"},
		{"only pings", []string{`{"type":"ping"}`}, 4408, "Connection initialisation timeout"},
		{"same id twice", []string{initialise, subscribe("7", "hang"), subscribe("7", "one")}, 4409, "Subscriber for 7 already exists"},
		{"init twice", []string{initialise, initialise}, 4429, "Too many initialisation requests"},
		{"panic", []string{initialise, subscribe("1", "panic")}, 4500, "Internal server error"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, _ := newGraphQL(t, func(c *socket.Config, _ *live.Config) {
				if test.code == 4408 {
					c.InitTimeout = 50 * time.Millisecond
				}
			})
			c := r.dial("/graphql", "graphql-transport-ws")
			for _, text := range test.send {
				c.send(text)
			}
			c.expectClose(test.code, test.words)
		})
	}
	for _, offered := range [][]string{nil, {"graphql-ws"}, {"gpu.live.v1"}} {
		t.Run(fmt.Sprint("subprotocols ", offered), func(t *testing.T) {
			r, _ := newGraphQL(t)
			r.dial("/graphql", offered...).expectClose(4406, "Subprotocol not acceptable")
		})
	}
}

func TestGraphQLLimitAndShutdown(t *testing.T) {
	r, s := newGraphQL(t, func(c *socket.Config, _ *live.Config) { c.Subscriptions = 2 })
	c := r.graphql()
	c.send(subscribe("1", "hang"))
	c.send(subscribe("2", "hang"))
	c.send(subscribe("3", "one"))
	m := c.expect(`{"id":"3","type":"error"}`)
	if text := fmt.Sprint(m["payload"]); !strings.Contains(text, "too many") {
		t.Errorf("refused with %s", text)
	}
	if err := r.server.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	c.expectClose(1012, "restart")
	if n := s.running.Load(); n > 0 {
		t.Errorf("%d operations still run after Close", n)
	}
}

func TestGraphQLSlowReaderHoldsNothingUp(t *testing.T) {
	t.Parallel()
	r, s := newGraphQL(t, func(c *socket.Config, _ *live.Config) { c.WriteTimeout = time.Second })
	c := r.graphql()
	c.send(subscribe("1", "forever")) // and never read again
	for end := time.Now().Add(patience); s.running.Load() != 1; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("operation does not start")
		}
	}
	for end := time.Now().Add(patience); s.running.Load() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("operation of a client that does not read still runs")
		}
	}
}

func TestGraphQLFramesInterleave(t *testing.T) {
	r, _ := newGraphQL(t)
	c := r.graphql()
	want := map[string]int{}
	for i := range 20 {
		id := fmt.Sprintf("op %d \"é\"", i)
		want[id] = 3
		text, err := json.Marshal(map[string]any{"id": id, "type": "subscribe", "payload": map[string]any{"query": "three"}})
		if err != nil {
			t.Fatal(err)
		}
		c.send(string(text))
	}
	got := map[string][]float64{}
	for done := 0; done < 20; {
		m := c.next()
		id := m["id"].(string)
		if m["type"] == "complete" {
			done++
			continue
		}
		got[id] = append(got[id], m["payload"].(map[string]any)["data"].(map[string]any)["n"].(float64))
	}
	for id := range want {
		if !slices.Equal(got[id], []float64{0, 1, 2}) {
			t.Errorf("operation %q gave %v, want 0, 1, 2", id, got[id])
		}
	}
}

func TestGraphQLOverHTTPPassesOn(t *testing.T) {
	r, _ := newGraphQL(t)
	if body := r.get("/graphql"); body != "200 over HTTP" {
		t.Errorf("GET /graphql without an upgrade gave %q, want the next handler's answer", body)
	}
}

func TestBinaryIsRefused(t *testing.T) {
	r, _ := newGraphQL(t)
	c := r.graphql()
	if err := c.ws.WriteMessage(websocket.BinaryMessage, []byte(`{"type":"ping"}`)); err != nil {
		t.Fatal(err)
	}
	c.expectClose(4400, "text")
}
