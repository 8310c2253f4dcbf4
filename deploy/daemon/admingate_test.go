package daemon

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"telemetry-pipeline/events/access"
	"telemetry-pipeline/events/listen"
)

// lockedLog is a log that is read while it is written.
type lockedLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// guardedAdmin is an admin listener with a token per role and one of an admin of some hosts, which logs everything.
type guardedAdmin struct {
	*admin
	addr   string
	tokens map[string]string // by principal
	log    lockedLog
}

// newAdmin opens an admin listener; in open mode unless asked is set. The handler sees callers of other machines, since
// requests go to it without a connection.
func newAdmin(t *testing.T, host string, asked bool, who access.Config) *guardedAdmin {
	t.Helper()
	g := &guardedAdmin{tokens: map[string]string{}}
	if asked {
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
			g.tokens[id] = token
			lines = append(lines, line)
		}
		who.File = filepath.Join(t.TempDir(), "principals")
		if err := os.WriteFile(who.File, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := logConfig{level: slog.LevelDebug}
	lg := c.newLogger(&g.log)
	in, err := OpenEntrance(who, listen.TLSConfig{}, "", lg)
	if err != nil {
		t.Fatal(err)
	}
	if g.admin, err = openAdmin(t.Context(), config{adminHost: host}, in, lg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.closeListener(); err != nil {
			t.Error(err)
		}
		for role, token := range g.tokens {
			if strings.Contains(g.log.String(), token) {
				t.Errorf("the log shows the token of %s:\n%s", role, &g.log)
			}
		}
	})
	_, rest, _ := strings.Cut(g.log.String(), `"addr":"`)
	g.addr, _, _ = strings.Cut(rest, `"`)
	return g
}

// from sends a request of a peer to the handler; headers are pairs.
func (g *guardedAdmin) from(peer, method, path string, headers ...string) *http.Response {
	r := httptest.NewRequest(method, path, nil)
	r.RemoteAddr, r.Host = peer+":1234", "localhost:9090"
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		r.Header.Add(headers[i], headers[i+1])
	}
	ctx, cancel := context.WithCancel(r.Context())
	cancel() // profiles and traces end at once
	w := httptest.NewRecorder()
	g.server.Handler.ServeHTTP(w, r.WithContext(ctx))
	return w.Result()
}

const remote = "192.0.2.1" // a peer on another machine

func TestEveryAdminRouteHasItsRight(t *testing.T) {
	g := newAdmin(t, "127.0.0.1", true, access.Config{})
	want := map[string]access.Right{
		"/health": access.Public, "/ready": access.Public, "/metrics": access.Monitor, "/api/v1/status": access.Operate, "/debug/pprof/": access.Debug,
	}
	for _, route := range g.routes() {
		_, path, _ := strings.Cut(route.pattern, " ")
		if strings.HasPrefix(path, "/debug/pprof/") {
			path = "/debug/pprof/"
		}
		if need, known := want[path]; !known || route.need != need {
			t.Errorf("%s needs %s, want %s", route.pattern, route.need, need)
		}
	}
}

func TestRolesAndAdminRoutes(t *testing.T) {
	may := map[access.Right]string{
		access.Public: "nobody read ingest admin", access.Monitor: "read ingest admin", access.Operate: "admin", access.Debug: "admin",
	}
	g := newAdmin(t, "127.0.0.1", true, access.Config{LoginRate: 1e6})
	for _, route := range g.routes() {
		method, path, _ := strings.Cut(route.pattern, " ")
		for _, role := range []string{"nobody", "read", "ingest", "admin", "some", "wrong"} {
			var headers []string
			want := http.StatusUnauthorized
			if role != "nobody" {
				headers = []string{"Authorization", "Bearer tp_wrong" + g.tokens[role]}
			}
			if token := g.tokens[role]; token != "" {
				headers[1], want = "Bearer "+token, http.StatusForbidden
			}
			allowed := strings.Contains(may[route.need], role) || route.need == access.Public
			for _, method := range []string{method, "HEAD"} {
				if method == "HEAD" && !strings.HasPrefix(route.pattern, "GET") || allowed && strings.Contains(path, "pprof/") && path != "/debug/pprof/cmdline" {
					continue // profiles take their time
				}
				resp := g.from(remote, method, path, headers...)
				if refused := resp.StatusCode == 401 || resp.StatusCode == 403; refused == allowed || refused && resp.StatusCode != want {
					t.Errorf("%s %s by %s: got %d, allowed %t", method, path, role, resp.StatusCode, allowed)
				}
				if got := resp.Header.Get("WWW-Authenticate"); (got != "") != (resp.StatusCode == 401) {
					t.Errorf("%s %s by %s: got WWW-Authenticate %q with %d", method, path, role, got, resp.StatusCode)
				}
			}
		}
	}
	open := newAdmin(t, "127.0.0.1", false, access.Config{})
	for path, want := range map[string]int{"/metrics": 200, "/api/v1/status": 200, "/health": 200, "/debug/pprof/cmdline": 200} {
		if resp := open.from("127.0.0.1", "GET", path); resp.StatusCode != want {
			t.Errorf("open mode: %s: got %d, want %d", path, resp.StatusCode, want)
		}
	}
	byWord := newAdmin(t, "0.0.0.0", false, access.Config{Open: true})
	for path, want := range map[string]int{"/metrics": 200, "/api/v1/status": 200, "/debug/pprof/cmdline": 403} {
		if resp := byWord.from(remote, "GET", path, "Host", "pod.example:9090"); resp.StatusCode != want {
			t.Errorf("open by word: %s from another machine: got %d, want %d", path, resp.StatusCode, want)
		}
	}
}

