package query

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
	"telemetry-pipeline/queryd/graph"
)

var facts = events.Facts{Epoch: 7, Cluster: 9, Partitions: 4, PartitionHash: "xxh3"}

// empty is a store of a cluster without hosts.
type empty struct{}

func (empty) Load(context.Context, projections.Generation) (projections.Batch, error) {
	return projections.Batch{At: events.Revision{Epoch: facts.Epoch, Cluster: facts.Cluster, Number: 5}}, nil
}

func (empty) Watch(ctx context.Context, _ projections.Generation, _ events.Revision) iter.Seq2[projections.Batch, error] {
	return func(yield func(projections.Batch, error) bool) {
		<-ctx.Done()
		yield(projections.Batch{}, ctx.Err())
	}
}

func (empty) WatchActive(ctx context.Context) iter.Seq2[projections.Generation, error] {
	return func(yield func(projections.Generation, error) bool) {
		if yield("1", nil) {
			<-ctx.Done()
			yield("", ctx.Err())
		}
	}
}

func (empty) Series(context.Context, projections.Generation, events.Partition, events.HostID, []projections.Window) ([]snapshot.WindowSeries, error) {
	return nil, errors.New("there are no hosts, so nobody should ask")
}

// eventless is the log of that cluster.
type eventless struct{}

func (eventless) Facts() events.Facts { return facts }

func (eventless) Head(context.Context) (events.Revision, error) {
	return events.Revision{Epoch: facts.Epoch, Cluster: facts.Cluster, Number: 5}, nil
}

func (eventless) Unread(context.Context, map[events.Partition]events.Revision, events.Revision) ([]events.Partition, error) {
	return nil, nil
}

