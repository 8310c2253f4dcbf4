package query

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events/access"
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

// guarded is a server with a token per role, which logs everything.
type guarded struct {
	*Server
	tokens map[string]string
	log    lockedLog
}

// newGuarded returns a server of principals of all roles, each named by its role.
func newGuarded(t *testing.T, cfg access.Config) *guarded {
	t.Helper()
	g := &guarded{tokens: map[string]string{}}
	var lines []string
	for _, role := range []access.Role{access.RoleRead, access.RoleIngest, access.RoleAdmin} {
		token, line, err := access.NewToken(string(role), []access.Role{role}, access.Everything(), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		g.tokens[string(role)] = token
		lines = append(lines, line)
	}
	cfg.File = filepath.Join(t.TempDir(), "principals")
	if err := os.WriteFile(cfg.File, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	lg := slog.New(slog.NewTextHandler(&g.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	guard, err := access.New(cfg, "", lg)
	if err != nil {
		t.Fatal(err)
	}
	if g.Server, err = New(Config{Host: "127.0.0.1", Port: FreePort, Guard: guard}, empty{}, eventless{}, lg); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *guarded) bearer(role string) []string {
	return []string{"Authorization", "Bearer " + g.tokens[role]}
}

// eachRoute calls visit for each route of the server, with names in the place of parameters.
func (s *Server) eachRoute(visit func(method, path string, need access.Right)) {
	for name, need := range s.routes.Rights() {
		method, path, _ := strings.Cut(name, " ")
		visit(method, strings.NewReplacer(":id", "GPU-1", ":hostname", "h1", ":file", "none.js").Replace(path), need)
	}
}

func TestPagesOfOtherSitesChangeNothing(t *testing.T) {
	g := newGuarded(t, access.Config{Origins: "https://friend.example"})
	open := newServer(t, Config{})
	attacks := map[string][]string{
		"foreign origin": {"Origin", "https://evil.example"}, "null origin": {"Origin", "null"}, "another port": {"Origin", "http://localhost:1"},
		"cross-site": {"Sec-Fetch-Site", "cross-site"}, "same-site": {"Sec-Fetch-Site", "same-site"}, "unknown": {"Sec-Fetch-Site", "x"},
		"own origin, cross-site": {"Origin", "http://localhost", "Sec-Fetch-Site", "cross-site"},
	}
	upgrade := []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}
	unsafe, sockets := 0, 0
	for name, attack := range attacks {
		for mode, s := range map[string]*Server{"open": open, "tokens": g.Server} {
			headers := append(g.bearer("admin"), attack...)
			s.eachRoute(func(method, path string, _ access.Right) {
				if method != "GET" {
					unsafe++
					if got := ask(t, s, method, path, "{}", append(headers, "Content-Type", "application/json")...); got.status != 403 || !strings.Contains(got.body, "cross_site") {
						t.Errorf("%s, %s: %s %s: got %d %s, want 403", mode, name, method, path, got.status, got.body)
					}
				}
				if path == "/ws" || path == "/graphql" && method == "GET" {
					sockets++
					if got := ask(t, s, method, path, "", append(headers, upgrade...)...); got.status != 403 || !strings.Contains(got.body, "cross_site") {
						t.Errorf("%s, %s: socket %s: got %d %s, want 403", mode, name, path, got.status, got.body)
					}
				}
			})
			for _, method := range []string{"PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "PROPFIND"} { // routes of tomorrow
				if got := ask(t, s, method, "/api/v1/quarantine/retry", "", headers...); got.status < 400 {
					t.Errorf("%s, %s: %s: got %d, want a refusal", mode, name, method, got.status)
				}
			}
		}
	}
	if unsafe < 2*2*len(attacks) || sockets < 2*2*len(attacks) {
		t.Errorf("%d requests changed something, %d opened sockets; want at least retry and GraphQL, and two sockets, of each", unsafe, sockets)
	}
	for name, headers := range map[string][]string{
		"no browser": nil, "own page": {"Origin", "http://localhost", "Sec-Fetch-Site", "same-origin"}, "typed": {"Sec-Fetch-Site", "none"},
		"friend": {"Origin", "https://friend.example", "Sec-Fetch-Site", "cross-site"},
	} {
		if got := ask(t, g.Server, "POST", "/api/v1/quarantine/retry", "", append(headers, g.bearer("admin")...)...); got.status != 202 {
			t.Errorf("%s: got %d %s, want 202", name, got.status, got.body)
		}
	}
}

// TestSimpleRequestsExecuteNoGraphQL: browsers send these content types for any page without asking before.
func TestSimpleRequestsExecuteNoGraphQL(t *testing.T) {
	s := newServer(t, Config{})
	engine := &fixedExecutor{}
	s.graph = engine
	for _, kind := range []string{"text/plain", "text/plain;application/json", "application/x-www-form-urlencoded", "", "application/graphql"} {
		for _, target := range []string{"/graphql", "/graphql?query={__typename}"} {
			if got := ask(t, s, "POST", target, `{"query":"{__typename}"}`, "Content-Type", kind); got.status != 415 {
				t.Errorf("%q to %s: got %d %s, want 415", kind, target, got.status, got.body)
			}
		}
	}
	form := "--x\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\n{__typename}\r\n--x--\r\n"
	if got := ask(t, s, "POST", "/graphql", form, "Content-Type", "multipart/form-data; boundary=x"); got.status != 415 {
		t.Errorf("a form: got %d %s, want 415", got.status, got.body)
	}
	if engine.got.Query != "" {
		t.Errorf("executed %q", engine.got.Query)
	}
}

func TestOtherNamesOfThisMachineAreRefused(t *testing.T) {
	for host, want := range map[string]int{
		"localhost": 200, "localhost:8080": 200, "LOCALHOST": 200, "127.0.0.1:8080": 200, "[::1]:8080": 200, "dash.example:8080": 200,
		"evil.example": 421, "evil.example:8080": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example": 421, "192.0.2.1": 421, "0.0.0.0": 421,
	} {
		s := newServer(t, Config{Guard: newGuard(t, access.Config{Hosts: "dash.example"})})
		s.eachRoute(func(method, path string, _ access.Right) {
			if want == 200 && path != "/health" {
				return
			}
			for _, method := range []string{method, "HEAD", "OPTIONS"} {
				if method == "OPTIONS" && want == 200 {
					continue
				}
				if got := askHost(t, s, host, method, path); got.status != want {
					t.Errorf("%s: %s %s: got %d, want %d", host, method, path, got.status, want)
				}
			}
		})
	}
}

// askHost sends a request for a name.
func askHost(t *testing.T, s *Server, host, method, path string) answer {
	t.Helper()
	target, err := url.Parse(path)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.app.Test(&http.Request{Method: method, Host: host, URL: target, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}}, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return answer{status: resp.StatusCode, header: resp.Header}
}

// securityHeaders are in every answer.
func securityHeaders() map[string]string {
	return map[string]string{
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
		"Cross-Origin-Resource-Policy": "same-origin", "Content-Security-Policy": "frame-ancestors 'none'",
	}
}

// checkHeaders fails the test unless an answer has the security headers and lets no other origin read it.
func checkHeaders(t *testing.T, what string, header http.Header) {
	t.Helper()
	for name, value := range securityHeaders() {
		if got := header.Get(name); !strings.Contains(got, value) {
			t.Errorf("%s: got %s %q, want %q", what, name, got, value)
		}
	}
	if header.Get("X-Request-Id") == "" {
		t.Errorf("%s: no request id", what)
	}
	for name := range header {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("%s: got %s %q", what, name, header.Get(name))
		}
	}
}

func TestEveryAnswerHasTheSecurityHeaders(t *testing.T) {
	g := newGuarded(t, access.Config{})
	g.routes.Get(access.Public, "/panics", func(*fiber.Ctx) error { panic("x") })
	for _, credentials := range [][]string{nil, g.bearer("ingest"), g.bearer("admin")} {
		g.eachRoute(func(method, path string, _ access.Right) {
			for _, method := range []string{method, "HEAD", "OPTIONS", "DELETE", "PATCH"} {
				for _, more := range [][]string{nil, {"Content-Encoding", "gzip"}, {"Accept-Encoding", "gzip"}, {"Accept", "image/png"}, {"Origin", "https://evil.example"}, {"Origin", "https://evil.example", "Access-Control-Request-Method", "POST"}} {
					got := ask(t, g.Server, method, path, "", append(more, credentials...)...)
					checkHeaders(t, fmt.Sprint(method, " ", path, " ", more, " ", got.status), got.header)
					if location := got.header.Get("Location"); location != "" {
						t.Errorf("%s %s: redirects to %s", method, path, location)
					}
				}
			}
		})
	}
	base, _ := startServer(t, g.Server)
	for _, path := range []string{"/none", "//evil.example", "//evil.example/%2e%2e", "/\\evil.example", "/api/v1/gpus/..%2f..", "/%00"} {
		answers, _ := raw(t, base, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
		for _, got := range answers {
			checkHeaders(t, path, got.Header)
			if location := got.Header.Get("Location"); location != "" || len(answers) != 1 || got.StatusCode < 400 {
				t.Errorf("%s: got status %d, redirects to %q", path, got.StatusCode, location)
			}
		}
	}
}

// raw sends bytes and returns all answers, until the server closes the connection or is silent for a moment.
func raw(t *testing.T, base, request string) (answers []*http.Response, closed bool) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(request, " ")
	in := bufio.NewReader(conn)
	for {
		_ = conn.SetReadDeadline(time.Now().Add(quiet))
		if len(answers) == 0 {
			_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
		}
		resp, err := http.ReadResponse(in, &http.Request{Method: method})
		if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
			return answers, false
		}
		if err != nil {
			return answers, true
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body = io.NopCloser(bytes.NewReader(body))
		answers = append(answers, resp)
	}
}

// quiet is how long a connection without another answer counts as silent.
const quiet = 300 * time.Millisecond

// TestNoRequestIsSmuggled sends requests that a proxy in front may read in another way, with a second request hidden in the body.
// They are refused, and nothing behind them is read. The body of a GET everybody reads the same.
func TestNoRequestIsSmuggled(t *testing.T) {
	base, _ := startServer(t, newServer(t, Config{Host: "127.0.0.1", Port: FreePort}))
	const hidden = "GET /hidden HTTP/1.1\r\nHost: localhost\r\n\r\n"
	post := func(headers, body string) string {
		return "POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + headers + "\r\n\r\n" + body
	}
	length := fmt.Sprint("Content-Length: ", len(hidden)+5)
	for name, request := range map[string]string{
		"CL.TE":                  post(length+"\r\nTransfer-Encoding: chunked", "0\r\n\r\n"+hidden),
		"TE.CL":                  post("Content-Length: 4\r\nTransfer-Encoding: chunked", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden)),
		"two lengths":            post("Content-Length: 0\r\n"+length, "12345"+hidden),
		"two lengths, reversed":  post(length+"\r\nContent-Length: 0", "12345"+hidden),
		"list of lengths":        post("Content-Length: 0, 5", "12345"+hidden),
		"negative length":        post("Content-Length: -1", hidden),
		"signed length":          post("Content-Length: +0", hidden),
		"hexadecimal length":     post("Content-Length: 0x0", hidden),
		"TE by a tab":            post(length+"\r\nTransfer-Encoding:\tchunked", "0\r\n\r\n"+hidden),
		"TE with a space before": post(length+"\r\nTransfer-Encoding : chunked", "0\r\n\r\n"+hidden),
		"unknown TE":             post(length+"\r\nTransfer-Encoding: xchunked", "0\r\n\r\n"+hidden),
		"TE twice":               post(length+"\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity", "0\r\n\r\n"+hidden),
		"TE not last":            post(length+"\r\nTransfer-Encoding: chunked, identity", "0\r\n\r\n"+hidden),
		"folded TE":              post(length+"\r\nTransfer-Encoding:\r\n chunked", "0\r\n\r\n"+hidden),
		"folded header":          post(length+"\r\nX-A: b\r\n Transfer-Encoding: chunked", "0\r\n\r\n"+hidden),
		"NUL in a name":          post(length+"\r\nTransfer-Encoding\x00: chunked", "0\r\n\r\n"+hidden),
		"CR in a value":          post(length+"\r\nX-A: b\rTransfer-Encoding: chunked", "0\r\n\r\n"+hidden),
		"bad chunk size":         post("Transfer-Encoding: chunked", "0x0\r\n\r\n"+hidden),
		"huge chunk size":        post("Transfer-Encoding: chunked", "ffffffffffffffff0\r\n\r\n"+hidden),
		"chunk by bare LF":       post("Transfer-Encoding: chunked", "0\n\n"+hidden),
		"chunk without an end":   post("Transfer-Encoding: chunked", "1\r\nxx0\r\n\r\n"+hidden),
		"body of a GET":          "GET /health HTTP/1.1\r\nHost: localhost\r\n" + length + "\r\n\r\n12345" + hidden,
		"TE of HTTP/1.0":         strings.Replace(post(length+"\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive", "0\r\n\r\n"+hidden), "HTTP/1.1", "HTTP/1.0", 1),
	} {
		answers, closed := raw(t, base, request)
		statuses := []int{}
		for _, a := range answers {
			statuses = append(statuses, a.StatusCode)
		}
		clear := name == "body of a GET"
		if len(answers) != 1 || !clear && (answers[0].StatusCode != 400 || !closed) {
			t.Errorf("%s: got %v, closed %t; want 400 and the end of the connection", name, statuses, closed)
		}
	}
}

func TestUnreadableRequestsAreRefusedWithTheHeaders(t *testing.T) {
	g := newGuarded(t, access.Config{})
	base, _ := startServer(t, g.Server)
	token := g.tokens["admin"]
	for name, tt := range map[string]struct {
		request string
		status  int
	}{
		"long header":   {"GET /health HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + token + "\r\nX-A: " + strings.Repeat("x", 17<<10) + "\r\n\r\n", 431},
		"long path":     {"GET /health?token=" + token + strings.Repeat("x", 17<<10) + " HTTP/1.1\r\nHost: localhost\r\n\r\n", 431},
		"long body":     {"POST /api/v1/quarantine/retry HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048577\r\n\r\n", 413},
		"bad line":      {"GET\r\nAuthorization: Bearer " + token + "\r\n\r\n", 400},
		"bad length":    {"POST /graphql HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + token + "\r\nContent-Length: x\r\n\r\n", 400},
		"no colon":      {"GET /health HTTP/1.1\r\nHost: localhost\r\nAuthorization Bearer " + token + "\r\n\r\n", 400},
		"NUL in a name": {"GET /health HTTP/1.1\r\nHost: localhost\r\nX\x00: y\r\n\r\n", 400},
	} {
		answers, closed := raw(t, base, tt.request)
		if len(answers) != 1 || answers[0].StatusCode != tt.status || !closed {
			t.Errorf("%s: got %d answers, closed %t, want one with status %d", name, len(answers), closed, tt.status)
			continue
		}
		checkHeaders(t, name, answers[0].Header)
		if body, _ := io.ReadAll(answers[0].Body); strings.Contains(string(body), token) {
			t.Errorf("%s: the answer shows the token: %s", name, body)
		}
	}
	if strings.Contains(g.log.String(), token) {
		t.Errorf("the log shows the token:\n%s", &g.log)
	}
}

// TestEchoedValuesAddNoHeader sends values that would be a header of their own, or a line of the log, where they are echoed.
func TestEchoedValuesAddNoHeader(t *testing.T) {
	g := newGuarded(t, access.Config{})
	base, _ := startServer(t, g.Server)
	for name, value := range map[string]string{
		"CR": "a\rInjected: 1", "LF": "a\nInjected: 1", "fold": "a\r\n Injected: 1", "NUL": "a\x00Injected: 1", "spaces": "a Injected: 1", "long": strings.Repeat("a", 129),
		"quote": `a"b`, "markup": "<script>", "encoded": "a%0d%0aInjected: 1", "not ASCII": "a\u010aInjected", "bytes": "a\xff\xfe",
	} {
		for _, header := range []string{"X-Request-ID", "X-Correlation-ID", "Origin", "Accept", "Cookie"} {
			answers, _ := raw(t, base, "GET /health HTTP/1.1\r\nHost: localhost\r\n"+header+": "+value+"\r\nConnection: close\r\n\r\n")
			for _, a := range answers {
				if a.Header.Get("Injected") != "" {
					t.Errorf("%s in %s: answered with a header of the sender's: %v", name, header, a.Header)
				}
				if strings.HasPrefix(header, "X-") && a.Header.Get(header) == value {
					t.Errorf("%s in %s: it is echoed", name, header)
				}
			}
			if len(answers) > 1 {
				t.Errorf("%s in %s: got %d answers", name, header, len(answers))
			}
		}
	}
	for _, path := range []string{"/api/v1/gpus/%0d%0aInjected:%201", "/%0d%0aInjected:%201", "/docs/%0d%0aInjected:%201", "/api/v1/telemetry?cursor=%0d%0aInjected:%201", "/api/v1/gpus?limit=%0d%0aInjected:%201"} {
		answers, _ := raw(t, base, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "+g.tokens["read"]+"\r\nConnection: close\r\n\r\n")
		if len(answers) != 1 || answers[0].Header.Get("Injected") != "" || !strings.HasPrefix(answers[0].Header.Get("Content-Type"), "application/json") {
			t.Errorf("%s: got answers %v", path, answers)
		}
	}
	if strings.Contains(g.log.String(), "\nInjected") {
		t.Errorf("the log has a line of the sender's:\n%s", &g.log)
	}
}

// TestTokensAreTakenFromTheirHeaderOnly puts tokens where logs of proxies and browsers keep them.
func TestTokensAreTakenFromTheirHeaderOnly(t *testing.T) {
	g := newGuarded(t, access.Config{LoginRate: 1e6})
	token := g.tokens["admin"]
	for _, query := range []string{"access_token=" + token, "token=" + token, "authorization=Bearer%20" + token, "api_key=" + token} {
		if got := ask(t, g.Server, "GET", "/api/v1/gpus?"+query, ""); got.status != 401 {
			t.Errorf("?%s: got %d, want 401", query, got.status)
		}
	}
	for name, headers := range map[string][]string{
		"cookie": {"Cookie", "token=" + token}, "basic": {"Authorization", "Basic " + token}, "bare": {"Authorization", token}, "own header": {"X-Api-Key", token},
		"proxy": {"Proxy-Authorization", "Bearer " + token}, "subprotocol": {"Sec-WebSocket-Protocol", "gpu.live.v1, " + token},
	} {
		if got := ask(t, g.Server, "GET", "/api/v1/gpus", "", headers...); got.status != 401 {
			t.Errorf("%s: got %d, want 401", name, got.status)
		}
	}
	if got := ask(t, g.Server, "POST", "/api/v1/quarantine/retry", "access_token="+token, "Content-Type", "application/x-www-form-urlencoded"); got.status != 401 {
		t.Errorf("in a form: got %d, want 401", got.status)
	}
}

// TestLogsShowNoTokens sends good and bad tokens everywhere, to errors and panics too.
func TestLogsShowNoTokens(t *testing.T) {
	g := newGuarded(t, access.Config{LoginRate: 1e6})
	g.routes.Get(access.Read, "/panics/:id", func(c *fiber.Ctx) error { panic("x") })
	g.routes.Get(access.Read, "/fails/:id", func(c *fiber.Ctx) error { return errors.New("x") })
	base, stop := startServer(t, g.Server)
	bad := "tp_badtokenofthistest0123456789"
	tokens := []string{g.tokens["read"], g.tokens["ingest"], g.tokens["admin"], bad, "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.bad"}
	for _, token := range tokens {
		g.eachRoute(func(method, path string, _ access.Right) {
			for _, target := range []string{path, path + "?access_token=" + token + "&limit=x&step=x"} {
				got := ask(t, g.Server, method, target, `{"query":"{"}`, "Authorization", "Bearer "+token, "Content-Type", "application/json", "Cookie", "token="+token)
				if strings.Contains(got.body, token) && !strings.Contains(target, token) {
					t.Errorf("%s %s: the answer shows the token: %s", method, target, got.body)
				}
			}
		})
		socket := dialSocket(t, base, "/ws?token="+token, "gpu.live.v1")
		writeText(t, socket, `{"op":"auth","token":"`+token+`"}`)
		_, _, _ = socket.ReadMessage()
		graphql := dialSocket(t, base, "/graphql?token="+token, "graphql-transport-ws")
		writeText(t, graphql, `{"type":"connection_init","payload":{"token":"`+token+`"}}`)
		_, _, _ = graphql.ReadMessage()
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	log := g.log.String()
	for _, want := range []string{"request panicked", "request failed", "decision=unauthenticated", "decision=forbidden"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log does not show %q", want)
		}
	}
	for _, token := range tokens {
		if i := strings.Index(log, token); i >= 0 {
			t.Errorf("the log shows a token: %s", log[max(0, i-200):i+20])
		}
	}
}

// TestSpoofedAddressesEvadeNoLimit: everybody can send X-Forwarded-For, but it is believed of trusted proxies only.
func TestSpoofedAddressesEvadeNoLimit(t *testing.T) {
	for proxies, want := range map[string]int{"": 429, "192.0.2.0/24": 429, "127.0.0.0/8": 401} {
		g := newGuarded(t, access.Config{TrustedProxies: proxies, LoginRate: 2})
		base, _ := startServer(t, g.Server)
		var last int
		for i := range 3 {
			// The first address is of the sender's choice, the last one is what the proxy saw.
			answers, _ := raw(t, base, fmt.Sprintf("GET /api/v1/gpus HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer tp_bad\r\nX-Forwarded-For: 203.0.113.7, 198.51.100.%d\r\n\r\n", i))
			last = answers[0].StatusCode
		}
		if last != want {
			t.Errorf("proxies %q: got %d, want %d", proxies, last, want)
		}
		if proxies != "127.0.0.0/8" {
			continue
		}
		for i := range 3 { // behind the proxy, addresses further left change nothing
			answers, _ := raw(t, base, fmt.Sprintf("GET /api/v1/gpus HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer tp_bad\r\nX-Forwarded-For: 203.0.113.%d, 198.51.100.99\r\n\r\n", i))
			last = answers[0].StatusCode
		}
		if last != 429 {
			t.Errorf("behind a proxy: got %d, want 429", last)
		}
	}
}

// TestRequestsOfOneCallerAreBounded: the bound is the principal's, from any address.
func TestRequestsOfOneCallerAreBounded(t *testing.T) {
	g := newGuarded(t, access.Config{PerPrincipal: 1})
	leave, err := g.gate.Enter(&access.Request{}, &access.Principal{ID: "read", Method: access.ByToken})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/api/v1/gpus", "/graphql?query={__typename}"} {
		if got := ask(t, g.Server, "GET", path, "", append(g.bearer("read"), "X-Forwarded-For", "192.0.2.9")...); got.status != 429 || got.header.Get("Retry-After") == "" {
			t.Errorf("%s: got %d, want 429 with Retry-After", path, got.status)
		}
		if got := ask(t, g.Server, "GET", path, "", g.bearer("admin")...); got.status == 429 {
			t.Errorf("%s: another principal got 429", path)
		}
	}
	leave()
	if got := ask(t, g.Server, "GET", "/health", ""); got.status != 200 && got.status != 503 {
		t.Errorf("got %d for health", got.status)
	}
}
