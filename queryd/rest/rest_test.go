package rest

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/queryd/history"
	"telemetry-pipeline/queryd/live"
)

var noon = time.Date(2025, 7, 18, 12, 0, 0, 0, time.UTC)

func TestWait(t *testing.T) {
	f := newFleet()
	app := serveFleet(t, f, time.Now)
	foreign := events.Revision{Epoch: 1, Cluster: 2, Number: 3}
	for _, c := range []struct {
		wait   string
		status int
		code   Code
	}{
		{f.revision(99).String(), 200, ""},
		{"1", 200, ""},
		{"0", 200, ""},
		{f.revision(100).String(), 504, WaitTimeout},
		{foreign.String(), 400, ForeignRevision},
		{"-1", 400, BadParameter},
		{"", 400, BadParameter},
		{"99999999999999999999", 400, BadParameter},
	} {
		got := getAnswer(t, app, http.MethodGet, "/api/v1/hosts?wait="+url.QueryEscape(c.wait))
		if got.status != c.status || got.code() != c.code {
			t.Errorf("wait=%q: %d %s, want %d %s", c.wait, got.status, got.code(), c.status, c.code)
		}
	}
}

func (a answered) code() Code {
	var e struct{ Code Code }
	_ = json.Unmarshal(a.body, &e) // an answer that is not an error has no code
	return e.Code
}

func TestNotReadyBeforeTheFirstLoad(t *testing.T) {
	f := newFleet()
	hub, err := live.New(live.Config{}, f, nil, f.facts, nil)
	if err != nil {
		t.Fatal(err)
	}
	app := appOf(New(Config{}, f.facts, hub, history.New(f, nil), f, nil))
	for _, path := range []string{"/api/v1/gpus", "/api/v1/cluster", "/api/v1/telemetry", "/api/v1/telemetry/latest", "/api/v1/hosts/a"} {
		if got := getAnswer(t, app, http.MethodGet, path); got.status != 503 || got.code() != NotReady || got.header.Get("Retry-After") == "" {
			t.Errorf("%s before the view is loaded: %s, Retry-After %q; want 503 %s", path, got.scriptText(), got.header.Get("Retry-After"), NotReady)
		}
	}
}

func TestDegradedAnswersTellTheirAge(t *testing.T) {
	f := newFleet()
	f.addRows(t, "2025-07-18T12:00:00Z a uuid=GPU-a0 index=0 | gpu_utilization=2")
	f.fail = errors.New("etcd is away")
	hub := f.runHub(t)
	app := appOf(New(Config{}, f.facts, hub, history.New(f, nil), f, nil))
	waitUntil(t, "view is degraded", func() bool { return hub.Degraded() != nil })
	var page struct {
		Success bool
		AsOf    time.Time `json:"as_of"`
		Count   int
	}
	got := getAnswer(t, app, http.MethodGet, "/api/v1/gpus")
	if err := json.Unmarshal(got.body, &page); err != nil || got.status != 200 || page.Count != 1 {
		t.Fatalf("%s: %v", got.scriptText(), err)
	}
	if age := time.Since(page.AsOf); age < 0 || age > time.Minute {
		t.Errorf("as_of is %s, %s ago", page.AsOf, age)
	}
	newChecker(t).checkAnswer(t, got)
	if got := getAnswer(t, app, http.MethodGet, "/api/v1/telemetry"); got.status != 503 || got.code() != Unavailable || strings.Contains(string(got.body), "etcd is away") {
		t.Errorf("history without a store: %s, want 503 %s and no inner text", got.scriptText(), Unavailable)
	}
	for _, ask := range [][2]string{{http.MethodGet, "/api/v1/quarantine"}, {http.MethodPost, "/api/v1/quarantine/retry"}} {
		got := getAnswer(t, app, ask[0], ask[1])
		if got.status != 503 || got.code() != Unavailable || got.header.Get("Retry-After") == "" || strings.Contains(string(got.body), "etcd is away") {
			t.Errorf("%s without etcd: %s, want 503 %s to come back for", ask[1], got.scriptText(), Unavailable)
		}
	}
}

