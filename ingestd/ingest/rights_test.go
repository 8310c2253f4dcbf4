package ingest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events/access"
	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
)

// callers returns a guard with a principal of each role and scope that matters, by the headers that they send.
func callers(t *testing.T) (g *guarded, headers map[string]string) {
	t.Helper()
	g = &guarded{file: filepath.Join(t.TempDir(), "principals"), lines: map[string]string{}, tokens: map[string]string{}}
	for id, p := range map[string][2]string{
		"ingest": {"ingest", "*"}, "read": {"read", "*"}, "admin": {"admin", "*"}, "some": {"ingest", "host=a-*"},
		"empty": {"ingest,read,admin", ""}, "foreign": {"ingest,read,admin", "cluster=elsewhere"},
	} {
		g.addPrincipal(t, id, p[0], p[1], time.Time{})
	}
	g.addPrincipal(t, "expired", "ingest,read,admin", "*", time.Now().Add(-time.Second))
	g.run(t, access.Config{LoginRate: 1e6})
	headers = map[string]string{"no token": "X-None: 1", "bad token": "Authorization: Bearer tp_bad", "basic": "Authorization: Basic YTpi"}
	for id := range g.tokens {
		headers[id] = g.header(id)
	}
	return g, headers
}

// TestRoutesHaveTheirRights holds the rights: a change of one is a change here.
func TestRoutesHaveTheirRights(t *testing.T) {
	log := pipelinetest.NewRecorder()
	s, err := New(Config{}, log, log, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]access.Right{
		"POST /api/v1/csv/upload": access.Ingest, "PUT /api/v1/csv/upload": access.Ingest,
		"POST /api/v1/csv/upload/:name": access.Ingest, "PUT /api/v1/csv/upload/:name": access.Ingest,
		"GET /api/v1/uploads": access.Ingest, "GET /api/v1/uploads/:id": access.Ingest, "DELETE /api/v1/uploads/:id": access.Ingest,
		"GET /api/v1/uploads/:id/events": access.Ingest, "GET /api/v1/status": access.Monitor, "GET /health": access.Public,
	}
	if diff := cmp.Diff(want, s.routes.Rights()); diff != "" {
		t.Errorf("the rights differ (-want +got):\n%s", diff)
	}
}

// TestExposedServerIsNotMade: without access control, other machines reach a server only if somebody said so.
func TestExposedServerIsNotMade(t *testing.T) {
	log := pipelinetest.NewRecorder()
	opened, err := access.New(access.Config{Open: true}, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		cfg     Config
		exposed bool
	}{
		{Config{Host: "0.0.0.0"}, true},
		{Config{Host: "::"}, true},
		{Config{Host: "192.0.2.1"}, true},
		{Config{Host: "some.example"}, true},
		{Config{Host: ""}, false},
		{Config{Host: "LocalHost"}, false},
		{Config{Host: "127.0.0.9"}, false},
		{Config{Host: "::1"}, false},
		{Config{Host: "0.0.0.0", Off: true}, false},
		{Config{Host: "0.0.0.0", Guard: opened}, false},
	} {
		if _, err := New(test.cfg, log, log, nil); errors.Is(err, access.ErrExposed) != test.exposed {
			t.Errorf("%q: got %v, want exposed: %t", test.cfg.Host, err, test.exposed)
		}
	}
}

