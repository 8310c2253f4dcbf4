package query

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// The main set builds with older, vulnerable versions too when the explicit requirement is lost: minimum
// version selection falls back silently. A test binary does not record its modules, so the go command is
// asked which versions it links.
func TestLinkedVersions(t *testing.T) {
	for path, least := range map[string]string{"github.com/valyala/fasthttp": "v1.78.0", "github.com/fasthttp/websocket": "v1.5.12"} {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{with .Replace}}{{.Version}}{{else}}{{.Version}}{{end}}", path).Output()
		if err != nil {
			t.Fatalf("asking for the version of %s: %v", path, err)
		}
		if got := strings.TrimSpace(string(out)); slices.Compare(parseVersion(t, got), parseVersion(t, least)) < 0 {
			t.Errorf("%s %s is linked, want %s or newer", path, got, least)
		}
	}
}

func parseVersion(t *testing.T, text string) []int {
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

func loadDescription(t testing.TB) *openapi3.T {
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
	for path, item := range loadDescription(t).Paths.Map() {
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
	doc := loadDescription(t)
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	check := func(s *Server, method, target, body string, want int, header ...string) {
		t.Helper()
		checkDescribed(t, router, method, target, body, ask(t, s, method, target, body, header...), want)
	}
	idle, running := newServer(t, Config{}), newServer(t, Config{Host: "127.0.0.1", Port: FreePort})
	startServer(t, running)
	json := []string{"Content-Type", "application/json"}
	for _, s := range []*Server{idle, running} {
		check(s, "GET", "/", "", 200)
		check(s, "GET", "/health", "", 200)
		check(s, "GET", "/api/v1/status", "", 200)
		check(s, "GET", "/api/v1/quarantine", "", 200)
		check(s, "POST", "/api/v1/quarantine/retry", "", 202)
		check(s, "POST", "/api/v1/quarantine/retry?key=none", "", 404)
		check(s, "POST", "/api/v1/csv/upload", "timestamp,value", 410, "Content-Type", "text/csv")
		check(s, "GET", "/docs", "", 200)
		check(s, "GET", "/graphql?query={__typename}", "", 200)
		check(s, "GET", "/graphql?query={nothing}", "", 200)
		check(s, "GET", "/graphql?query={nothing}", "", 400, "Accept", graphqlJSON)
		check(s, "POST", "/graphql", `{"query":"{__typename}"}`, 200, json...)
		check(s, "POST", "/graphql", `{"query":"{"}`, 200, json...)
		check(s, "POST", "/graphql", `nothing`, 400, json...)
		check(s, "POST", "/graphql", `{}`, 415, "Content-Type", "text/plain")
	}
	check(newServer(t, Config{UploadURL: UploadURL{"http://localhost:8081/api/v1/csv/upload"}}), "POST", "/api/v1/csv/upload", "", 308)
	check(idle, "GET", "/ready", "", 503)
	check(running, "GET", "/ready", "", 200)
	check(idle, "GET", "/api/v1/gpus", "", 503)
	check(running, "GET", "/api/v1/gpus", "", 200)
	check(running, "GET", "/api/v1/telemetry", "", 200)
}

// checkDescribed checks the status of an answer, and that it is as the description has it.
func checkDescribed(t *testing.T, router routers.Router, method, target, body string, got answer, want int) {
	t.Helper()
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

func TestGatewayAnswersAreAsDescribed(t *testing.T) {
	t.Parallel()
	router, err := gorillamux.NewRouter(loadDescription(t))
	if err != nil {
		t.Fatal(err)
	}
	fleet, _ := newFleet(t)
	fleet[2].server.Stop()
	_, base := startGateway(t, Config{}, fleet...)
	for target, want := range map[string]int{
		"/api/v1/clusters": 200, "/api/v1/cluster": 200, "/api/v1/cluster?cluster=a": 200, "/api/v1/hosts": 200, "/api/v1/gpus": 200, "/api/v1/telemetry/latest": 200,
		"/api/v1/telemetry": 200, "/api/v1/telemetry?step=10m": 200, "/api/v1/telemetry?form=columns": 200, "/api/v1/telemetry?form=columns&step=10m&group=model&explain=true": 200,
		"/api/v1/hosts/b-0": 200, "/api/v1/hosts/shared": 409, "/api/v1/hosts/c-0": 503, "/api/v1/gpus/GPU-b-0": 200, "/api/v1/gpus/GPU-b-0/telemetry": 200, "/api/v1/hosts?cluster=c": 503,
		"/api/v1/hosts?cluster=z": 404, "/api/v1/events": 400, "/api/v1/events?cluster=a": 200, "/api/v1/quarantine": 200, "/api/v1/status": 200, "/health": 200, "/ready": 200,
		"/graphql?query={hosts{name}}": 200, "/api/v1/hosts?as_of=now-50m": 200,
	} {
		resp, err := http.Get(base + target)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		checkDescribed(t, router, "GET", target, "", answer{resp.StatusCode, resp.Header, string(text)}, want)
	}
}