// TestProfilesAreForLocalProgramsAndAdmins: neither a proxy on this machine nor a page in a browser on it counts as local.
func TestProfilesAreForLocalProgramsAndAdmins(t *testing.T) {
	for _, asked := range []bool{true, false} {
		g := newAdmin(t, "0.0.0.0", asked, access.Config{Open: !asked, LoginRate: 1e6})
		for name, tt := range map[string]struct {
			peer    string
			headers []string
			may     bool
		}{
			"local":                       {"127.0.0.1", nil, true},
			"local, version 6":            {"[::1]", nil, true},
			"another machine":             {remote, nil, false},
			"another machine, own name":   {remote, []string{"Host", "127.0.0.1"}, false},
			"spoofed address":             {remote, []string{"X-Forwarded-For", "127.0.0.1"}, false},
			"proxy":                       {"127.0.0.1", []string{"X-Forwarded-For", "192.0.2.7"}, false},
			"proxy, spoofed":              {"127.0.0.1", []string{"X-Forwarded-For", "127.0.0.1"}, false},
			"empty header before proxy's": {"127.0.0.1", []string{"X-Forwarded-For", "", "X-Forwarded-For", "192.0.2.7"}, false},
			"Forwarded":                   {"127.0.0.1", []string{"Forwarded", "for=192.0.2.7"}, false},
			"Via":                         {"127.0.0.1", []string{"Via", "1.1 proxy"}, false},
			"X-Real-IP":                   {"127.0.0.1", []string{"X-Real-IP", "192.0.2.7"}, false},
			"X-Forwarded-Proto":           {"127.0.0.1", []string{"X-Forwarded-Proto", "https"}, false},
			"X-Forwarded-Host":            {"127.0.0.1", []string{"X-Forwarded-Host", "x"}, false},
			"rebound name":                {"127.0.0.1", []string{"Host", "evil.example"}, false},
			"page of another site":        {"127.0.0.1", []string{"Sec-Fetch-Site", "cross-site"}, false},
		} {
			resp := g.from(tt.peer, "GET", "/debug/pprof/cmdline", tt.headers...)
			if (resp.StatusCode == 200) != tt.may {
				t.Errorf("asked %t, %s: got %d, want it allowed: %t", asked, name, resp.StatusCode, tt.may)
			}
		}
	}
}

func TestPagesOfOtherSitesReachNoAdminRoute(t *testing.T) {
	for _, asked := range []bool{true, false} {
		g := newAdmin(t, "127.0.0.1", asked, access.Config{LoginRate: 1e6})
		credentials := []string{"Authorization", "Bearer " + g.tokens["admin"]}
		for name, headers := range map[string][]string{
			"foreign origin": {"Origin", "https://evil.example"}, "null": {"Origin", "null"}, "another port": {"Origin", "http://localhost:1"},
			"cross-site": {"Sec-Fetch-Site", "cross-site"}, "same-site": {"Sec-Fetch-Site", "same-site"},
		} {
			for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "TRACE"} {
				for _, path := range []string{"/debug/pprof/symbol", "/api/v1/status", "/none"} {
					if resp := g.from("127.0.0.1", method, path, append(headers, credentials...)...); resp.StatusCode != 403 {
						t.Errorf("asked %t, %s: %s %s: got %d, want 403", asked, name, method, path, resp.StatusCode)
					}
				}
			}
		}
		for _, host := range []string{"evil.example", "evil.example:9090", "localhost.evil.example", "127.0.0.1.evil.example", "192.0.2.1", "0.0.0.0:9090"} {
			for _, route := range g.routes() {
				method, path, _ := strings.Cut(route.pattern, " ")
				if resp := g.from("127.0.0.1", method, path, append([]string{"Host", host}, credentials...)...); resp.StatusCode != 421 {
					t.Errorf("asked %t, %s: %s: got %d, want 421", asked, host, path, resp.StatusCode)
				}
			}
		}
	}
}