// TestEachRouteAsksForItsRight sends each caller to each route: the status is 401, 403 or neither.
func TestEachRouteAsksForItsRight(t *testing.T) {
	log := pipelinetest.NewRecorder()
	g, headers := callers(t)
	s := startServer(t, Config{Guard: g.Guard}, log, log)
	allowed := map[access.Right][]string{
		access.Ingest:  {"ingest", "admin", "some"},
		access.Monitor: {"ingest", "admin", "read"},
	}
	unknown := []string{"no token", "bad token", "basic", "expired"}
	file := pipelinetest.DCGMFile(1, 1)
	rights := s.routes.Rights()
	routes := s.app.GetRoutes(true)
	if len(routes) < 12 {
		t.Fatalf("there are only %d routes", len(routes))
	}
	for _, route := range routes {
		right, known := rights[strings.Replace(route.Method, "HEAD", "GET", 1)+" "+route.Path]
		if !known {
			t.Errorf("%s %s has no right", route.Method, route.Path)
			continue
		}
		for who, header := range headers {
			want := http.StatusForbidden
			switch {
			case right == access.Public || slices.Contains(allowed[right], who):
				want = 0
			case slices.Contains(unknown, who):
				want = http.StatusUnauthorized
			}
			path := strings.NewReplacer(":id", "none", ":name", "f.csv").Replace(route.Path)
			var body []byte
			if route.Method == "PUT" || route.Method == "POST" {
				body = file
			}
			got := send(t, s, route.Method, path, body, header)
			refused := 0
			if got.status == http.StatusForbidden || got.status == http.StatusUnauthorized {
				refused = got.status
			}
			if refused != want {
				t.Errorf("%s %s by %s: got %d %s, want %d", route.Method, path, who, got.status, got.body, want)
			}
			if want == http.StatusUnauthorized && got.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s %s by %s: no challenge", route.Method, path, who)
			}
		}
	}
}

// TestPagesOfOtherSitesAreRefused holds in open mode too: a browser on the operator's machine reaches the server.
func TestPagesOfOtherSitesAreRefused(t *testing.T) {
	log := pipelinetest.NewRecorder()
	guard, err := access.New(access.Config{Origins: "https://good.example"}, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	s := startServer(t, Config{Guard: guard}, log, log)
	file := pipelinetest.DCGMFile(1, 1)
	own := "Origin: http://" + s.Addr().String()
	for _, test := range []struct {
		method, path string
		headers      []string
		want         int
	}{
		{"POST", uploadPath, []string{"Origin: https://evil.example"}, 403},
		{"PUT", uploadPath, []string{"Origin: null"}, 403},
		{"POST", uploadPath, []string{"Sec-Fetch-Site: cross-site"}, 403},
		{"POST", uploadPath, []string{"Sec-Fetch-Site: same-site"}, 403},
		{"DELETE", uploadsPath + "x", []string{"Origin: https://evil.example"}, 403},
		{"POST", uploadPath, []string{own, "Sec-Fetch-Site: same-origin"}, 200},
		{"POST", uploadPath, []string{"Origin: https://good.example", "Sec-Fetch-Site: cross-site"}, 200},
		{"POST", uploadPath, nil, 200},
		{"GET", "/api/v1/status", []string{"Origin: https://evil.example"}, 200}, // its page cannot read it
	} {
		got := send(t, s, test.method, test.path, file, test.headers...)
		if got.status != test.want {
			t.Errorf("%s %s %v: got %d %s, want %d", test.method, test.path, test.headers, got.status, got.body, test.want)
		}
		if allowed := got.header.Get("Access-Control-Allow-Origin"); strings.Contains(allowed, "evil") || allowed == "*" {
			t.Errorf("%s %s %v: its page may read the answer: %s", test.method, test.path, test.headers, allowed)
		}
		if test.want == 403 && !strings.Contains(got.body, `"code":"cross_site"`) {
			t.Errorf("got %s", got.body)
		}
	}
	for origin, want := range map[string]string{"https://good.example": "https://good.example", "https://evil.example": ""} {
		got := send(t, s, "OPTIONS", uploadPath, nil, "Origin: "+origin, "Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: authorization")
		if got.header.Get("Access-Control-Allow-Origin") != want || (got.header.Get("Access-Control-Allow-Headers") != "") != (want != "") {
			t.Errorf("preflight of %s: got %d %v", origin, got.status, got.header)
		}
	}
}

// exchange writes a text to a connection of its own and returns everything that comes back until it is closed, or nothing comes
// for a second.
func exchange(t *testing.T, s *Server, text string) string {
	t.Helper()
	c := dialServer(t, s)
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(time.Second))
	got, _ := io.ReadAll(c) // an error is the deadline or a reset
	return string(got)
}

