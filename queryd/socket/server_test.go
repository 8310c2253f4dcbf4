package socket_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"telemetry-pipeline/events/access"
	"telemetry-pipeline/queryd/live"
	"telemetry-pipeline/queryd/live/livetest"
	"telemetry-pipeline/queryd/socket"
)

// get returns status and body of a plain request.
func (r *rig) get(path string) string {
	r.Helper()
	response, err := http.Get("http://" + r.addr + path)
	if err != nil {
		r.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		r.Fatal(err)
	}
	return fmt.Sprintf("%d %s", response.StatusCode, body)
}

func TestNoUpgrade(t *testing.T) {
	r := newRig(t, nil)
	if got := r.get("/ws"); !strings.HasPrefix(got, "426 ") || !strings.Contains(got, "gpu.live.v1") {
		t.Errorf("GET /ws gave %q, want 426 and how to connect", got)
	}
}

func TestOrigins(t *testing.T) {
	r := newRig(t, nil, func(c *socket.Config, _ *live.Config) {
		c.Gate = newGate(t, access.Config{Origins: "https://ops.example.org, http://other.example"})
	})
	for origin, want := range map[string]int{
		"":                           101,
		"http://" + r.addr:           101,
		"https://ops.example.org":    101,
		"http://other.example":       101,
		"http://ops.example.org":     403,
		"https://evil.example":       403,
		"null":                       403,
		"http://" + r.addr + ".evil": 403,
	} {
		for _, path := range []string{"/ws", "/graphql"} {
			header := http.Header{}
			if origin != "" {
				header.Set("Origin", origin)
			}
			_, response, err := r.try(path, header, "gpu.live.v1", "graphql-transport-ws")
			if response == nil || response.StatusCode != want {
				t.Errorf("%s from origin %q: %v, %v; want %d", path, origin, response, err, want)
			}
		}
	}
}

func TestConnectionLimits(t *testing.T) {
	for status, limit := range map[int]option{
		503: func(c *socket.Config, _ *live.Config) { c.Connections = 2 },
		429: func(c *socket.Config, _ *live.Config) { c.PerIP = 2 },
	} {
		r := newRig(t, nil, limit)
		first, second := r.dial("/ws"), r.dial("/ws")
		first.until(`{"t":"hello"}`)
		second.until(`{"t":"hello"}`)
		_, response, err := r.try("/ws", nil)
		if response == nil || response.StatusCode != status || response.Header.Get("Retry-After") == "" {
			t.Errorf("third connection: %v, %v; want %d with Retry-After", response, err, status)
		}
		_ = first.ws.Close()
		for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
			if c, _, err := r.try("/ws", nil); err == nil {
				c.until(`{"t":"hello"}`)
				break
			}
			if time.Now().After(end) {
				t.Fatal("no room after a connection ended")
			}
		}
	}
}

func TestPingAndSilence(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil, func(c *socket.Config, _ *live.Config) {
		c.Ping, c.Silence, c.SubTimeout = 100*time.Millisecond, 3*time.Second, time.Hour
	})
	answering, silent := r.dial("/ws"), r.dial("/ws")
	pings := make(chan struct{}, 1000)
	answering.ws.SetPingHandler(func(data string) error {
		pings <- struct{}{}
		return answering.ws.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(patience))
	})
	silent.ws.SetPingHandler(func(string) error { return nil })
	ended := make(chan error, 2)
	for _, c := range []*client{answering, silent} {
		go func() {
			_ = c.ws.SetReadDeadline(time.Now().Add(patience))
			for {
				if _, _, err := c.ws.ReadMessage(); err != nil {
					ended <- err
					return
				}
			}
		}()
	}
	if err := <-ended; errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("silent client ended with %v, want the server to cut it", err)
	}
	for range 45 { // longer than the silence that is allowed
		<-pings
	}
	select {
	case err := <-ended:
		t.Errorf("client that answers pings ended with %v", err)
	default:
	}
	// A client's own ping is answered.
	pong := make(chan string, 1)
	other := r.dial("/ws")
	other.ws.SetPongHandler(func(data string) error { pong <- data; return nil })
	if err := other.ws.WriteControl(websocket.PingMessage, []byte("are you there"), time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	other.send(`{"op":"ping"}`)
	other.until(`{"t":"pong"}`)
	if got := <-pong; got != "are you there" {
		t.Errorf("pong %q, want the ping's data", got)
	}
}

