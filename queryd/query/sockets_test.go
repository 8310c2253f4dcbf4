package query

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
)

// dial opens a WebSocket to a running server.
func dialSocket(t *testing.T, base, path, protocol string) *websocket.Conn {
	t.Helper()
	return dialSocketAs(t, base, path, protocol, "")
}

// dialSocketAs opens a socket with a token, or without one if it is empty.
func dialSocketAs(t *testing.T, base, path, protocol, token string) *websocket.Conn {
	t.Helper()
	header := http.Header{"Origin": {base}}
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	dialer := websocket.Dialer{Subprotocols: []string{protocol}, HandshakeTimeout: 10 * time.Second}
	conn, resp, err := dialer.Dial("ws"+strings.TrimPrefix(base, "http")+path, header)
	if err != nil {
		t.Fatalf("opening %s: %v, %+v", path, err, resp)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute)) // a failed read reports it
	if got := conn.Subprotocol(); got != protocol {
		t.Fatalf("%s speaks %q, want %q", path, got, protocol)
	}
	return conn
}

// message holds the members that both protocols have in a message.
type message struct {
	Kind    string          `json:"t"`
	Type    string          `json:"type"`
	ID      string          `json:"id"`
	Payload json.RawMessage `json:"payload"`
}

// readMessage returns the next message.
func readMessage(t *testing.T, conn *websocket.Conn) message {
	t.Helper()
	var m message
	if err := conn.ReadJSON(&m); err != nil {
		t.Fatalf("reading a message: %v", err)
	}
	return m
}

func writeText(t *testing.T, conn *websocket.Conn, text string) {
	t.Helper()
	if err := conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func TestSubscribersReceiveTheEndAtAStop(t *testing.T) {
	base, stop := startServer(t, newServer(t, Config{Host: "127.0.0.1", Port: FreePort}))
	live := dialSocket(t, base, "/ws", "gpu.live.v1")
	writeText(t, live, `{"op":"sub","id":"a","snapshot":true}`)
	for readMessage(t, live).Kind != "synced" {
	}
	graphql := dialSocket(t, base, "/graphql", "graphql-transport-ws")
	writeText(t, graphql, `{"type":"connection_init"}`)
	if got := readMessage(t, graphql).Type; got != "connection_ack" {
		t.Fatalf("connection_init is answered by %q", got)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	bye := false
	for {
		var m message
		err := live.ReadJSON(&m)
		if closed, ok := errors.AsType[*websocket.CloseError](err); ok {
			if closed.Code != 1012 || !bye {
				t.Errorf("the live stream ends with %v, bye %v; want 1012 after bye", closed, bye)
			}
			break
		}
		if err != nil {
			t.Fatalf("the live stream ends with %v, want a close frame", err)
		}
		bye = bye || m.Kind == "bye"
	}
	_, _, err := graphql.ReadMessage()
	if closed, ok := errors.AsType[*websocket.CloseError](err); !ok || closed.Code != 1012 {
		t.Errorf("GraphQL ends with %v, want 1012", err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestGraphQLOverWebSocket(t *testing.T) {
	base, _ := startServer(t, newServer(t, Config{Host: "127.0.0.1", Port: FreePort}))
	conn := dialSocket(t, base, "/graphql", "graphql-transport-ws")
	writeText(t, conn, `{"type":"connection_init"}`)
	readMessage(t, conn)

	writeText(t, conn, `{"type":"subscribe","id":"q","payload":{"query":"query A { __typename } query B { b: __typename }","operationName":"B"}}`)
	if got := readMessage(t, conn); got.Type != "next" || got.ID != "q" || string(got.Payload) != `{"data":{"b":"Query"}}` {
		t.Errorf("a query: got %s %s", got.Type, got.Payload)
	}
	if got := readMessage(t, conn); got.Type != "complete" || got.ID != "q" {
		t.Errorf("then %s, want complete", got.Type)
	}
	for name, query := range map[string]string{"parse": "{", "field": "{ nothing }", "arguments": "subscription { gpuMetrics(hz: -1) { token } }"} {
		writeText(t, conn, `{"type":"subscribe","id":"`+name+`","payload":{"query":"`+query+`"}}`)
		var list []struct{ Message string }
		if got := readMessage(t, conn); got.Type != "error" || json.Unmarshal(got.Payload, &list) != nil || len(list) == 0 || list[0].Message == "" {
			t.Errorf("%s: %s %s, want an error with a list", name, got.Type, got.Payload)
		}
	}
	writeText(t, conn, `{"type":"subscribe","id":"s","payload":{"query":"subscription { gpuMetrics { token gpus { id } } }"}}`)
	got := readMessage(t, conn)
	var step struct {
		Data struct {
			Metrics struct {
				Token string
				GPUs  []any
			} `json:"gpuMetrics"`
		}
	}
	if err := json.Unmarshal(got.Payload, &step); err != nil || got.Type != "next" || step.Data.Metrics.Token == "" {
		t.Errorf("a subscription: got %s %s (%v), want the first state", got.Type, got.Payload, err)
	}
}