func newServer(t testing.TB, cfg Config) *Server {
	t.Helper()
	s, err := New(cfg, empty{}, eventless{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// start runs a server until stop is called, which gives Run's error.
func start(t testing.TB, s *Server) (base string, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	ended := false
	stop = func() error {
		cancel()
		if ended {
			return nil
		}
		ended = true
		return <-done
	}
	t.Cleanup(func() { _ = stop() })
	until(t, "server is ready", func() bool { return s.Ready() == nil })
	return "http://" + s.Addr().String(), stop
}

func until(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// answer is an answer, read whole.
type answer struct {
	status int
	header http.Header
	body   string
}

// ask sends a request through the app; header is name and value in turn.
func ask(t testing.TB, s *Server, method, target, body string, header ...string) answer {
	t.Helper()
	req := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := s.app.Test(req, -1)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(text)}
}

// The main set builds with older, vulnerable versions too when the explicit requirement is lost: minimum version selection falls
// back silently. A test binary does not record its modules, so the go command is asked which versions it links.
func TestLinkedVersions(t *testing.T) {
	for path, least := range map[string]string{"github.com/valyala/fasthttp": "v1.78.0", "github.com/fasthttp/websocket": "v1.5.12"} {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{with .Replace}}{{.Version}}{{else}}{{.Version}}{{end}}", path).Output()
		if err != nil {
			t.Fatalf("asking for the version of %s: %v", path, err)
		}
		if got := strings.TrimSpace(string(out)); slices.Compare(version3(t, got), version3(t, least)) < 0 {
			t.Errorf("%s %s is linked, want %s or newer", path, got, least)
		}
	}
}

func version3(t *testing.T, text string) []int {
	t.Helper()
	parts := regexp.MustCompile(`^v(\d+)\.(\d+)\.(\d+)`).FindStringSubmatch(text)
	if parts == nil {
		t.Fatalf("%q is no version", text)
	}
	var numbers []int
	for _, part := range parts[1:] {
		n, err := strconv.Atoi(part)
		if err != nil {
			t.Fatal(err)
		}
		numbers = append(numbers, n)
	}
	return numbers
}

func description(t testing.TB) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile("../rest/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	doc.Servers = nil // any host
	return doc
}

func TestRoutesAreThoseOfTheDescription(t *testing.T) {
	described := map[string]bool{}
	for path, item := range description(t).Paths.Map() {
		for method := range item.Operations() {
			described[method+" "+path] = true
		}
	}
	served := map[string]bool{}
	parameter := regexp.MustCompile(`:(\w+)`)
	for _, r := range newServer(t, Config{}).app.GetRoutes(true) {
		if r.Method != http.MethodHead { // comes with GET
			served[r.Method+" "+parameter.ReplaceAllString(r.Path, "{$1}")] = true
		}
	}
	if got, want := slices.Sorted(maps.Keys(served)), slices.Sorted(maps.Keys(described)); !slices.Equal(got, want) {
		t.Errorf("served    %q\ndescribed %q", got, want)
	}
}

func TestOwnAnswersAreAsDescribed(t *testing.T) {
	doc := description(t)
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	check := func(s *Server, method, target, body string, want int, header ...string) {
		t.Helper()
		got := ask(t, s, method, target, body, header...)
		if got.status != want {
			t.Errorf("%s %s: %d, want %d: %s", method, target, got.status, want, got.body)
		}
		req := httptest.NewRequest(method, target, strings.NewReader(body))
		route, params, err := router.FindRoute(req)
		if err != nil {
			t.Fatalf("%s %s is not described: %v", method, target, err)
		}
		out := &openapi3filter.ResponseValidationInput{
			RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route},
			Status:                 got.status, Header: got.header, Body: io.NopCloser(bytes.NewReader([]byte(got.body))),
			Options: &openapi3filter.Options{IncludeResponseStatus: true, ExcludeResponseBody: !strings.Contains(got.header.Get("Content-Type"), "json")},
		}
		if err := openapi3filter.ValidateResponse(t.Context(), out); err != nil {
			t.Errorf("%s %s: answer %d is not as described: %v\n%s", method, target, got.status, err, got.body)
		}
	}
	idle, running := newServer(t, Config{}), newServer(t, Config{Host: "127.0.0.1", Port: FreePort})
	start(t, running)
	json := []string{"Content-Type", "application/json"}
	for _, s := range []*Server{idle, running} {
		check(s, "GET", "/", "", 200)
		check(s, "GET", "/health", "", 200)
		check(s, "GET", "/api/v1/status", "", 200)
		check(s, "GET", "/docs", "", 200)
		check(s, "GET", "/graphql?query={__typename}", "", 200)
		check(s, "GET", "/graphql?query={nothing}", "", 200)
		check(s, "GET", "/graphql?query={nothing}", "", 400, "Accept", graphqlJSON)
		check(s, "POST", "/graphql", `{"query":"{__typename}"}`, 200, json...)
		check(s, "POST", "/graphql", `{"query":"{"}`, 200, json...)
		check(s, "POST", "/graphql", `nothing`, 400, json...)
		check(s, "POST", "/graphql", `{}`, 415, "Content-Type", "text/plain")
	}
	check(idle, "GET", "/ready", "", 503)
	check(running, "GET", "/ready", "", 200)
	check(idle, "GET", "/api/v1/gpus", "", 503)
	check(running, "GET", "/api/v1/gpus", "", 200)
	check(running, "GET", "/api/v1/telemetry", "", 200)
}

func TestWhatIsOffIsNotThere(t *testing.T) {
	on, off := newServer(t, Config{}), newServer(t, Config{NoGraphQL: true, NoWebSocket: true, NoCORS: true})
	upgrade := []string{"Connection", "Upgrade", "Upgrade", "websocket", "Origin", "http://example.org"}
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
	listed := Config{Origins: "https://a.example, https://b.example:8443"}
	for _, c := range []struct {
		cfg          Config
		origin, want string
	}{
		{Config{}, "https://any.example", "*"},
		{listed, "https://a.example", "https://a.example"},
		{listed, "https://b.example:8443", "https://b.example:8443"},
		{listed, "https://b.example", ""},
		{listed, "https://a.example.evil.example", ""},
		{listed, "null", ""},
	} {
		s := newServer(t, c.cfg)
		got := ask(t, s, "GET", "/health", "", "Origin", c.origin)
		if allowed := got.header.Get("Access-Control-Allow-Origin"); allowed != c.want {
			t.Errorf("origins %q, from %s: allowed %q, want %q", c.cfg.Origins, c.origin, allowed, c.want)
		}
		if got.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Error("credentials are allowed")
		}
		if c.cfg.Origins != "" && !strings.Contains(got.header.Get("Vary"), "Origin") {
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
	base, _ := start(t, s)
	for _, c := range []struct {
		what, request string
		status        int
	}{
		{"a body over the route's limit", post("/graphql", maxDocument+1) + strings.Repeat(" ", maxDocument+1), 413},
		{"a body over the server's limit", post("/graphql", 1<<20+1), 413}, // refused before it is read
		{"a header over its limit", post("/graphql?query="+strings.Repeat("x", 17<<10), 0), 431},
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

// post writes the header of a POST whose body has size bytes.
func post(target string, size int) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: example.com\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", target, size)
}

// executes gives the same result for every request, and keeps the last request.
type executes struct {
	result graph.Result
	got    graph.Request
}

func (e *executes) Execute(_ context.Context, req graph.Request) graph.Result {
	e.got = req
	return e.result
}

func TestGraphQLOverHTTP(t *testing.T) {
	s := newServer(t, Config{})
	ok := graph.Result{JSON: []byte(`{"data":{"a":1}}`), Operation: "query"}
	bad := graph.Result{JSON: []byte(`{"errors":[{"message":"no"}]}`), Refused: true}
	mutation, subscription := bad, bad
	mutation.Operation, subscription.Operation = "mutation", "subscription"
	const body = `{"query":"q"}`
	for _, c := range []struct {
		what, method, target, kind, accept, body string
		result                                   graph.Result
		status                                   int
		media                                    string
	}{
		{"query by GET", "GET", "/graphql?query=q", "", "", "", ok, 200, plainJSON},
		{"query by POST", "POST", "/graphql", plainJSON, "", body, ok, 200, plainJSON},
		{"charset", "POST", "/graphql", plainJSON + "; charset=UTF-8", "", body, ok, 200, plainJSON},
		{"other charset", "POST", "/graphql", plainJSON + "; charset=latin1", "", body, ok, 415, plainJSON},
		{"any type", "POST", "/graphql", plainJSON, "*/*", body, ok, 200, plainJSON},
		{"own type", "POST", "/graphql", plainJSON, graphqlJSON, body, ok, 200, graphqlJSON},
		{"own type first", "POST", "/graphql", plainJSON, graphqlJSON + ", " + plainJSON, body, ok, 200, graphqlJSON},
		{"own type less", "POST", "/graphql", plainJSON, graphqlJSON + ";q=0.5, application/*", body, ok, 200, plainJSON},
		{"no type we have", "POST", "/graphql", plainJSON, "text/html", body, ok, 406, plainJSON},
		{"refused type", "POST", "/graphql", plainJSON, plainJSON + ";q=0", body, ok, 406, plainJSON},
		{"refused document", "POST", "/graphql", plainJSON, "", body, bad, 200, plainJSON},
		{"refused document, own type", "POST", "/graphql", plainJSON, graphqlJSON, body, bad, 400, graphqlJSON},
		{"mutation by GET", "GET", "/graphql?query=q", "", "", "", mutation, 405, plainJSON},
		{"mutation by POST", "POST", "/graphql", plainJSON, graphqlJSON, body, mutation, 400, graphqlJSON},
		{"subscription", "POST", "/graphql", plainJSON, "", body, subscription, 400, plainJSON},
		{"form", "POST", "/graphql", "application/x-www-form-urlencoded", "", "query=q", ok, 415, plainJSON},
		{"no type", "POST", "/graphql", "", "", body, ok, 415, plainJSON},
		{"no JSON", "POST", "/graphql", plainJSON, "", "{", ok, 400, plainJSON},
		{"array", "POST", "/graphql", plainJSON, "", "[" + body + "]", ok, 400, plainJSON},
		{"null", "POST", "/graphql", plainJSON, "", "null", ok, 400, plainJSON},
		{"no query", "POST", "/graphql", plainJSON, graphqlJSON, "{}", ok, 400, graphqlJSON},
		{"no query by GET", "GET", "/graphql", "", "", "", ok, 400, plainJSON},
		{"query is no text", "POST", "/graphql", plainJSON, "", `{"query":1}`, ok, 400, plainJSON},
		{"name is no text", "POST", "/graphql", plainJSON, "", `{"query":"q","operationName":{}}`, ok, 400, plainJSON},
		{"variables are no object", "POST", "/graphql", plainJSON, "", `{"query":"q","variables":[1]}`, ok, 400, plainJSON},
		{"variables are text", "GET", "/graphql?query=q&variables=%22a%22", "", "", "", ok, 400, plainJSON},
		{"extensions are no object", "POST", "/graphql", plainJSON, "", `{"query":"q","extensions":"x"}`, ok, 400, plainJSON},
		{"all null", "POST", "/graphql", plainJSON, "", `{"query":"q","operationName":null,"variables":null,"extensions":null}`, ok, 200, plainJSON},
	} {
		engine := &executes{result: c.result}
		s.graph = engine
		var header []string
		if c.kind != "" {
			header = append(header, "Content-Type", c.kind)
		}
		if c.accept != "" {
			header = append(header, "Accept", c.accept)
		}
		got := ask(t, s, c.method, c.target, c.body, header...)
		if media := got.header.Get("Content-Type"); got.status != c.status || media != c.media+"; charset=utf-8" {
			t.Errorf("%s: %d %s, want %d %s: %s", c.what, got.status, media, c.status, c.media, got.body)
		}
		var out struct {
			Data   map[string]any
			Errors []struct{ Message string }
		}
		if err := json.Unmarshal([]byte(got.body), &out); err != nil || (out.Data == nil) == (len(out.Errors) == 0) {
			t.Errorf("%s: neither data nor errors, or both: %s", c.what, got.body)
		}
	}
	engine := &executes{result: ok}
	s.graph = engine
	ask(t, s, "GET", `/graphql?query=q&operationName=N&variables=%7B%22a%22%3A%5B1%5D%7D`, "")
	if got := fmt.Sprint(engine.got); got != `{q N map[a:[1]]}` {
		t.Errorf("the engine got %s", got)
	}
}

func TestFlags(t *testing.T) {
	var cfg Config
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	cfg.Flags(fs)
	for name, want := range map[string]string{"port": "8080", "enable-graphql": "true", "enable-websocket": "true", "enable-cors": "true", "query.origins": "*"} {
		if f := fs.Lookup(name); f == nil || f.DefValue != want {
			t.Errorf("flag %s: %+v, want default %q", name, f, want)
		}
	}
	if err := fs.Parse([]string{"-port=0", "-enable-graphql=false", "-enable-cors", "-query.origins=https://a.example"}); err != nil {
		t.Fatal(err)
	}
	if cfg.Port != FreePort || !cfg.NoGraphQL || cfg.NoWebSocket || cfg.NoCORS || !slices.Equal(cfg.origins(), []string{"https://a.example"}) {
		t.Errorf("parsed %+v", cfg)
	}
	for _, bad := range []Config{{Origins: "example.org"}, {Origins: "https://a.example/"}, {DrainTimeout: -1}, {GraphQLTimeout: -1}} {
		if _, err := New(bad, empty{}, eventless{}, nil); err == nil {
			t.Errorf("%+v is taken, want an error", bad)
		}
	}
}

func TestTakenPortIsNamed(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	port := ln.Addr().(*net.TCPAddr).Port
	err = newServer(t, Config{Host: "127.0.0.1", Port: Port(port)}).Run(t.Context())
	for _, word := range []string{strconv.Itoa(port), "flag port", "PORT"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("a taken port: %v, want %q in it", err, word)
		}
	}
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
	base, stop := start(t, s)
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
	until(t, "no new connections", func() bool {
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