// TestNamesOfOtherHostsAreRefused: a page whose name resolves to this machine (DNS rebinding) sends its own name.
func TestNamesOfOtherHostsAreRefused(t *testing.T) {
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{}, log, log)
	for host, want := range map[string]string{
		"evil.example": "421", "evil.example:8081": "421", "localhost.evil.example": "421", "127.0.0.1.evil.example": "421", "192.0.2.1": "421",
		"localhost": "200", "LOCALHOST:8081": "200", "127.0.0.1": "200", "[::1]:8081": "200",
	} {
		for _, path := range []string{"/health", "/api/v1/status", "/api/v1/uploads"} {
			got := exchange(t, s, fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, host))
			if !strings.HasPrefix(got, "HTTP/1.1 "+want) {
				t.Errorf("%s of %s: got %.80q, want %s", path, host, got, want)
			}
		}
	}
}

// TestRequestIDsCannotAddHeaders: what a client sends as an id comes back only if it is harmless.
func TestRequestIDsCannotAddHeaders(t *testing.T) {
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{}, log, log)
	for sent, echoed := range map[string]bool{
		"abc-1": true, "a b": false, "a%0d%0aSet-Cookie: x=1": false, "<script>": false, strings.Repeat("x", 129): false,
		"a\r\n Set-Cookie: x=1": false, "a\rSet-Cookie: x=1": false, "ä": false,
	} {
		got := exchange(t, s, fmt.Sprintf("GET /health HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: %s\r\nX-Correlation-ID: %s\r\nConnection: close\r\n\r\n", sent, sent))
		head, _, _ := strings.Cut(got, "\r\n\r\n")
		for _, name := range []string{"X-Request-Id", "X-Correlation-Id"} {
			if strings.Contains(head, name+": "+sent+"\r\n") != echoed {
				t.Errorf("%s %q: got %s", name, sent, head)
			}
		}
		if strings.Contains(head, "\nSet-Cookie") {
			t.Errorf("%q added a header: %s", sent, head)
		}
	}
	for _, sent := range []string{"", "a b", strings.Repeat("x", 129)} { // such an upload's id is the one of its request
		got := send(t, s, "PUT", uploadPath, pipelinetest.DCGMFile(1, 1), "X-Request-ID: "+sent)
		if id := got.header.Get("X-Request-ID"); len(id) != 36 || !strings.Contains(got.body, id) {
			t.Errorf("the id of an upload's request is %s, the upload is %s", id, got.body)
		}
	}
	if got := send(t, s, "PUT", uploadPath, pipelinetest.DCGMFile(1, 1), "X-Request-ID: abc-1"); got.header.Get("X-Request-ID") != "abc-1" {
		t.Errorf("the id of an upload's request is %s, the client named it abc-1", got.header.Get("X-Request-ID"))
	}
}

