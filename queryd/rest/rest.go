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

// viewer is what rest needs of the view (live.Hub): the current State, one that holds everything up to a
// revision, whether there is any yet, and why it may be behind, nil when it is not.
type viewer interface {
	State() *live.State
	Wait(ctx context.Context, rev events.Revision) (*live.State, error)
	Ready() error
	Degraded() error
}

// teller is what rest needs of history (history.History).
type teller interface {
	Telemetry(ctx context.Context, s *live.State, q history.Query) (history.Page, error)
	AsOf(ctx context.Context, s *live.State, at events.Timestamp, only []events.HostID) (*live.State, error)
	Buckets(ctx context.Context, s *live.State, q history.Query) (history.BucketPage, error)
}

// API answers requests; safe for concurrent use.
type API struct {
	cfg   Config
	facts events.Facts
	view  viewer
	past  teller
	lg    *slog.Logger
	names names

	writers writers

	now func() time.Time // for tests; time.Now

	quarantine quarantine
	journal    journalist

	waits    context.Context // of all who wait for a revision
	endWaits context.CancelFunc
}

// New makes an API. facts are the log's.
func New(cfg Config, facts events.Facts, view viewer, past teller, quarantine quarantine, lg *slog.Logger) *API {
	if lg == nil {
		lg = slog.New(slog.DiscardHandler)
	}
	a := &API{
		cfg: cfg.withDefaults(), facts: facts, view: view, past: past, quarantine: quarantine,
		lg: lg, names: catalogue(), now: time.Now,
	}
	a.waits, a.endWaits = context.WithCancel(context.Background())
	return a
}

// EndWaits answers all who wait for a revision, now and from now on: the server stops, and somebody else can
// wait with them.
func (a *API) EndWaits() { a.endWaits() }

// Routes registers every path of this package.
func (a *API) Routes(r fiber.Router) {
	r.Get("/api/v1/gpus", a.gpus)
	r.Get("/api/v1/gpus/:id", a.gpu)
	r.Get("/api/v1/gpus/:id/telemetry", a.gpuTelemetry)
	r.Get("/api/v1/hosts", a.hosts)
	r.Get("/api/v1/hosts/:hostname", a.host)
	r.Get("/api/v1/hosts/:hostname/gpus", a.hostGPUs)
	r.Get("/api/v1/telemetry", a.telemetry)
	r.Get("/api/v1/telemetry/latest", a.latest)
	r.Get("/api/v1/cluster", a.cluster)
	r.Get("/api/v1/quarantine", a.quarantined)
	r.Post("/api/v1/quarantine/retry", a.retryQuarantined)
	if a.journal != nil {
		r.Get("/api/v1/events", a.events)
	}
	r.Get("/openapi.json", openapiJSON)
	r.Get("/openapi.yaml", openapiYAML)
	r.Get("/docs", docsPage)
	r.Get("/docs/:file", docsFile)
}
