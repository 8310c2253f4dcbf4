package socket_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"telemetry-pipeline/events/access"
	"telemetry-pipeline/events/listen"
	"telemetry-pipeline/events/listen/listentest"
	"telemetry-pipeline/queryd/live"
	"telemetry-pipeline/queryd/socket"
)

// safeBuffer is a log that is read while it is written.
type safeBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// people are principals in a file that a guard reads.
type people struct {
	file   string
	lines  map[string]string // by id
	tokens map[string]string
	log    safeBuffer
}

// newPeople returns principals of all roles, each named by its role.
func newPeople(t *testing.T) *people {
	p := &people{file: filepath.Join(t.TempDir(), "principals"), lines: map[string]string{}, tokens: map[string]string{}}
	for _, role := range []access.Role{access.RoleRead, access.RoleIngest, access.RoleAdmin} {
		p.add(t, string(role), role, access.Everything(), time.Time{})
	}
	return p
}

func (p *people) add(t *testing.T, id string, role access.Role, scope access.Scope, expires time.Time) {
	t.Helper()
	var err error
	if p.tokens[id], p.lines[id], err = access.NewToken(id, []access.Role{role}, scope, expires); err != nil {
		t.Fatal(err)
	}
}

// write replaces the file.
func (p *people) write(t *testing.T) {
	t.Helper()
	var text strings.Builder
	for _, line := range p.lines {
		text.WriteString(line + "\n")
	}
	if err := errors.Join(os.WriteFile(p.file+".new", []byte(text.String()), 0o600), os.Rename(p.file+".new", p.file)); err != nil {
		t.Fatal(err)
	}
}

