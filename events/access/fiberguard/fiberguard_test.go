package fiberguard

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events/access"
)

// testApp is an app behind a guard, with a token per role and one of an admin of some hosts.
type testApp struct {
	app    *fiber.App
	router *Router
	tokens map[string]string
	log    *bytes.Buffer
}

// newTestApp returns an app with a route for each right.
func newTestApp(t *testing.T, cfg access.Config, loopback bool) *testApp {
	t.Helper()
	a := &testApp{tokens: map[string]string{}, log: &bytes.Buffer{}}
	if !cfg.Open {
		var lines []string
		for id, p := range map[string]struct{ role, scope string }{"read": {"read", "*"}, "ingest": {"ingest", "*"}, "admin": {"admin", "*"}, "some": {"admin", "host=own-*"}} {
			scope, err := access.ParseScope(p.scope)
			if err != nil {
				t.Fatal(err)
			}
			token, line, err := access.NewToken(id, []access.Role{access.Role(p.role)}, scope, time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			a.tokens[id] = token
			lines = append(lines, line)
		}
		cfg.File = filepath.Join(t.TempDir(), "principals")
		if err := os.WriteFile(cfg.File, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	guard, err := access.New(cfg, "c", slog.New(slog.NewTextHandler(a.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	a.app = fiber.New(fiber.Config{ErrorHandler: func(c *fiber.Ctx, err error) error {
		if refusal, ok := errors.AsType[*access.Refusal](err); ok {
			return c.Status(refusal.Status).SendString(string(refusal.Code))
		}
		return fiber.DefaultErrorHandler(c, err)
	}})
	a.router = New(a.app, guard.NewGate(loopback))
	a.app.Use(a.router.Shield)
	who := func(c *fiber.Ctx) error {
		if p := access.PrincipalFrom(c.UserContext()); p != nil {
			return c.SendString(p.ID)
		}
		return c.SendString("nobody")
	}
	a.router.Get(access.Public, "/public", who)
	a.router.Get(access.Read, "/read/:id", who)
	a.router.Post(access.Ingest, "/ingest", who)
	a.router.Put(access.Administer, "/admin", who)
	a.router.Delete(access.Administer, "/admin", who)
	a.router.Get(access.Monitor, "/metrics", who)
	a.router.Get(access.Operate, "/status", who)
	a.router.Get(access.Debug, "/debug", who)
	a.router.Get(0, "/forgotten", who)
	a.router.Socket(access.Read, "/ws", who)
	return a
}

// send sends a request; headers are pairs.
func (a *testApp) send(t *testing.T, method, path string, headers ...string) (resp *http.Response, body string) {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		} else {
			r.Header.Add(headers[i], headers[i+1])
		}
	}
	resp, err := a.app.Test(r, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp, text.String()
}

func TestEveryRouteHasARight(t *testing.T) {
	t.Parallel()
	a := newTestApp(t, access.Config{}, false)
	rights := a.router.Rights()
	routes := map[string]bool{}
	for _, route := range a.app.GetRoutes(true) {
		method := route.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		name := method + " " + route.Path
		routes[name] = true
		if _, known := rights[name]; !known {
			t.Errorf("route %s has no right", name)
		}
	}
	for name := range rights {
		if !routes[name] {
			t.Errorf("right of %s, which is no route", name)
		}
	}
}

func TestRolesAndRoutes(t *testing.T) {
	t.Parallel()
	a := newTestApp(t, access.Config{}, false)
	tests := []struct {
		method, path string
		may          string // of read, ingest, admin, some and nobody
	}{
		{"GET", "/public", "read ingest admin some nobody"}, {"HEAD", "/public", "read ingest admin some nobody"},
		{"GET", "/read/1", "read admin some"}, {"HEAD", "/read/1", "read admin some"}, {"GET", "/READ/1", "read admin some"}, {"GET", "/read/1/", "read admin some"},
		{"POST", "/ingest", "ingest admin some"}, {"PUT", "/admin", "admin some"}, {"DELETE", "/admin", "admin some"},
		{"GET", "/metrics", "read ingest admin"}, {"GET", "/status", "admin"}, {"HEAD", "/status", "admin"},
		{"GET", "/debug", "admin"}, {"HEAD", "/debug", "admin"},
		{"GET", "/forgotten", ""}, {"HEAD", "/forgotten", ""}, {"GET", "/ws", "read admin some"}, {"HEAD", "/ws", "read admin some"},
	}
	for _, tt := range tests {
		for _, role := range []string{"read", "ingest", "admin", "some", "nobody"} {
			var headers []string
			want := http.StatusUnauthorized
			if role != "nobody" {
				headers = []string{"Authorization", "Bearer " + a.tokens[role]}
				want = http.StatusForbidden
			}
			if strings.Contains(tt.may, role) {
				want = http.StatusOK
			}
			resp, body := a.send(t, tt.method, tt.path, headers...)
			if resp.StatusCode != want {
				t.Errorf("%s %s by %s: got status %d, want %d", tt.method, tt.path, role, resp.StatusCode, want)
			}
			if want == 200 && tt.method != "HEAD" && tt.path != "/public" && body != role {
				t.Errorf("%s %s by %s: the handler saw %q", tt.method, tt.path, role, body)
			}
			if got := resp.Header.Get("WWW-Authenticate"); (want == 401) != strings.HasPrefix(got, "Bearer") {
				t.Errorf("%s %s by %s: got WWW-Authenticate %q with status %d", tt.method, tt.path, role, got, want)
			}
		}
	}
	for method, want := range map[string]int{"POST": 405, "DELETE": 405, "GET": 200} {
		if resp, _ := a.send(t, method, "/public"); resp.StatusCode != want {
			t.Errorf("%s /public: got status %d, want %d", method, resp.StatusCode, want)
		}
	}
	if resp, _ := a.send(t, "GET", "/unknown"); resp.StatusCode != 404 || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("got status %d, headers %v for an unknown path, want 404 with the headers", resp.StatusCode, resp.Header)
	}
	for _, token := range a.tokens {
		if strings.Contains(a.log.String(), token) {
			t.Errorf("the log shows a token:\n%s", a.log)
		}
	}
}

func TestSocketsLetCallersLogInLater(t *testing.T) {
	t.Parallel()
	a := newTestApp(t, access.Config{}, false)
	upgrade := []string{"Connection", "keep-alive, Upgrade", "Upgrade", "WebSocket"}
	tests := []struct {
		name, method string
		headers      []string
		want         int
		who          string
	}{
		{"no credentials", "GET", upgrade, 200, "nobody"},
		{"other scheme", "GET", append([]string{"Authorization", "Basic YTpi"}, upgrade...), 200, "nobody"},
		{"reader", "GET", append([]string{"Authorization", "Bearer " + a.tokens["read"]}, upgrade...), 200, "read"},
		{"without the right", "GET", append([]string{"Authorization", "Bearer " + a.tokens["ingest"]}, upgrade...), 403, ""},
		{"bad token", "GET", append([]string{"Authorization", "Bearer tp_bad"}, upgrade...), 401, ""},
		{"no upgrade", "GET", nil, 401, ""},
		{"half an upgrade", "GET", upgrade[2:], 401, ""},
		{"the other half", "GET", upgrade[:2], 401, ""},
		{"other protocol", "GET", []string{"Connection", "Upgrade", "Upgrade", "h2c"}, 401, ""},
		{"HEAD", "HEAD", upgrade, 401, ""},
		{"of another site", "GET", append([]string{"Origin", "https://evil.example"}, upgrade...), 403, ""},
		{"cross-site", "GET", append([]string{"Sec-Fetch-Site", "cross-site"}, upgrade...), 403, ""},
	}
	for _, tt := range tests {
		resp, body := a.send(t, tt.method, "/ws", tt.headers...)
		if resp.StatusCode != tt.want || tt.want == 200 && body != tt.who {
			t.Errorf("%s: got status %d, %q, want %d, %q", tt.name, resp.StatusCode, body, tt.want, tt.who)
		}
	}
	if resp, _ := a.send(t, "GET", "/read/1", upgrade...); resp.StatusCode != 401 {
		t.Errorf("got status %d for an upgrade of another route, want 401", resp.StatusCode)
	}
	open := newTestApp(t, access.Config{Open: true}, false)
	if resp, body := open.send(t, "GET", "/ws", upgrade...); resp.StatusCode != 200 || body != "anonymous" {
		t.Errorf("open mode: got status %d, %q, want 200, everybody", resp.StatusCode, body)
	}
}

func TestHeadersOfAnswers(t *testing.T) {
	t.Parallel()
	a := newTestApp(t, access.Config{HSTS: true}, false)
	want := map[string]string{
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
		"Vary": "Origin", "Strict-Transport-Security": "", "Access-Control-Allow-Origin": "",
	}
	for _, path := range []string{"/public", "/read/1", "/unknown"} {
		resp, _ := a.send(t, "GET", path)
		for name, value := range want {
			if got := resp.Header.Get(name); got != value {
				t.Errorf("%s: got %s %q, want %q", path, name, got, value)
			}
		}
		if got := resp.Header.Get("Content-Security-Policy"); !strings.Contains(got, "default-src 'none'") || !strings.Contains(got, "frame-ancestors 'none'") {
			t.Errorf("%s: got policy %q", path, got)
		}
	}
	for id, kept := range map[string]bool{"abc-1": true, "a b": false, "a;b": false, strings.Repeat("x", 200): false, "": false} {
		resp, _ := a.send(t, "GET", "/public", "X-Request-ID", id, "X-Correlation-ID", id)
		if got := resp.Header.Get("X-Request-ID"); got == "" || (got == id) != kept {
			t.Errorf("%q: got request id %q, want it kept: %t", id, got, kept)
		}
		if got := resp.Header.Get("X-Correlation-ID"); (got == id) != kept && id != "" {
			t.Errorf("%q: got correlation id %q, want it kept: %t", id, got, kept)
		}
	}
}

func TestOtherOrigins(t *testing.T) {
	t.Parallel()
	const friend = "https://friend.example"
	a := newTestApp(t, access.Config{Origins: friend}, false)
	for _, origin := range []string{friend, "https://evil.example", "null", "HTTPS://FRIEND.EXAMPLE", friend + ":443", "http://friend.example"} {
		allowed := ""
		if origin == friend {
			allowed = friend
		}
		for _, method := range []string{"GET", "OPTIONS"} {
			headers := []string{"Origin", origin}
			status := 200
			if method == "OPTIONS" {
				headers, status = append(headers, "Access-Control-Request-Method", "POST"), 204
			}
			resp, _ := a.send(t, method, "/public", headers...)
			if got := resp.Header.Get("Access-Control-Allow-Origin"); got != allowed || resp.StatusCode != status {
				t.Errorf("%s from %s: got status %d, allowed origin %q, want %d, %q", method, origin, resp.StatusCode, got, status, allowed)
			}
			if got := resp.Header.Get("Access-Control-Allow-Methods"); (got != "") != (allowed != "" && method == "OPTIONS") {
				t.Errorf("%s from %s: got allowed methods %q", method, origin, got)
			}
			if resp.Header.Get("Access-Control-Allow-Credentials") != "" || resp.Header.Get("Vary") != "Origin" {
				t.Errorf("%s from %s: got headers %v", method, origin, resp.Header)
			}
		}
		want := 403
		if origin == friend {
			want = 200
		}
		resp, _ := a.send(t, "POST", "/ingest", "Origin", origin, "Authorization", "Bearer "+a.tokens["ingest"])
		if resp.StatusCode != want {
			t.Errorf("POST from %s: got status %d, want %d", origin, resp.StatusCode, want)
		}
	}
	off := newTestApp(t, access.Config{Origins: friend, NoCORS: true}, false)
	if resp, _ := off.send(t, "GET", "/public", "Origin", friend); resp.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("enable-cors=false lets an origin read")
	}
}

func TestOtherNamesOnLoopback(t *testing.T) {
	t.Parallel()
	a := newTestApp(t, access.Config{Open: true}, true)
	for host, want := range map[string]int{"localhost:8080": 200, "[::1]:8080": 200, "evil.example": 421, "127.0.0.1.evil.example:8080": 421} {
		if resp, _ := a.send(t, "GET", "/read/1", "Host", host); resp.StatusCode != want {
			t.Errorf("%s: got status %d, want %d", host, resp.StatusCode, want)
		}
	}
}

func TestTooManyFailedLogins(t *testing.T) {
	t.Parallel()
	a := newTestApp(t, access.Config{LoginRate: 2}, false)
	var resp *http.Response
	for range 3 {
		resp, _ = a.send(t, "GET", "/read/1", "Authorization", "Bearer tp_bad")
	}
	seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if resp.StatusCode != 429 || err != nil || seconds < 1 || seconds > 60 {
		t.Errorf("got status %d, Retry-After %q, want 429 with 1 to 60 s", resp.StatusCode, resp.Header.Get("Retry-After"))
	}
	if resp, _ := a.send(t, "GET", "/read/1", "Authorization", "Bearer "+a.tokens["read"]); resp.StatusCode != 200 {
		t.Errorf("got status %d for a good token, want 200", resp.StatusCode)
	}
}

// TestLocalCallers uses a real connection, whose peer is this machine.
func TestLocalCallers(t *testing.T) {
	t.Parallel()
	a := newTestApp(t, access.Config{}, false)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- a.app.Listener(ln) }()
	t.Cleanup(func() {
		if err := errors.Join(a.app.Shutdown(), <-served); err != nil {
			t.Error(err)
		}
	})
	tests := []struct {
		host, header string
		want         int
	}{
		{"", "", 200}, {"evil.example", "", 401}, {"", "X-Forwarded-For", 401}, {"", "Forwarded", 401},
		{"", "Via", 401}, {"", "X-Real-IP", 401}, {"", "X-Forwarded-Proto", 401},
	}
	for _, tt := range tests {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+ln.Addr().String()+"/debug", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = tt.host
		if tt.header != "" {
			r.Header.Set(tt.header, "127.0.0.1")
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != tt.want {
			t.Errorf("host %q, header %q: got status %d, want %d", tt.host, tt.header, resp.StatusCode, tt.want)
		}
	}
}
