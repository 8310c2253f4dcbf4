package query

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/events/access/fiberguard"
	"telemetry-pipeline/events/cache"
	"telemetry-pipeline/events/listen"
	"telemetry-pipeline/queryd/coding"
	"telemetry-pipeline/queryd/graph"
	"telemetry-pipeline/queryd/history"
	"telemetry-pipeline/queryd/journal"
	"telemetry-pipeline/queryd/live"
	"telemetry-pipeline/queryd/rest"
	"telemetry-pipeline/queryd/socket"
)

// Server is the query server. Run serves; all other methods are safe to call at any time.
type Server struct {
	cfg   Config
	lg    *slog.Logger
	store store
	hub   *live.Hub
	past  *history.History
	api   *rest.API
	graph executor
	// registerGraph registers the metrics of GraphQL.
	registerGraph func(prometheus.Registerer) error
	sockets       *socket.Server
	caches        map[string]func() cache.Stats // of history, by name

	app      *fiber.App
	gate     *access.Gate
	routes   *fiberguard.Router
	metrics  *metrics
	started  time.Time
	ln       atomic.Pointer[net.Listener] // nil until listening
	stopping atomic.Bool

	// Requests live under this context, not under Run's: a stop lets them finish for a while.
	requests    context.Context
	endRequests context.CancelCauseFunc
}

// errStopping is the cause with which requests end that outlast a stop.
var errStopping = errors.New("the server is stopping")

// New returns a server on stored projections and their log. It starts nothing.
func New(cfg Config, store store, log log, lg *slog.Logger) (*Server, error) {
	if lg == nil {
		lg = slog.New(slog.DiscardHandler)
	}
	cfg = cfg.withDefaults()
	if err := cfg.validateFlags(); err != nil {
		return nil, fmt.Errorf("setting up the query server: %w", err)
	}
	gate, err := access.OpenGate(cfg.Guard, "query.host", cfg.Host, listen.IsLoopback(cfg.Host), lg)
	if err != nil {
		return nil, err
	}
	hub, err := live.New(cfg.Live, store, log, log.Facts(), lg)
	if err != nil {
		return nil, err
	}
	store.KeepChunksUpTo(cfg.HistoryCache / 4)
	past := history.New(seriesReader{store}, lg)
	engine, err := graph.New(graph.Config{}, hub, past, lg)
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, lg: lg, store: store, hub: hub, past: past, graph: engine, registerGraph: engine.Metrics, gate: gate, metrics: newMetrics(), started: time.Now(),
		caches: map[string]func() cache.Stats{"chunks": store.ChunkCacheStats}}
	s.api = rest.New(cfg.REST, log.Facts(), hub, past, quarantineReader{store}, lg)
	s.api.ServeLog(journal.New(log))
	cfg.Socket.Gate = gate
	if s.sockets, err = newSockets(cfg, hub, engine, lg); err != nil {
		return nil, err
	}
	s.requests, s.endRequests = context.WithCancelCause(context.Background())
	s.app = s.newApp()
	return s, nil
}

// newSockets returns the WebSocket server. Unless both GraphQL and sockets are enabled, it serves no GraphQL.
func newSockets(cfg Config, hub *live.Hub, engine *graph.Engine, lg *slog.Logger) (*socket.Server, error) {
	cfg.Socket.Metric = rest.CanonicalMetric
	if cfg.NoGraphQL || cfg.NoWebSocket {
		return socket.New(cfg.Socket, hub, nil, lg)
	}
	return socket.New(cfg.Socket, hub, operations{engine: engine, timeout: cfg.GraphQLTimeout}, lg)
}