// gate writes the file and returns the gate of a guard that runs until the test ends. The log must show no token then.
func (p *people) gate(t *testing.T, cfg access.Config) *access.Gate {
	t.Helper()
	p.write(t)
	cfg.File = p.file
	guard, err := access.New(cfg, "", slog.New(slog.NewTextHandler(&p.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- guard.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		for id, token := range p.tokens {
			if strings.Contains(p.log.String(), token) {
				t.Errorf("the log shows the token of %s:\n%s", id, &p.log)
			}
		}
	})
	return guard.NewGate(true)
}

// newGuardedRig returns a server for the principals.
func newGuardedRig(t *testing.T, p *people, exec executorFunc, cfg access.Config, options ...option) *rig {
	t.Helper()
	gate := p.gate(t, cfg)
	r := newRig(t, exec, append(options, func(c *socket.Config, _ *live.Config) { c.Gate = gate })...)
	r.ready()
	return r
}

// bearer returns the header that shows the token of a principal.
func (p *people) bearer(id string) http.Header {
	return http.Header{"Authorization": {"Bearer " + p.tokens[id]}}
}

// auth returns the messages by which a principal logs in, by protocol.
func (p *people) auth(protocol, id string) string {
	if protocol == "gpu.live.v1" {
		return fmt.Sprintf(`{"op":"auth","token":%q}`, p.tokens[id])
	}
	return fmt.Sprintf(`{"type":"connection_init","payload":{"authorization":"Bearer %s"}}`, p.tokens[id])
}

// expectOnlyClose fails unless the next frame is the close frame: nothing was sent before.
func (c *client) expectOnlyClose(code int) {
	c.Helper()
	_ = c.ws.SetReadDeadline(time.Now().Add(patience))
	_, text, err := c.ws.ReadMessage()
	if closed, ok := errors.AsType[*websocket.CloseError](err); !ok || closed.Code != code {
		c.Errorf("got %s, %v, want close %d and nothing before", text, err, code)
	}
}

// protocols are the subprotocols with their paths.
func protocols() map[string]string {
	return map[string]string{"gpu.live.v1": "/ws", "graphql-transport-ws": "/graphql"}
}

func TestClientsLogInBeforeAnythingElse(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	p.add(t, "expired", access.RoleRead, access.Everything(), time.Now().Add(-time.Minute))
	p.add(t, "nothing", access.RoleRead, access.Scope{}, time.Time{})
	p.tokens["wrong"] = "tp_wrong"
	r := newGuardedRig(t, p, nil, access.Config{LoginRate: 1000})
	const sub, ask = `{"op":"sub","id":"a"}`, `{"type":"subscribe","id":"a","payload":{"query":"{x}"}}`
	tests := []struct {
		name, protocol string
		messages       []string
		code           int
	}{
		{"sub before auth", "gpu.live.v1", []string{sub}, 4401},
		{"unsub before auth", "gpu.live.v1", []string{`{"op":"unsub","id":"a"}`}, 4401},
		{"ping before auth", "gpu.live.v1", []string{`{"op":"ping"}`}, 4401},
		{"unknown op before auth", "gpu.live.v1", []string{`{"op":"x"}`}, 4401},
		{"no token", "gpu.live.v1", []string{`{"op":"auth"}`, sub}, 4401},
		{"wrong token", "gpu.live.v1", []string{p.auth("gpu.live.v1", "wrong"), sub}, 4401},
		{"expired token", "gpu.live.v1", []string{p.auth("gpu.live.v1", "expired"), sub}, 4401},
		{"other role", "gpu.live.v1", []string{p.auth("gpu.live.v1", "ingest"), sub}, 4403},
		{"empty scope", "gpu.live.v1", []string{p.auth("gpu.live.v1", "nothing"), sub}, 4403},
		{"subscribe before init", "graphql-transport-ws", []string{ask}, 4401},
		{"init without a token", "graphql-transport-ws", []string{`{"type":"connection_init"}`, ask}, 4401},
		{"an empty payload", "graphql-transport-ws", []string{`{"type":"connection_init","payload":{}}`, ask}, 4401},
		{"another scheme", "graphql-transport-ws", []string{`{"type":"connection_init","payload":{"authorization":"Basic ` + p.tokens["read"] + `"}}`, ask}, 4401},
		{"wrong token", "graphql-transport-ws", []string{p.auth("graphql-transport-ws", "wrong"), ask}, 4401},
		{"expired token", "graphql-transport-ws", []string{p.auth("graphql-transport-ws", "expired"), ask}, 4401},
		{"other role", "graphql-transport-ws", []string{p.auth("graphql-transport-ws", "ingest"), ask}, 4403},
		{"empty scope", "graphql-transport-ws", []string{p.auth("graphql-transport-ws", "nothing"), ask}, 4403},
	}
	for _, tt := range tests {
		t.Run(tt.protocol+" "+tt.name, func(t *testing.T) {
			c := r.dial(protocols()[tt.protocol], tt.protocol)
			c.T = t
			for _, m := range tt.messages {
				_ = c.ws.WriteMessage(websocket.TextMessage, []byte(m)) // the server may have closed by the second one
			}
			c.expectOnlyClose(tt.code)
		})
	}
	for _, id := range []string{"read", "admin"} {
		c := r.dial("/ws", "gpu.live.v1")
		c.send(p.auth("gpu.live.v1", id))
		c.expect(`{"t":"hello"}`)
		c.send(sub)
		c.until(`{"t":"synced"}`)
		c.send(p.auth("gpu.live.v1", id))
		c.expectClose(4429, "known already")
		for _, first := range []string{p.auth("graphql-transport-ws", id), `{"type":"connection_init","payload":{"token":"` + p.tokens[id] + `"}}`} {
			g := r.dial("/graphql", "graphql-transport-ws")
			g.send(first)
			g.expect(`{"type":"connection_ack"}`)
			g.send(ask)
			g.expect(`{"type":"error"}`) // of the executor: it has none
			g.send(first)
			g.expectClose(4429, "")
		}
	}
}

func TestClientsThatNeverLogInAreClosedUnserved(t *testing.T) {
	t.Parallel()
	r := newGuardedRig(t, newPeople(t), nil, access.Config{}, func(c *socket.Config, _ *live.Config) {
		c.SubTimeout, c.InitTimeout = 300*time.Millisecond, 300*time.Millisecond
	})
	r.set("h1", "GPU-1", 1)
	for protocol, path := range protocols() {
		r.dial(path, protocol).expectOnlyClose(4408)
	}
}

func TestCredentialsOfTheRequest(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	r := newGuardedRig(t, p, nil, access.Config{LoginRate: 1000})
	for protocol, path := range protocols() {
		for id, want := range map[string]int{"read": 101, "admin": 101, "ingest": 403, "wrong": 401} {
			header := p.bearer(id)
			if id == "wrong" {
				header.Set("Authorization", "Bearer tp_wrong")
			}
			c, resp, err := r.try(path, header, protocol)
			if resp == nil || resp.StatusCode != want {
				t.Errorf("%s by %s: got %v, %v, want %d", path, id, resp, err, want)
			}
			if err != nil {
				continue
			}
			if protocol == "gpu.live.v1" {
				c.expect(`{"t":"hello"}`)
				continue
			}
			c.send(`{"type":"connection_init"}`)
			c.expect(`{"type":"connection_ack"}`)
		}
		// A token where logs of proxies would show it is none.
		token := p.tokens["read"]
		for _, target := range []string{path + "?access_token=" + token, path + "?token=" + token, path + "?authorization=Bearer%20" + token} {
			c := r.dial(target, protocol)
			c.send(map[string]string{"/ws": `{"op":"ping"}`, "/graphql": `{"type":"connection_init"}`}[path])
			c.expectOnlyClose(4401)
		}
		for _, offered := range [][]string{{protocol, token}, {token, protocol}, {protocol, "bearer." + token}} {
			c := r.dial(path, offered...)
			if got := c.ws.Subprotocol(); got != protocol {
				t.Errorf("%s speaks %q", path, got)
			}
			c.send(map[string]string{"/ws": `{"op":"ping"}`, "/graphql": `{"type":"connection_init"}`}[path])
			c.expectOnlyClose(4401)
		}
		if c, _, err := r.try(path, http.Header{"Cookie": {"token=" + token}}, protocol); err == nil {
			c.send(map[string]string{"/ws": `{"op":"ping"}`, "/graphql": `{"type":"connection_init"}`}[path])
			c.expectOnlyClose(4401)
		}
	}
}

// TestPagesOfOtherSitesOpenNoSockets: a page cannot log in, but a browser would show a client certificate for it.
func TestPagesOfOtherSitesOpenNoSockets(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	r := newGuardedRig(t, p, nil, access.Config{Origins: "https://friend.example"})
	for protocol, path := range protocols() {
		for name, headers := range map[string]struct {
			header http.Header
			want   int
		}{
			"own origin":  {http.Header{"Origin": {"http://" + r.addr}}, 101},
			"friend":      {http.Header{"Origin": {"https://friend.example"}, "Sec-Fetch-Site": {"cross-site"}}, 101},
			"foreign":     {http.Header{"Origin": {"https://evil.example"}}, 403},
			"null":        {http.Header{"Origin": {"null"}}, 403},
			"cross-site":  {http.Header{"Sec-Fetch-Site": {"cross-site"}}, 403},
			"same-site":   {http.Header{"Sec-Fetch-Site": {"same-site"}}, 403},
			"both":        {http.Header{"Origin": {"http://" + r.addr}, "Sec-Fetch-Site": {"cross-site"}}, 403},
			"another one": {http.Header{"Origin": {"http://localhost:1"}}, 403},
			"rebound":     {http.Header{"Host": {"evil.example"}, "Origin": {"http://evil.example"}}, 421},
		} {
			headers.header.Set("Authorization", "Bearer "+p.tokens["read"])
			_, resp, err := r.try(path, headers.header, protocol)
			if resp == nil || resp.StatusCode != headers.want {
				t.Errorf("%s, %s: got %v, %v, want %d", path, name, resp, err, headers.want)
			}
		}
	}
}

// running is an executor whose operations run until they are ended.
type running struct{ ended chan error }

func (x running) Execute(ctx context.Context, _ socket.Operation) (iter.Seq[json.RawMessage], json.RawMessage) {
	return func(yield func(json.RawMessage) bool) {
		yield(json.RawMessage(`{"data":{"who":"` + access.PrincipalFrom(ctx).ID + `"}}`))
		<-ctx.Done()
		x.ended <- context.Cause(ctx)
	}, nil
}

func TestRevokedAndExpiredClientsAreClosed(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	p.add(t, "expiring", access.RoleRead, access.Everything(), time.Now().Add(5*time.Second))
	for _, id := range []string{"revoked", "rescoped", "demoted"} {
		p.add(t, id, access.RoleRead, access.Everything(), time.Time{})
	}
	ops := running{make(chan error, 20)}
	r := newGuardedRig(t, p, ops.Execute, access.Config{})
	r.set("h1", "GPU-1", 1)
	clients := map[string]*client{}
	for _, id := range []string{"expiring", "revoked", "rescoped", "demoted", "read"} {
		c := r.dial("/ws")
		c.send(p.auth("gpu.live.v1", id))
		c.send(`{"op":"sub","id":"a","hz":20}`)
		c.until(`{"t":"synced"}`)
		clients["live "+id] = c
		g := r.dial("/graphql", "graphql-transport-ws")
		g.send(p.auth("graphql-transport-ws", id))
		g.expect(`{"type":"connection_ack"}`)
		g.send(`{"type":"subscribe","id":"a","payload":{"query":"subscription {x}"}}`)
		g.expect(`{"type":"next"}`)
		clients["graphql "+id] = g
	}
	delete(p.lines, "revoked")
	p.lines["rescoped"] = strings.Replace(p.lines["rescoped"], `"scope":"*"`, `"scope":"host=h2"`, 1)
	p.lines["demoted"] = strings.Replace(p.lines["demoted"], `"read"`, `"ingest"`, 1)
	p.write(t)
	for _, id := range []string{"revoked", "rescoped", "demoted"} {
		clients["live "+id].expectClose(4401, "revoked or changed")
		clients["graphql "+id].expectClose(4401, "revoked or changed")
	}
	for _, kind := range []string{"live ", "graphql "} {
		clients[kind+"expiring"].expectClose(4401, "expired")
	}
	for range 4 {
		select {
		case <-ops.ended:
		case <-time.After(patience):
			t.Fatal("an operation runs on after its connection was closed for its credentials")
		}
	}
	r.set("h1", "GPU-1", 2)
	clients["live read"].until(`{"t":"upd"}`)
	again := r.dial("/ws")
	again.send(p.auth("gpu.live.v1", "revoked"))
	again.expectOnlyClose(4401)
}

func TestConnectionsOfAPrincipalAreLimited(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	r := newGuardedRig(t, p, nil, access.Config{TrustedProxies: "127.0.0.0/8"}, func(c *socket.Config, _ *live.Config) { c.PerIP = 2 })
	from := func(address string, header http.Header) *client {
		header.Set("X-Forwarded-For", address)
		c, resp, err := r.try("/ws", header)
		if err != nil {
			t.Fatalf("%v (%v)", err, resp)
		}
		return c
	}
	from("192.0.2.1", p.bearer("read")).until(`{"t":"hello"}`)
	second := from("192.0.2.2", http.Header{})
	second.send(p.auth("gpu.live.v1", "read"))
	second.until(`{"t":"hello"}`)
	from("192.0.2.3", p.bearer("read")).expectOnlyClose(1013)
	late := from("192.0.2.4", http.Header{})
	late.send(p.auth("gpu.live.v1", "read"))
	late.expectOnlyClose(1013)
	from("192.0.2.5", p.bearer("admin")).until(`{"t":"hello"}`)
	_ = second.ws.Close()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		c := from("192.0.2.6", p.bearer("read"))
		_ = c.ws.SetReadDeadline(time.Now().Add(patience))
		if _, _, err := c.ws.ReadMessage(); err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal("no room after a connection ended")
		}
	}
}