// TestRequestsAreNotSmuggled sends bodies whose end is ambiguous, with a request in them: it must not be served, with or without
// credentials.
func TestRequestsAreNotSmuggled(t *testing.T) {
	log := pipelinetest.NewRecorder()
	g := guardOf(t, access.Config{}, principals{"a": {"ingest", "*"}})
	s := startServer(t, Config{Guard: g.Guard}, log, log)
	inner := "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
	if n := strings.Count(exchange(t, s, inner+inner), "HTTP/1.1 200"); n != 2 {
		t.Fatalf("two honest requests got %d answers", n)
	}
	// The upload itself is fine, so that its connection would be kept for a next request.
	file := string(pipelinetest.DCGMFile(1, 1))
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(file), file)
	n, all := len(file), len(file)+len(inner)
	for _, credentials := range []string{g.header("a") + "\r\n", ""} {
		for name, framing := range map[string]string{
			"both":              fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n%s%s", len(chunked)+len(inner), chunked, inner),
			"both, swapped":     fmt.Sprintf("Transfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n%s%s", len(chunked)+len(inner), chunked, inner),
			"two lengths":       fmt.Sprintf("Content-Length: %d\r\nContent-Length: %d\r\n\r\n%s%s", n, all, file, inner),
			"a list of lengths": fmt.Sprintf("Content-Length: %d, %d\r\n\r\n%s%s", n, all, file, inner),
			"a folded length":   fmt.Sprintf("Content-Length:\r\n %d\r\n\r\n%s%s", n, file, inner),
			"a folded header":   fmt.Sprintf("X-A: 1\r\n Content-Length: %d\r\nContent-Length: %d\r\n\r\n%s%s", all, n, file, inner),
			"an odd coding":     fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: xchunked\r\n\r\n%s%s", all, chunked, inner),
			"two codings":       fmt.Sprintf("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n%s%s", chunked, inner),
			"a space":           fmt.Sprintf("Content-Length : %d\r\nContent-Length: %d\r\n\r\n%s%s", all, n, file, inner),
			"a sign":            fmt.Sprintf("Content-Length: +%d\r\n\r\n%s%s", n, file, inner),
			"a refused body":    fmt.Sprintf("Content-Type: image/png\r\nContent-Length: %d\r\n\r\n%s", len(inner), inner),
		} {
			got := exchange(t, s, "PUT "+uploadPath+" HTTP/1.1\r\nHost: localhost\r\n"+credentials+framing)
			if n := strings.Count(got, "HTTP/1.1 "); n > 1 || strings.Contains(got, "healthy") {
				t.Errorf("%s: the inner request was served: %q", name, got)
			}
		}
	}
}

// TestHeadersAndBodiesAreBounded holds before and behind the gate.
func TestHeadersAndBodiesAreBounded(t *testing.T) {
	log := pipelinetest.NewRecorder()
	g := guardOf(t, access.Config{}, principals{"a": {"ingest", "*"}})
	s := startServer(t, Config{Guard: g.Guard, MaxUploadSize: 1000}, log, log)
	if got := exchange(t, s, "GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: "+strings.Repeat("a", 1<<20)+"\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 431") {
		t.Errorf("a large header: got %.80q", got)
	}
	compareResponse(t, "a large body", send(t, s, "PUT", uploadPath, make([]byte, 5000), g.header("a")), `413
{"code": "file_too_large"}`)
	compareResponse(t, "a large body of nobody", send(t, s, "PUT", uploadPath, make([]byte, 5<<20)), `401
Connection: close
WWW-Authenticate: Bearer realm="telemetry"
{"success": false, "code": "unauthenticated"}`)
}

// TestExpectIsRefusedByTheHeader: a client that asks first need not send its body to learn that it may not. It is counted once.
func TestExpectIsRefusedByTheHeader(t *testing.T) {
	log, out := pipelinetest.NewRecorder(), &lockedBuffer{}
	g, headers := callers(t)
	guard, err := access.New(access.Config{File: g.file, LoginRate: 1e6}, "", slog.New(slog.NewTextHandler(out, nil)))
	if err != nil {
		t.Fatal(err)
	}
	s := startServer(t, Config{Guard: guard}, log, log)
	for who, want := range map[string]string{
		"ingest": "100", "admin": "100", "no token": "401", "bad token": "401", "expired": "401", "read": "403", "empty": "403", "foreign": "403",
	} {
		before := len(linesWith(out.String(), "msg=audit"))
		c := dialServer(t, s)
		fmt.Fprintf(c, "PUT %s HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 10\r\n%s\r\n\r\n", uploadPath, headers[who])
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil || !strings.HasPrefix(line, "HTTP/1.1 "+want) {
			t.Errorf("%s: got %q, %v, want %s", who, line, err, want)
		}
		if n := len(linesWith(out.String(), "msg=audit")) - before; want != "100" && n != 1 {
			t.Errorf("%s: %d refusals are recorded", who, n)
		}
	}
	got := exchange(t, s, "PUT "+uploadPath+" HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\nExpect: 100-continue\r\nContent-Length: 10\r\n"+headers["ingest"]+"\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 403") || !strings.Contains(got, "cross_site") {
		t.Errorf("a page of another site: got %q", got)
	}
}