func TestEveryAdminAnswerHasTheSecurityHeaders(t *testing.T) {
	g := newAdmin(t, "127.0.0.1", true, access.Config{LoginRate: 1e6})
	paths := []string{"/none", "/", "/debug", "//evil.example/..", "/debug/pprof/none", "/metrics/../health"}
	for _, route := range g.routes() {
		_, path, _ := strings.Cut(route.pattern, " ")
		paths = append(paths, path)
	}
	for _, path := range paths {
		for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS", "DELETE"} {
			for _, more := range [][]string{nil, {"Authorization", "Bearer " + g.tokens["ingest"]}, {"Origin", "https://evil.example", "Access-Control-Request-Method", "POST"}, {"Host", "evil.example"}} {
				resp := g.from(remote, method, path, more...)
				for name, want := range map[string]string{
					"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
					"Cross-Origin-Resource-Policy": "same-origin", "Content-Security-Policy": "default-src 'none'",
				} {
					if got := resp.Header.Get(name); !strings.Contains(got, want) {
						t.Errorf("%s %s %v: got status %d, %s %q, want %q", method, path, more, resp.StatusCode, name, got, want)
					}
				}
				for name := range resp.Header {
					if strings.HasPrefix(name, "Access-Control-") {
						t.Errorf("%s %s %v: got %s", method, path, more, name)
					}
				}
				if location := resp.Header.Get("Location"); location != "" && (!strings.HasPrefix(location, "/") || strings.HasPrefix(location, "//")) {
					t.Errorf("%s %s: redirects to %s", method, path, location)
				}
			}
		}
	}
}

// raw sends bytes to the listener and returns all answers.
func (g *guardedAdmin) raw(t *testing.T, request string) (statuses []int, headers []http.Header, text string) {
	t.Helper()
	conn, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	var all bytes.Buffer
	in := bufio.NewReader(io.TeeReader(conn, &all))
	for {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return statuses, headers, all.String()
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		statuses, headers = append(statuses, resp.StatusCode), append(headers, resp.Header)
		_ = conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	}
}

func TestAdminListenerReadsNoSmuggledRequest(t *testing.T) {
	g := newAdmin(t, "127.0.0.1", true, access.Config{})
	const hidden = "GET /hidden HTTP/1.1\r\nHost: localhost\r\n\r\n"
	length := fmt.Sprint("Content-Length: ", len(hidden)+5)
	post := func(headers, body string) string {
		return "POST /debug/pprof/symbol HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n\r\n" + body
	}
	for name, request := range map[string]string{
		"CL.TE":             post(length+"\r\nTransfer-Encoding: chunked", "0\r\n\r\n"+hidden),
		"two lengths":       post("Content-Length: 0\r\n"+length, "12345"+hidden),
		"list of lengths":   post("Content-Length: 0, 5", "12345"+hidden),
		"signed length":     post("Content-Length: +0", hidden),
		"TE with a space":   post(length+"\r\nTransfer-Encoding : chunked", "0\r\n\r\n"+hidden),
		"unknown TE":        post(length+"\r\nTransfer-Encoding: xchunked", "0\r\n\r\n"+hidden),
		"TE twice":          post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "0\r\n\r\n"+hidden),
		"CR in a value":     post(length+"\r\nX-A: b\rTransfer-Encoding: chunked", "0\r\n\r\n"+hidden),
		"folded":            post(length+"\r\nX-A: b\r\n Transfer-Encoding: chunked", "0\r\n\r\n"+hidden),
		"bad chunk size":    post("Transfer-Encoding: chunked", "0x0\r\n\r\n"+hidden),
		"two hosts":         "GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
		"NUL in a name":     "GET /health HTTP/1.1\r\nHost: localhost\r\nX\x00: y\r\n\r\n",
		"body of a GET":     "GET /health HTTP/1.1\r\nHost: localhost\r\n" + length + "\r\n\r\n12345" + hidden,
		"preface of HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		statuses, _, _ := g.raw(t, request)
		if len(statuses) > 1 {
			t.Errorf("%s: got %v, want one answer", name, statuses)
		}
	}
}

