package query

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"telemetry-pipeline/events/access"
	"telemetry-pipeline/queryd/rest"
)

func TestWhatIsOffIsNotThere(t *testing.T) {
	on, off := newServer(t, Config{}), newServer(t, Config{NoGraphQL: true, NoWebSocket: true, Guard: newGuard(t, access.Config{NoCORS: true, Origins: "http://example.org"})})
	upgrade := []string{"Connection", "Upgrade", "Upgrade", "websocket", "Origin", "http://localhost"}
	for _, target := range []string{"/graphql?query={__typename}", "/ws"} {
		if got := ask(t, off, "GET", target, "", upgrade...); got.status != 404 {
			t.Errorf("%s switched off: %d, want 404", target, got.status)
		}
		if got := ask(t, on, "GET", target, ""); got.status == 404 {
			t.Errorf("%s switched on: 404", target)
		}
	}
	if got := ask(t, newServer(t, Config{NoWebSocket: true}), "GET", "/graphql", "", upgrade...); got.status != 400 {
		t.Errorf("a socket for subscriptions without sockets: %d, want 400, as it has no query", got.status)
	}
	if got := ask(t, off, "GET", "/health", "", "Origin", "http://example.org"); got.header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("CORS is off and yet allows an origin")
	}
}

func TestCORS(t *testing.T) {
	const listed = "https://a.example, https://b.example:8443"
	for _, c := range []struct {
		origins      string
		origin, want string
	}{
		{"", "https://any.example", ""},
		{listed, "https://a.example", "https://a.example"},
		{listed, "https://b.example:8443", "https://b.example:8443"},
		{listed, "https://b.example", ""},
		{listed, "https://a.example.evil.example", ""},
		{listed, "null", ""},
	} {
		s := newServer(t, Config{Guard: newGuard(t, access.Config{Origins: c.origins})})
		got := ask(t, s, "GET", "/health", "", "Origin", c.origin)
		if allowed := got.header.Get("Access-Control-Allow-Origin"); allowed != c.want {
			t.Errorf("origins %q, from %s: allowed %q, want %q", c.origins, c.origin, allowed, c.want)
		}
		if got.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Error("credentials are allowed")
		}
		if !strings.Contains(got.header.Get("Vary"), "Origin") {
			t.Errorf("from %s: Vary is %q, want Origin in it", c.origin, got.header.Get("Vary"))
		}
		preflight := ask(t, s, "OPTIONS", "/graphql", "", "Origin", c.origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type")
		if ok := preflight.status == 204 && preflight.header.Get("Access-Control-Allow-Headers") != ""; ok != (c.want != "") {
			t.Errorf("preflight from %s: %d %v", c.origin, preflight.status, preflight.header)
		}
	}
}

func TestGuards(t *testing.T) {
	s := newServer(t, Config{})
	s.app.Get("/panics", func(*fiber.Ctx) error { panic("secret") })
	got := ask(t, s, "GET", "/panics", "")
	if got.status != 500 || strings.Contains(got.body, "secret") || !strings.Contains(got.body, `"code":"internal"`) {
		t.Errorf("a panic: %d %s", got.status, got.body)
	}
	if got := ask(t, s, "POST", "/graphql", "x", "Content-Encoding", "gzip", "Content-Type", "application/json"); got.status != 415 {
		t.Errorf("a compressed body: %d, want 415", got.status)
	}
	if got := ask(t, s, "DELETE", "/api/v1/gpus", ""); got.status != 405 || !strings.Contains(got.header.Get("Allow"), "GET") {
		t.Errorf("DELETE: %d, Allow %q; want 405 and GET", got.status, got.header.Get("Allow"))
	}
	if got := ask(t, s, "HEAD", "/health", ""); got.status != 200 || got.body != "" {
		t.Errorf("HEAD: %d %q", got.status, got.body)
	}
}

func TestBodyAndHeaderAreBounded(t *testing.T) {
	s := newServer(t, Config{Host: "127.0.0.1", Port: FreePort})
	base, _ := startServer(t, s)
	for _, c := range []struct {
		what, request string
		status        int
	}{
		{"a body over the route's limit", postHeader("/graphql", maxDocument+1) + strings.Repeat(" ", maxDocument+1), 400},
		{"a document past what is read of one", postHeader("/graphql", maxGraphQLBody+1), 413}, // refused before it is read
		{"a body over the server's limit", postHeader("/api/v1/gpus", 1<<20+1), 413},
		{"a header over its limit", postHeader("/graphql?query="+strings.Repeat("x", 17<<10), 0), 431},
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, c.request); err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.status {
			t.Errorf("%s: %d, want %d", c.what, resp.StatusCode, c.status)
		}
	}
}