// stuck is a history whose store does not answer.
type stuck struct{}

func (stuck) Telemetry(ctx context.Context, _ *live.State, _ history.Query) (history.Page, error) {
	<-ctx.Done()
	return history.Page{}, ctx.Err()
}

func (stuck) AsOf(ctx context.Context, _ *live.State, _ events.Timestamp, _ []events.HostID) (*live.State, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (stuck) Buckets(ctx context.Context, _ *live.State, _ history.Query) (history.BucketPage, error) {
	<-ctx.Done()
	return history.BucketPage{}, ctx.Err()
}

func (stuck) Columns(ctx context.Context, _ *live.State, _ history.Query, _ func([]history.Series) error) (history.Cursor, error) {
	<-ctx.Done()
	return "", ctx.Err()
}

func (stuck) Groups(ctx context.Context, _ *live.State, _ history.Query, _ history.Grouping) ([]history.GroupSeries, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// away is a view that has lost etcd.
type away struct{ *live.Hub }

func (away) IsBehind() bool { return true }

func TestHistoryThatEtcdDoesNotAnswerIsNotBlamedOnTheRange(t *testing.T) {
	f := newFleet()
	app := appOf(New(Config{Timeout: 20 * time.Millisecond}, f.facts, away{f.runHub(t)}, stuck{}, f, nil))
	for _, path := range []string{"/api/v1/telemetry?limit=1", "/api/v1/telemetry?step=1h", "/api/v1/telemetry?form=columns"} {
		got := getAnswer(t, app, http.MethodGet, path)
		if got.status != 503 || got.code() != Unavailable || got.header.Get("Retry-After") == "" || !strings.Contains(string(got.body), "etcd") {
			t.Errorf("%s without etcd: %s, want 503 %s that names etcd", path, got.scriptText(), Unavailable)
		}
	}
}

func TestGoingBackTooFarIsReported(t *testing.T) {
	f := newFleet()
	for name, c := range map[string]struct {
		view   feeds
		status int
		code   Code
		says   string
	}{
		"long":    {f.runHub(t), 504, Timeout, "one host or GPU"},
		"no etcd": {away{f.runHub(t)}, 503, Unavailable, "etcd"},
	} {
		app := appOf(New(Config{Timeout: 20 * time.Millisecond}, f.facts, c.view, stuck{}, f, nil))
		got := getAnswer(t, app, http.MethodGet, "/api/v1/cluster?as_of=now-1h")
		if got.status != c.status || got.code() != c.code || !strings.Contains(string(got.body), c.says) {
			t.Errorf("%s: %s, want %d %s that says %q", name, got.scriptText(), c.status, c.code, c.says)
		}
	}
}

func TestBadEscapeInPath(t *testing.T) {
	app := serveFleet(t, newFleet(), time.Now)
	var ctx fasthttp.RequestCtx
	ctx.Request.Header.SetHost("example.com")
	ctx.Request.SetRequestURI("/api/v1/hosts/%zz")
	app.Handler()(&ctx)
	if got := ctx.Response.StatusCode(); got != http.StatusBadRequest {
		t.Errorf("a path with %%zz: %d, want 400: %s", got, ctx.Response.Body())
	}
}

func TestDocsAreServedWhole(t *testing.T) {
	app := serveFleet(t, newFleet(), time.Now)
	for path, kind := range map[string]string{
		"/docs": "text/html", "/docs/index.html": "text/html", "/docs/start.js": "text/javascript", "/docs/swagger-ui-bundle.js": "text/javascript",
		"/docs/swagger-ui.css": "text/css", "/docs/LICENSE.txt": "text/plain", "/openapi.yaml": "application/yaml", "/openapi.json": "application/json",
	} {
		got := getAnswer(t, app, http.MethodGet, path)
		if got.status != 200 || !strings.HasPrefix(got.header.Get("Content-Type"), kind) || len(got.body) < 100 {
			t.Errorf("%s: %d %s, %d bytes", path, got.status, got.header.Get("Content-Type"), len(got.body))
		}
		if strings.HasPrefix(path, "/docs") && got.header.Get("Content-Security-Policy") != docsPolicy {
			t.Errorf("%s is not held to its policy", path)
		}
		req := httptest.NewRequest(http.MethodGet, path, nil)
		req.Header.Set("Accept-Encoding", "gzip")
		resp, err := app.Test(req, -1)
		if err != nil {
			t.Fatal(err)
		}
		var body io.Reader = resp.Body
		if resp.Header.Get("Content-Encoding") == "gzip" {
			if body, err = gzip.NewReader(body); err != nil {
				t.Fatal(err)
			}
		}
		if plain, err := io.ReadAll(body); err != nil || !bytes.Equal(plain, got.body) {
			t.Errorf("%s compressed is %d bytes, %v; want the %d of the plain one", path, len(plain), err, len(got.body))
		}
		resp.Body.Close()
	}
	if got := getAnswer(t, app, http.MethodGet, "/docs/vendor.sh"); got.status != 404 {
		t.Errorf("/docs/vendor.sh: %d, want 404", got.status)
	}
}

// appOf returns an app that serves an API.
func appOf(api *API) *fiber.App { return appFor(api, access.Everybody()) }

// appFor returns an app whose requests all come from a principal.
func appFor(api *API, p *access.Principal) *fiber.App {
	app := fiber.New(fiber.Config{Immutable: true, ReadBufferSize: 16 << 10, DisableStartupMessage: true, ErrorHandler: api.Fail})
	app.Use(func(c *fiber.Ctx) error {
		c.SetUserContext(access.WithPrincipal(c.UserContext(), p))
		return c.Next()
	})
	api.Routes(freeRouter{app}, (*fiber.Ctx).Next)
	return app
}

// BenchmarkFleet answers for 10,000 GPUs with ten metrics each.
func BenchmarkFleet(b *testing.B) {
	f := newFleet()
	metrics := []string{"gpu_utilization", "memory_utilization", "memory_used_mb", "memory_free_mb", "temperature", "power_draw", "sm_clock_mhz",
		"memory_clock_mhz", "DCGM_FI_DEV_ENC_UTIL", "DCGM_FI_DEV_DEC_UTIL"}
	for g := range 10_000 {
		id := events.Identity{
			UUID: fmt.Sprintf("GPU-5fd4f087-86f3-7a43-b711-%012d", g), Index: fmt.Sprint(g % 8), Device: fmt.Sprintf("nvidia%d", g%8), Model: "NVIDIA H100 80GB HBM3",
			Driver: "535.129.03", Labels: []events.Label{{Name: "instance", Value: "host:9400"}, {Name: "job", Value: "dgx_dcgm_exporter"}},
		}
		var readings [][2]string
		for i, m := range metrics {
			readings = append(readings, [2]string{m, fmt.Sprintf("%d.%03d", (g+i)%90, g%1000)})
		}
		if err := f.addRow(events.HostID(fmt.Sprintf("host-%04d", g/8)), id, events.TimestampOf(noon), readings); err != nil {
			b.Fatal(err)
		}
	}
	app := serveFleet(b, f, func() time.Time { return noon })
	for _, path := range []string{"/api/v1/gpus", "/api/v1/telemetry/latest", "/api/v1/telemetry/latest?metric=gpu_utilization", "/api/v1/telemetry?limit=10000", "/api/v1/cluster"} {
		b.Run(strings.ReplaceAll(path, "/", "_"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				got := getAnswer(b, app, http.MethodGet, path)
				if got.status != 200 {
					b.Fatal(got.scriptText())
				}
				b.SetBytes(int64(len(got.body)))
			}
		})
	}
}

// freeRouter registers routes without asking for their rights.
type freeRouter struct{ app fiber.Router }

func (r freeRouter) Get(_ access.Right, path string, handlers ...fiber.Handler) {
	r.app.Get(path, handlers...)
}

func (r freeRouter) Post(_ access.Right, path string, handlers ...fiber.Handler) {
	r.app.Post(path, handlers...)
}