func TestAdminRequestsAreBounded(t *testing.T) {
	g := newAdmin(t, "127.0.0.1", true, access.Config{})
	token := g.tokens["admin"]
	for name, tt := range map[string]struct {
		request string
		status  int
	}{
		"long header": {"GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: " + strings.Repeat("x", 24<<10) + "\r\n\r\n", 431},
		"long body":   {"POST /debug/pprof/symbol HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 70000\r\n\r\n" + strings.Repeat("x", 70000), 200},
		"bad line":    {"GET\r\nAuthorization: Bearer " + token + "\r\n\r\n", 400},
		"no colon":    {"GET /health HTTP/1.1\r\nHost: localhost\r\nAuthorization Bearer " + token + "\r\n\r\n", 400},
	} {
		statuses, _, text := g.raw(t, tt.request)
		if len(statuses) != 1 || statuses[0] != tt.status || strings.Contains(text, token) {
			t.Errorf("%s: got %v, want %d: %.300s", name, statuses, tt.status, text)
		}
	}
	read := make(chan int, 1)
	echo := g.shield(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err == nil {
			n = -1
		}
		read <- int(n)
	}))
	r := httptest.NewRequest("POST", "/x", strings.NewReader(strings.Repeat("x", maxAdminBody+1)))
	r.Host = "localhost"
	echo.ServeHTTP(httptest.NewRecorder(), r)
	if n := <-read; n != maxAdminBody {
		t.Errorf("a handler reads %d bytes of a body, want %d and an error", n, maxAdminBody)
	}
}

func TestEchoedAdminValuesAddNoHeader(t *testing.T) {
	g := newAdmin(t, "127.0.0.1", true, access.Config{})
	for name, value := range map[string]string{
		"CR": "a\rInjected: 1", "LF": "a\nInjected: 1", "NUL": "a\x00b", "spaces": "a b", "long": strings.Repeat("a", 129), "quote": `a"b`, "not ASCII": "a\u010ab",
	} {
		statuses, headers, _ := g.raw(t, "GET /health HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: "+value+"\r\nConnection: close\r\n\r\n")
		for _, h := range headers {
			if h.Get("Injected") != "" || h.Get("X-Request-Id") == value {
				t.Errorf("%s: got %v %v", name, statuses, h)
			}
		}
	}
	if strings.Contains(g.log.String(), "\nInjected") {
		t.Errorf("the log has a line of the sender's:\n%s", &g.log)
	}
}

// TestSlowRequestsToTheAdminListenerEnd checks the settings, and that one of them cuts a header that never ends.
func TestSlowRequestsToTheAdminListenerEnd(t *testing.T) {
	t.Parallel()
	g := newAdmin(t, "127.0.0.1", true, access.Config{})
	s := g.server
	if s.ReadHeaderTimeout <= 0 || s.ReadHeaderTimeout > 10*time.Second || s.ReadTimeout <= 0 || s.IdleTimeout <= 0 || s.MaxHeaderBytes != 16<<10 {
		t.Errorf("got timeouts %s, %s, %s, and %d bytes of header", s.ReadHeaderTimeout, s.ReadTimeout, s.IdleTimeout, s.MaxHeaderBytes)
	}
	conn, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET /health HTTP/1.1\r\nHost: localhost\r\n")
	ended := make(chan struct{})
	go func() { // a byte at a time keeps no connection open
		defer close(ended)
		for range 600 {
			if _, err := io.WriteString(conn, "x"); err != nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	}()
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := io.Copy(io.Discard, conn); err != nil && strings.Contains(err.Error(), "timeout") {
		t.Errorf("the connection is open after a minute: %v", err)
	}
	_ = conn.Close()
	<-ended
}

// The cleanup of newAdmin fails the test if the listener does not close in order.
func TestClientsThatStayDoNotMakeAStopFail(t *testing.T) {
	var stays net.Conn
	t.Cleanup(func() { stays.Close() }) // after the listener
	g := newAdmin(t, "127.0.0.1", true, access.Config{})
	var err error
	if stays, err = net.Dial("tcp", g.addr); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(stays, "GET /health HTTP/1.1\r\nHost: localhost\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get("http://" + g.addr + "/health") // accepted after the first one
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}

func TestAdminLogShowsNoToken(t *testing.T) {
	g := newAdmin(t, "127.0.0.1", true, access.Config{LoginRate: 1e6})
	parts := []Part{{Name: "broken", Status: func(context.Context) (any, error) { panic("x") }}}
	g.parts.Store(&parts)
	for _, token := range g.tokens {
		for _, path := range []string{"/health", "/metrics", "/api/v1/status", "/debug/pprof/cmdline", "/none?token=" + token, "/metrics?access_token=" + token} {
			for _, header := range []string{"Authorization: Bearer " + token, "Cookie: token=" + token, "Authorization: " + token} {
				g.raw(t, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\n"+header+"\r\nConnection: close\r\n\r\n")
			}
		}
		g.raw(t, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nAuthorization Bearer "+token+"\r\n\r\n")
		if resp := g.from(remote, "GET", "/metrics?access_token="+token); resp.StatusCode != 401 {
			t.Errorf("a token in the URL: got %d, want 401", resp.StatusCode)
		}
	}
	for _, want := range []string{"panic serving", `"decision":"unauthenticated"`, `"decision":"forbidden"`, `"decision":"allowed"`} {
		if !strings.Contains(g.log.String(), want) {
			t.Errorf("the log does not show %s", want)
		}
	}
}