// postHeader returns the header of a POST whose body has size bytes.
func postHeader(target string, size int) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", target, size)
}

func TestStopLetsRequestsFinishAndNoNewOnesIn(t *testing.T) {
	s := newServer(t, Config{Host: "127.0.0.1", Port: FreePort})
	entered, release := make(chan struct{}), make(chan struct{})
	s.app.Get("/slow", func(c *fiber.Ctx) error {
		close(entered)
		<-release
		if err := context.Cause(c.UserContext()); err != nil {
			return err
		}
		return c.SendString("done")
	})
	base, stop := startServer(t, s)
	type result struct {
		body string
		err  error
	}
	answered := make(chan result, 1)
	go func() {
		resp, err := http.Get(base + "/slow")
		if err != nil {
			answered <- result{"", err}
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		answered <- result{string(body), err}
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	waitUntil(t, "no new connections", func() bool {
		conn, err := net.Dial("tcp", s.Addr().String())
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	if s.Ready() == nil {
		t.Error("ready while stopping")
	}
	select {
	case err := <-stopped:
		t.Fatalf("stopped before the request was answered: %v", err)
	default:
	}
	close(release)
	if got := <-answered; got.body != "done" || got.err != nil {
		t.Errorf("the request under way got %q, %v", got.body, got.err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Run: %v", err)
	}
	if s.requests.Err() == nil {
		t.Error("requests still have a context after the end")
	}
}

// TestStopRightAtTheStart stops a server before the app has received its listener.
func TestStopRightAtTheStart(t *testing.T) {
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	for range 50 {
		s := newServer(t, Config{Host: "127.0.0.1", Port: FreePort})
		ended := make(chan error, 1)
		go func() { ended <- s.Run(stopped) }()
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("Run: %v", err)
			}
		case <-time.After(time.Minute):
			t.Fatal("Run does not return")
		}
	}
}

// TestWhoWaitsForARevisionIsSentElsewhereWhenTheServerStops checks that a client that waits for a revision receives
// an answer to act on, and does not hold up the stop, during which no other client is served.
func TestWhoWaitsForARevisionIsSentElsewhereWhenTheServerStops(t *testing.T) {
	const long = 2 * time.Minute // of waiting, both for the revision and for the request at the stop
	s := newServer(t, Config{Host: "127.0.0.1", Port: FreePort, DrainTimeout: long, REST: rest.Config{MaxWait: long}})
	base, stop := startServer(t, s)
	type result struct {
		status int
		retry  string
		err    error
	}
	answered := make(chan result, 1)
	go func() {
		resp, err := http.Get(base + "/api/v1/hosts?wait=1000000")
		if err != nil {
			answered <- result{err: err}
			return
		}
		resp.Body.Close()
		answered <- result{resp.StatusCode, resp.Header.Get("Retry-After"), nil}
	}()
	waitUntil(t, "the request is served", func() bool { return s.app.Server().GetCurrentConcurrency() > 0 })
	began := time.Now()
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if took := time.Since(began); took >= long {
		t.Errorf("the stop took %s because a client waited", took)
	}
	if got := <-answered; got.err != nil || got.status != http.StatusServiceUnavailable || got.retry == "" {
		t.Errorf("who waited got %+v, want 503 with Retry-After", got)
	}
}

func TestMetrics(t *testing.T) {
	s := newServer(t, Config{})
	reg := prometheus.NewPedanticRegistry()
	if err := s.Metrics(reg); err != nil {
		t.Fatal(err)
	}
	ask(t, s, "GET", "/health", "")
	ask(t, s, "GET", "/api/v1/gpus/x", "")
	ask(t, s, "GET", "/made/up", "")
	ask(t, s, "GET", "/", "")
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	hub := false
	for _, f := range families {
		hub = hub || strings.HasPrefix(f.GetName(), "live_")
		if f.GetName() != "query_requests_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			got = append(got, m.GetLabel()[0].GetValue()+" "+m.GetLabel()[1].GetValue())
		}
	}
	slices.Sort(got)
	if want := []string{"/ 200", "/api/v1/gpus/:id 503", "/health 200", "none 404"}; !slices.Equal(got, want) {
		t.Errorf("requests are counted as %q, want %q", got, want)
	}
	if !hub {
		t.Error("the hub's metrics are missing")
	}
}