// newApp returns the app. A disabled surface has no route and is answered 404.
func (s *Server) newApp() *fiber.App {
	app := fiber.New(fiber.Config{
		Immutable:             true,
		BodyLimit:             1 << 20,
		ReadBufferSize:        16 << 10, // also the bound of a request's header
		ReadTimeout:           30 * time.Second,
		WriteTimeout:          time.Minute,
		IdleTimeout:           2 * time.Minute,
		ErrorHandler:          s.answerUnreadable,
		DisableStartupMessage: true,

		DisablePreParseMultipartForm: true, // no surface takes forms
	})
	app.Server().CloseOnShutdown = true
	app.Server().HeaderReceived = bodyLimit
	app.Server().ExpectHandler = s.answerExpect
	r := fiberguard.New(app, s.gate)
	app.Use(s.measureRequest, s.recoverPanic, coding.New().Answer, s.checkRequest, r.Shield)
	r.Get(access.Public, "/", serveIndex)
	r.Get(access.Public, "/health", s.serveHealth)
	r.Get(access.Public, "/ready", s.serveReady)
	r.Get(access.Read, "/api/v1/status", s.serveStatus)
	r.Post(access.Public, uploadPath, s.redirectUpload)
	s.api.Routes(r, s.limitCaller)
	if !s.cfg.NoGraphQL {
		r.Socket(access.Read, "/graphql", s.sockets.GraphQL())
		r.Get(access.Read, "/graphql", s.limitCaller, s.serveGraphQL)
		r.Post(access.Read, "/graphql", s.limitCaller, s.serveGraphQL)
	}
	if !s.cfg.NoWebSocket {
		r.Socket(access.Read, "/ws", s.sockets.Live())
	}
	s.routes = r
	return app
}

// Run follows the projections and serves until ctx ends, then drains and returns when everything has ended. A server
// runs once.
func (s *Server) Run(ctx context.Context) error {
	defer s.endRequests(errStopping)
	ln, err := listen.Open(ctx, s.cfg.Host, s.cfg.Port.Number())
	if err != nil {
		return s.explainListen(err)
	}
	if s.cfg.TLS != nil {
		ln = s.cfg.TLS.Wrap(ln)
	}
	s.ln.Store(&ln)
	hubCtx, stopHub := context.WithCancel(context.WithoutCancel(ctx))
	defer stopHub()
	followed, served := make(chan error, 1), make(chan error, 1)
	go func() { followed <- s.hub.Run(hubCtx) }()
	go func() { served <- s.app.Listener(ln) }()
	s.lg.Info("query server is up", "addr", ln.Addr().String())

	select {
	case err := <-followed:
		s.drainRequests()
		return errors.Join(fmt.Errorf("following the projections: %w", errors.Join(err, errEarly)), <-served)
	case err := <-served:
		s.drainRequests()
		stopHub()
		return errors.Join(fmt.Errorf("serving queries on %s: %w", ln.Addr(), errors.Join(err, errEarly)), <-followed)
	case <-ctx.Done():
		s.drainRequests()
		err := <-served
		stopHub()
		return errors.Join(err, <-followed)
	}
}

var errEarly = errors.New("it ended before it was asked to")

func (s *Server) explainListen(err error) error {
	port := s.cfg.Port.String()
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("port %s for queries is taken; stop what uses it, or choose another with flag port or environment variable PORT: %w",
			port, err)
	}
	return fmt.Errorf("listening for queries on host %q, port %s (flags query.host and port, environment QUERY_HOST and PORT): %w",
		s.cfg.Host, port, err)
}

// drainRequests stops accepting connections, asks subscribers and requests that wait for a revision to come back,
// lets other requests finish, and cuts the rest at the timeout.
func (s *Server) drainRequests() {
	s.stopping.Store(true)
	s.api.EndWaits()
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.DrainTimeout)
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- s.app.ShutdownWithContext(ctx) }() // closes the listener first
	if err := s.sockets.Shutdown(ctx); err != nil {
		s.lg.Warn("sockets did not close in time and are cut", "err", err)
	}
	if err := <-stopped; err != nil {
		s.lg.Warn("requests did not end in time and are cut", "err", err)
	}
	_ = (*s.ln.Load()).Close() // already closed, unless the app had not received it when the stop came
}

// Addr returns the address of the listener; nil before there is one.
func (s *Server) Addr() net.Addr {
	if ln := s.ln.Load(); ln != nil {
		return (*ln).Addr()
	}
	return nil
}

// WaitVisible blocks until everything up to the given positions, by partition, is visible to queries. If ctx ends, it
// returns its cause; if Run ends, an error.
func (s *Server) WaitVisible(ctx context.Context, upto map[events.Partition]events.Revision) error {
	return s.hub.WaitEach(ctx, upto)
}

// Ready returns nil while queries are served from a current view.
func (s *Server) Ready() error { return s.readyIn(s.hub.Feed) }

// readyIn is Ready for the view of a scope.
func (s *Server) readyIn(feed *live.Feed) error {
	switch {
	case s.stopping.Load():
		return errStopping
	case s.Addr() == nil:
		return errors.New("not listening yet")
	default:
		return feed.Ready()
	}
}