// A client that takes nothing is cut, and delays neither others nor the stop of the server.
func TestStuckClientIsCut(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil, func(c *socket.Config, _ *live.Config) { c.WriteTimeout = time.Minute })
	var readings []livetest.Reading
	for i := range 2000 {
		readings = append(readings, livetest.Reading{Host: "h1", UUID: "GPU-" + strconv.Itoa(i), Metric: util, At: r.clock, Value: 1})
	}
	r.src.Store(generation, r.fleet.Report(readings...))
	r.ready()
	stuck := r.dial("/ws")
	if err := stuck.ws.NetConn().(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	for i := range 60 { // snapshots of 200 KB, far more than the kernel holds
		stuck.send(fmt.Sprintf(`{"op":"sub","id":"%d","hz":20}`, i))
	}
	other := r.dial("/ws")
	other.send(`{"op":"sub","id":"1"}`)
	other.until(`{"t":"synced"}`)
	r.set("h1", "GPU-0", 2)
	other.until(`{"t":"upd"}`)

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	if err := r.server.Shutdown(ctx); err == nil || !strings.Contains(err.Error(), "cut") {
		t.Errorf("Shutdown with a stuck client: %v, want an error that says it was cut", err)
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("Shutdown took %v, want its context's 100ms", took)
	}
	other.until(`{"t":"bye"}`)
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	r := newRig(t, nil)
	if err := r.server.Metrics(reg); err != nil {
		t.Fatal(err)
	}
	c := r.dial("/ws")
	c.send(`what?`)
	c.expectClose(4400, "")
	want := []string{
		`socket_messages_total{direction="in",protocol="gpu.live.v1"} 1`,
		`socket_closed_total{cause="4400",protocol="gpu.live.v1"} 1`,
		`socket_connections{protocol="gpu.live.v1"} 0`,
	}
	var got string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		got = gather(t, reg)
		missing := false
		for _, w := range want {
			missing = missing || !strings.Contains(got, w)
		}
		if !missing {
			return
		}
	}
	t.Errorf("metrics\n%s\nwant %q", got, want)
}

// gather returns counters and gauges as a scrape shows them.
func gather(t *testing.T, reg *prometheus.Registry) string {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			fmt.Fprintf(&b, "%s{%s} %v\n", f.GetName(), strings.Join(labels, ","), m.GetCounter().GetValue()+m.GetGauge().GetValue())
		}
	}
	return b.String()
}

func TestBadConfig(t *testing.T) {
	gate := newGate(t, access.Config{})
	for _, cfg := range []socket.Config{{}, {Gate: gate, Connections: -1}, {Gate: gate, Ping: -time.Second}} {
		if _, err := socket.New(cfg, nil, nil, nil); err == nil {
			t.Errorf("New took %+v", cfg)
		}
	}
}

// The subscriptions of one caller are bounded on all connections together, and make room when they end.
func TestSubscriptionsOfACallerAreBounded(t *testing.T) {
	r := newRig(t, nil, func(c *socket.Config, _ *live.Config) { c.PerCaller = 2 })
	r.set("h1", "GPU-a", 1)
	r.ready()
	first, second := r.dial("/ws"), r.dial("/ws")
	for _, c := range []*client{first, second} {
		c.until(`{"t":"hello"}`)
		c.send(`{"op":"sub","id":"a"}`)
		c.until(`{"t":"synced"}`)
	}
	second.send(`{"op":"sub","id":"b"}`)
	second.until(`{"t":"err","id":"b","code":"too_many"}`)
	first.send(`{"op":"unsub","id":"a"}`)
	first.send(`{"op":"ping"}`)
	first.until(`{"t":"pong"}`)
	second.send(`{"op":"sub","id":"b"}`)
	second.until(`{"t":"synced","id":"b"}`)
}
