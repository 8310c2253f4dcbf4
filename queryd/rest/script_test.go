package rest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/gofiber/fiber/v2"
	"golang.org/x/tools/txtar"

	"telemetry-pipeline/events"
	"telemetry-pipeline/queryd/history"
	"telemetry-pipeline/queryd/journal"
)

// TestScripts runs testdata/*.txtar: "rows" are folded, "now" is the clock, and each other file is named by a request
// and holds the expected status and JSON. $next_cursor in a request is the one of the answer before. An answer is
// compared as text, so numbers must have the exact digits. -update rewrites the answers: read the diff.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	check := newChecker(t)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			runScript(t, archive, check)
			if *update {
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func runScript(t *testing.T, archive *txtar.Archive, check *checker) {
	f, now, cursor := newFleet(), time.Now(), ""
	var app *fiber.App
	for i := range archive.Files {
		part := &archive.Files[i]
		switch part.Name {
		case "rows":
			f.addRows(t, string(part.Data))
			continue
		case "now":
			at, err := events.ParseTimestamp(strings.TrimSpace(string(part.Data)))
			if err != nil {
				t.Fatal(err)
			}
			now = at.Time()
			continue
		}
		if app == nil {
			app = serveFleet(t, f, func() time.Time { return now })
		}
		method, target, _ := strings.Cut(part.Name, " ")
		got := getAnswer(t, app, method, strings.ReplaceAll(target, "$next_cursor", cursor))
		check.checkAnswer(t, got)
		cursor = got.cursor()
		if *update {
			part.Data = []byte(got.scriptText())
		} else if want := string(part.Data); got.scriptText() != want {
			t.Errorf("%s\ngot  %s\nwant %s", part.Name, got.scriptText(), want)
		}
	}
}

// serveFleet returns an app of the API alone.
func serveFleet(t testing.TB, f *fleet, now func() time.Time) *fiber.App {
	t.Helper()
	api := New(Config{MaxWait: 50 * time.Millisecond}, f.facts, f.runHub(t), history.New(f, nil), f, nil)
	api.now = now
	api.ServeLog(journal.New(appendedLog{fleet: f}))
	return appOf(api)
}

// answered is a request and its answer.
type answered struct {
	request *http.Request
	status  int
	header  http.Header
	body    []byte
}

func getAnswer(t testing.TB, app *fiber.App, method, target string) answered {
	t.Helper()
	req := httptest.NewRequest(method, target, nil)
	resp, err := app.Test(req, -1)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answered{request: httptest.NewRequest(method, target, nil), status: resp.StatusCode, header: resp.Header, body: body}
}

// scriptText returns status and body in the form of the scripts: a member a line down to the third level. Values that
// differ between runs are replaced.
func (a answered) scriptText() string {
	if !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
		return fmt.Sprintf("%d %s, %d bytes\n", a.status, a.header.Get("Content-Type"), len(a.body))
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "%d\n", a.status)
	if err := json.Indent(&out, a.body, "", "  "); err != nil {
		return fmt.Sprintf("%d and no JSON: %v\n%s\n", a.status, err, a.body)
	}
	text := out.String()
	if cursor := a.cursor(); cursor != "" {
		text = strings.ReplaceAll(text, cursor, "$next_cursor")
	}
	for _, name := range []string{"as_of", "lag_seconds"} {
		text = maskMember(text, name)
	}
	return text + "\n"
}

// maskMember replaces the value of a member.
func maskMember(text, name string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if at := strings.Index(line, `"`+name+`": `); at >= 0 {
			comma := ""
			if strings.HasSuffix(line, ",\n") {
				comma = ","
			}
			line = line[:at] + `"` + name + `": …` + comma + "\n"
		}
		out.WriteString(line)
	}
	return out.String()
}

func (a answered) cursor() string {
	var page struct {
		Next string `json:"next_cursor"`
	}
	_ = json.Unmarshal(a.body, &page) // an answer that is not a page has no cursor
	return page.Next
}

// checker validates answers against the description.
type checker struct {
	doc    *openapi3.T
	router routers.Router
}

func newChecker(t testing.TB) *checker {
	t.Helper()
	doc := openAPI(t)
	doc.Servers = nil // any host
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	return &checker{doc: doc, router: router}
}

// checkAnswer fails the test if an answer does not match the description, or if a request that the description does
// not allow was answered.
func (c *checker) checkAnswer(t testing.TB, a answered) {
	t.Helper()
	route, params, err := c.router.FindRoute(a.request)
	if err != nil {
		if a.status == http.StatusNotFound || a.status == http.StatusMethodNotAllowed {
			return
		}
		t.Errorf("%s %s is not described: %v", a.request.Method, a.request.URL, err)
		return
	}
	in := &openapi3filter.RequestValidationInput{Request: a.request, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}}
	if err := openapi3filter.ValidateRequest(t.Context(), in); err != nil && a.status == http.StatusOK {
		t.Errorf("%s %s was answered, but is not as described: %v", a.request.Method, a.request.URL, err)
	}
	out := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: a.status, Header: a.header, Body: io.NopCloser(bytes.NewReader(a.body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}
	if err := openapi3filter.ValidateResponse(t.Context(), out); err != nil {
		t.Errorf("%s %s: answer %d is not as described: %v", a.request.Method, a.request.URL, a.status, err)
	}
}
