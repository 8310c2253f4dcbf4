package rest

import (
	"context"
	"log/slog"
	"time"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/queryd/history"
	"telemetry-pipeline/queryd/live"
)

// feeds provides the current view of a scope (live.Hub). IsBehind reports whether the views may be behind etcd.
type feeds interface {
	In(scope access.Scope) (*live.Feed, error)
	IsBehind() bool
}

// historyReader reads history (history.History).
type historyReader interface {
	Telemetry(ctx context.Context, s *live.State, q history.Query) (history.Page, error)
	AsOf(ctx context.Context, s *live.State, at events.Timestamp, only []events.HostID) (*live.State, error)
	Buckets(ctx context.Context, s *live.State, q history.Query) (history.BucketPage, error)
	Groups(ctx context.Context, s *live.State, q history.Query, by history.Grouping) ([]history.GroupSeries, error)
	Columns(ctx context.Context, s *live.State, q history.Query, yield func([]history.Series) error) (history.Cursor, error)
}

// API answers requests. It is safe for concurrent use.
type API struct {
	cfg     Config
	cluster string // in the answers of a Gateway; "" alone
	facts   events.Facts
	feeds   feeds
	past    historyReader
	lg      *slog.Logger
	names   namedFields

	writers writerPool

	now      func() time.Time // time.Now, except in tests
	maxCells int              // of a table; maxCells, except in tests

	quarantine quarantine
	journal    eventReader

	waitContext context.Context // of all requests that wait for a revision
	endWaits    context.CancelFunc
}

// New returns an API; facts are the facts of the log.
func New(cfg Config, facts events.Facts, feeds feeds, past historyReader, quarantine quarantine, lg *slog.Logger) *API {
	a := newAPI(cfg, lg)
	a.facts, a.feeds, a.past, a.quarantine = facts, feeds, past, quarantine
	return a
}

// newAPI returns an API without a cluster.
func newAPI(cfg Config, lg *slog.Logger) *API {
	if lg == nil {
		lg = slog.New(slog.DiscardHandler)
	}
	a := &API{cfg: cfg.withDefaults(), lg: lg, names: allNamedFields(), now: time.Now, maxCells: maxCells}
	a.waitContext, a.endWaits = context.WithCancel(context.Background())
	return a
}

// EndWaits answers all requests that wait for a revision, now and later: the server stops, and another can wait for
// them.
func (a *API) EndWaits() { a.endWaits() }

// router registers routes, each with the right that it needs (fiberguard.Router).
type router interface {
	Get(need access.Right, path string, handlers ...fiber.Handler)
	Post(need access.Right, path string, handlers ...fiber.Handler)
}

// Routes registers every path of this package. each comes before the handlers of telemetry.
func (a *API) Routes(r router, each fiber.Handler) {
	r.Get(access.Read, "/api/v1/clusters", each, a.serveOwnCluster)
	r.Get(access.Read, "/api/v1/gpus", each, a.serveGPUs)
	r.Get(access.Read, "/api/v1/gpus/:id", each, a.serveGPU)
	r.Get(access.Read, "/api/v1/gpus/:id/telemetry", each, a.serveGPUTelemetry)
	r.Get(access.Read, "/api/v1/hosts", each, a.serveHosts)
	r.Get(access.Read, "/api/v1/hosts/:hostname", each, a.serveHost)
	r.Get(access.Read, "/api/v1/hosts/:hostname/gpus", each, a.serveHostGPUs)
	r.Get(access.Read, "/api/v1/telemetry", each, a.serveTelemetry)
	r.Get(access.Read, "/api/v1/telemetry/latest", each, a.serveLatest)
	r.Get(access.Read, "/api/v1/cluster", each, a.serveCluster)
	r.Get(access.Read, "/api/v1/quarantine", each, a.serveQuarantine)
	r.Post(access.Administer, "/api/v1/quarantine/retry", each, a.retryQuarantined)
	if a.journal != nil {
		r.Get(access.Read, "/api/v1/events", each, a.serveEvents)
	}
	a.describe(r)
}

// describe registers the description of the API.
func (a *API) describe(r router) {
	r.Get(access.Public, "/openapi.json", openapiJSON)
	r.Get(access.Public, "/openapi.yaml", openapiYAML)
	r.Get(access.Public, "/docs", docsPage)
	r.Get(access.Public, "/docs/:file", docsFile)
}
