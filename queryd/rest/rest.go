package rest

import (
	"context"
	"log/slog"
	"time"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events"
	"telemetry-pipeline/queryd/history"
	"telemetry-pipeline/queryd/live"
)

// viewer returns the current view (live.Hub). Wait returns a State that holds everything up to a revision. Ready is
// nil once there is a view, and Degraded returns the reason why the view may be behind, nil if it is current.
type viewer interface {
	State() *live.State
	Wait(ctx context.Context, rev events.Revision) (*live.State, error)
	Ready() error
	Degraded() error
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
	cfg   Config
	facts events.Facts
	view  viewer
	past  historyReader
	lg    *slog.Logger
	names namedFields

	writers writerPool

	now      func() time.Time // time.Now, except in tests
	maxCells int              // of a table; maxCells, except in tests

	quarantine quarantine
	journal    eventReader

	waitContext context.Context // of all requests that wait for a revision
	endWaits    context.CancelFunc
}

// New returns an API; facts are the facts of the log.
func New(cfg Config, facts events.Facts, view viewer, past historyReader, quarantine quarantine, lg *slog.Logger) *API {
	if lg == nil {
		lg = slog.New(slog.DiscardHandler)
	}
	a := &API{
		cfg: cfg.withDefaults(), facts: facts, view: view, past: past, quarantine: quarantine,
		lg: lg, names: allNamedFields(), now: time.Now, maxCells: maxCells,
	}
	a.waitContext, a.endWaits = context.WithCancel(context.Background())
	return a
}

// EndWaits answers all requests that wait for a revision, now and later: the server stops, and another can wait for
// them.
func (a *API) EndWaits() { a.endWaits() }

// Routes registers every path of this package.
func (a *API) Routes(r fiber.Router) {
	r.Get("/api/v1/gpus", a.serveGPUs)
	r.Get("/api/v1/gpus/:id", a.serveGPU)
	r.Get("/api/v1/gpus/:id/telemetry", a.serveGPUTelemetry)
	r.Get("/api/v1/hosts", a.serveHosts)
	r.Get("/api/v1/hosts/:hostname", a.serveHost)
	r.Get("/api/v1/hosts/:hostname/gpus", a.serveHostGPUs)
	r.Get("/api/v1/telemetry", a.serveTelemetry)
	r.Get("/api/v1/telemetry/latest", a.serveLatest)
	r.Get("/api/v1/cluster", a.serveCluster)
	r.Get("/api/v1/quarantine", a.serveQuarantine)
	r.Post("/api/v1/quarantine/retry", a.retryQuarantined)
	if a.journal != nil {
		r.Get("/api/v1/events", a.serveEvents)
	}
	r.Get("/openapi.json", openapiJSON)
	r.Get("/openapi.yaml", openapiYAML)
	r.Get("/docs", docsPage)
	r.Get("/docs/:file", docsFile)
}