func TestFailedLoginsOfSocketsAreLimited(t *testing.T) {
	t.Parallel()
	for protocol, path := range protocols() {
		p := newPeople(t)
		p.tokens["wrong"] = "tp_wrong"
		r := newGuardedRig(t, p, nil, access.Config{LoginRate: 4})
		codes := ""
		for range 4 {
			c := r.dial(path, protocol)
			c.send(p.auth(protocol, "wrong"))
			_ = c.ws.SetReadDeadline(time.Now().Add(patience))
			_, _, err := c.ws.ReadMessage()
			closed, ok := errors.AsType[*websocket.CloseError](err)
			if !ok {
				t.Fatal(err)
			}
			codes += fmt.Sprint(closed.Code, " ")
		}
		if codes != "4401 4401 4429 4429 " {
			t.Errorf("%s: closed with %s, want 4401 twice, then 4429", protocol, codes)
		}
		good := r.dial(path, protocol)
		good.send(p.auth(protocol, "read"))
		if m := good.next(); m["t"] != "hello" && m["type"] != "connection_ack" {
			t.Errorf("%s: got %v for a good token", protocol, m)
		}
	}
}

func TestClientCertificatesOpenSockets(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	p.lines["scraper"] = `{"id":"scraper","certificate":"scraper","roles":["read"],"scope":"*"}`
	p.lines["sender"] = `{"id":"sender","certificate":"sender","roles":["ingest"],"scope":"*"}`
	ca, dir := listentest.NewCA(t), t.TempDir()
	cfg := listen.TLSConfig{ClientCA: ca.File}
	cfg.Cert, cfg.Key = ca.Server(t, dir)
	secure, err := listen.NewTLS(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	gate := p.gate(t, access.Config{ClientCertificates: true})
	r := newRig(t, nil, func(c *socket.Config, _ *live.Config) { c.Gate = gate })
	r.ready()
	app := r.newApp(gate)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- app.Listener(secure.Wrap(ln)) }()
	t.Cleanup(func() {
		if err := errors.Join(app.Shutdown(), <-served); err != nil {
			t.Error(err)
		}
	})
	dial := func(path, protocol, name string) (*client, int) {
		config := &tls.Config{RootCAs: ca.Pool()}
		if name != "" {
			pair, err := tls.LoadX509KeyPair(ca.Client(t, t.TempDir(), name))
			if err != nil {
				t.Fatal(err)
			}
			config.Certificates = []tls.Certificate{pair}
		}
		dialer := websocket.Dialer{Subprotocols: []string{protocol}, HandshakeTimeout: patience, TLSClientConfig: config}
		ws, resp, err := dialer.Dial("wss://"+ln.Addr().String()+path, nil)
		if err != nil {
			if resp == nil {
				t.Fatal(err)
			}
			return nil, resp.StatusCode
		}
		t.Cleanup(func() { _ = ws.Close() })
		return &client{T: t, ws: ws}, 101
	}
	for name, want := range map[string]int{"scraper": 101, "sender": 403, "nobody": 401, "": 101} {
		c, status := dial("/ws", "gpu.live.v1", name)
		if status != want {
			t.Errorf("certificate %q: got status %d, want %d", name, status, want)
		}
		switch name {
		case "scraper":
			c.until(`{"t":"hello"}`)
			g, _ := dial("/graphql", "graphql-transport-ws", name)
			g.send(`{"type":"connection_init"}`)
			g.expect(`{"type":"connection_ack"}`)
		case "": // a token is another way
			c.send(`{"op":"ping"}`)
			c.expectOnlyClose(4401)
			c, _ := dial("/ws", "gpu.live.v1", name)
			c.send(p.auth("gpu.live.v1", "read"))
			c.until(`{"t":"hello"}`)
		}
	}
}
