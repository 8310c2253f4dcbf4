package socket_test

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/events/access/fiberguard"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live"
	"telemetry-pipeline/queryd/live/livetest"
	"telemetry-pipeline/queryd/socket"
)

const (
	generation projections.Generation = "g1"

	util = "DCGM_FI_DEV_GPU_UTIL"
)

// patience bounds every wait of the tests; none of them takes it.
const patience = 2 * time.Minute

// rig is a server with a live view behind it, on a port of its own.
type rig struct {
	*testing.T
	src    *livetest.Source
	fleet  *livetest.Fleet
	hub    *live.Hub
	caller atomic.Pointer[access.Principal] // nil: everybody
	server *socket.Server
	addr   string
	clock  events.Timestamp
}

// newGate returns the gate of a listener of this machine.
func newGate(t *testing.T, cfg access.Config) *access.Gate {
	t.Helper()
	guard, err := access.New(cfg, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return guard.NewGate(true)
}

type option func(*socket.Config, *live.Config)

func newRig(t *testing.T, exec executorFunc, options ...option) *rig {
	t.Helper()
	facts := livetest.Facts()
	r := &rig{T: t, src: livetest.New(facts), fleet: livetest.NewFleet(facts), clock: events.TimestampOf(time.Date(2025, 7, 18, 20, 42, 34, 0, time.UTC))}
	cfg := socket.Config{Gate: newGate(t, access.Config{})}
	liveCfg := live.Config{Heartbeat: 50 * time.Millisecond}
	for _, o := range options {
		o(&cfg, &liveCfg)
	}
	var err error
	if r.hub, err = live.New(liveCfg, r.src, nil, facts, nil); err != nil {
		t.Fatal(err)
	}
	if exec == nil {
		exec = noOperations
	}
	if r.server, err = socket.New(cfg, r.hub, exec, nil); err != nil {
		t.Fatal(err)
	}
	r.serve(cfg.Gate.(*access.Gate))
	r.src.Activate(generation)
	return r
}

// newApp returns an app with the routes of the server.
func (r *rig) newApp(gate *access.Gate) *fiber.App {
	app := fiber.New(fiber.Config{Immutable: true, DisableStartupMessage: true, ErrorHandler: func(c *fiber.Ctx, err error) error {
		if refusal, ok := errors.AsType[*access.Refusal](err); ok {
			return c.Status(refusal.Status).SendString(refusal.Text)
		}
		return fiber.DefaultErrorHandler(c, err)
	}})
	routes := fiberguard.New(app, gate)
	app.Use(routes.Shield)
	routes.Socket(access.Read, "/ws", r.asCaller(r.server.Live()))
	routes.Socket(access.Read, "/graphql", r.asCaller(r.server.GraphQL()))
	routes.Get(access.Read, "/graphql", func(c *fiber.Ctx) error { return c.SendString("over HTTP") })
	return app
}

// serve runs the hub and an app until the test ends, and then checks that every connection ends.
func (r *rig) serve(gate *access.Gate) {
	app := r.newApp(gate)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.Fatal(err)
	}
	r.addr = ln.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- app.Listener(ln) }()
	go func() { ended <- r.hub.Run(ctx) }()
	r.Cleanup(func() {
		if err := r.server.Close(); err != nil {
			r.Errorf("Close: %v", err)
		}
		if err := app.Shutdown(); err != nil {
			r.Errorf("stopping the app: %v", err)
		}
		cancel()
		for range 2 {
			if err := <-ended; err != nil {
				r.Errorf("server or hub ended with %v", err)
			}
		}
	})
}

// asCaller returns a handler whose requests are the caller's.
func (r *rig) asCaller(next fiber.Handler) fiber.Handler {
	return func(c *fiber.Ctx) error {
		fiberguard.SetPrincipal(c, r.caller.Load())
		return next(c)
	}
}

// set stores a new utilization of a GPU.
func (r *rig) set(host events.HostID, uuid string, value int64) {
	r.clock += events.Timestamp(time.Second)
	r.src.Store(generation, r.fleet.Report(livetest.Reading{Host: host, UUID: uuid, Metric: util, At: r.clock, Value: value}))
}

// executorFunc is a function as an executor.
type executorFunc func(ctx context.Context, op socket.Operation) (iter.Seq[json.RawMessage], json.RawMessage)

func (f executorFunc) Execute(ctx context.Context, op socket.Operation) (iter.Seq[json.RawMessage], json.RawMessage) {
	return f(ctx, op)
}

func noOperations(context.Context, socket.Operation) (iter.Seq[json.RawMessage], json.RawMessage) {
	return nil, json.RawMessage(`[{"message":"none here"}]`)
}

// client is one connection.
type client struct {
	*testing.T
	ws *websocket.Conn
}

// dial connects to a path with the given subprotocols.
func (r *rig) dial(path string, protocols ...string) *client {
	r.Helper()
	c, response, err := r.try(path, nil, protocols...)
	if err != nil {
		r.Fatalf("connecting to %s: %v (%v)", path, err, response)
	}
	return c
}

func (r *rig) try(path string, header http.Header, protocols ...string) (*client, *http.Response, error) {
	dialer := websocket.Dialer{Subprotocols: protocols, HandshakeTimeout: patience}
	ws, response, err := dialer.Dial("ws://"+r.addr+path, header)
	if err != nil {
		return nil, response, err
	}
	r.Cleanup(func() { _ = ws.Close() })
	return &client{T: r.T, ws: ws}, response, nil
}

// send writes a text message.
func (c *client) send(text string) {
	c.Helper()
	if err := c.ws.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		c.Fatalf("sending %.100s: %v", text, err)
	}
}

type message map[string]any

// next reads a message.
func (c *client) next() message {
	c.Helper()
	_ = c.ws.SetReadDeadline(time.Now().Add(patience))
	_, text, err := c.ws.ReadMessage()
	if err != nil {
		c.Fatalf("reading: %v", err)
	}
	var m message
	if err := json.Unmarshal(text, &m); err != nil {
		c.Fatalf("got %s, which is no JSON: %v", text, err)
	}
	return m
}

// until reads until a message has the wanted members, and returns it. It skips the messages before.
func (c *client) until(want string) message {
	c.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); { // heartbeats come for ever
		if m := c.next(); m.holds(want) {
			return m
		}
	}
	c.Fatalf("no message holds %s", want)
	return nil
}

// expect reads messages, skipping heartbeats, and compares each with its wanted members.
func (c *client) expect(want ...string) message {
	c.Helper()
	var m message
	for _, w := range want {
		for m = c.next(); m["t"] == "hb"; m = c.next() {
		}
		if !m.holds(w) {
			got, _ := json.Marshal(m)
			c.Fatalf("got %s\nwant it to hold %s", got, w)
		}
	}
	return m
}

// holds reports whether a message has all members of the JSON object want, with these values.
func (m message) holds(want string) bool {
	var w message
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		panic(err)
	}
	for k, v := range w {
		if !reflect.DeepEqual(m[k], v) {
			return false
		}
	}
	return true
}

// expectClose reads until the connection closes, and compares the code.
func (c *client) expectClose(code int, words string) {
	c.Helper()
	_ = c.ws.SetReadDeadline(time.Now().Add(patience)) // of all messages: heartbeats never end
	for {
		_, text, err := c.ws.ReadMessage()
		if err == nil {
			continue
		}
		var closed *websocket.CloseError
		if !errors.As(err, &closed) || closed.Code != code || !strings.Contains(closed.Text, words) {
			c.Fatalf("connection ended with %v after %.200s, want close %d %q", err, text, code, words)
		}
		return
	}
}
