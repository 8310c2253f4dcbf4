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

	"telemetry-pipeline/events/access"
	"telemetry-pipeline/events/access/fiberguard"
	"telemetry-pipeline/events/listen"
	"telemetry-pipeline/events/trace/fibertrace"
	"telemetry-pipeline/queryd/coding"
	"telemetry-pipeline/queryd/live"
	"telemetry-pipeline/queryd/rest"
	"telemetry-pipeline/queryd/socket"
)

// front is the listener of a query server with the parts that do not depend on the clusters behind it.
type front struct {
	cfg     Config
	lg      *slog.Logger
	sockets *socket.Server

	fail     func(c *fiber.Ctx, err error) error // answers a request with an error
	endWaits func()                              // answers requests that wait for a revision

	app      *fiber.App
	gate     *access.Gate
	routes   *fiberguard.Router
	metrics  *metrics
	started  time.Time
	ln       atomic.Pointer[net.Listener] // nil until listening
	stopping atomic.Bool

	// Requests live under this context, not under serve's: a stop lets them finish for a while.
	requests    context.Context
	endRequests context.CancelCauseFunc
}

// errStopping is the cause with which requests end that outlast a stop.
var errStopping = errors.New("the server is stopping")

// newFront returns a front without routes. It starts nothing.
func newFront(cfg Config, lg *slog.Logger) (*front, error) {
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
	cfg.Socket.Gate, cfg.Socket.Tracer = gate, cfg.Tracer
	s := &front{cfg: cfg, lg: lg, gate: gate, metrics: newMetrics(), started: time.Now()}
	s.requests, s.endRequests = context.WithCancelCause(context.Background())
	return s, nil
}

// openSockets opens the WebSocket server. Unless both GraphQL and sockets are enabled, it serves no GraphQL.
func (s *front) openSockets(feeds socketFeeds, engine engine) (err error) {
	cfg := s.cfg
	cfg.Socket.Metric = rest.CanonicalMetric
	if cfg.NoGraphQL || cfg.NoWebSocket {
		s.sockets, err = socket.New(cfg.Socket, feeds, nil, s.lg)
	} else {
		s.sockets, err = socket.New(cfg.Socket, feeds, operations{engine: engine, timeout: cfg.GraphQLTimeout}, s.lg)
	}
	return err
}

// socketFeeds provides the live view of a scope to sockets.
type socketFeeds interface {
	In(scope access.Scope) (*live.Feed, error)
}

// newApp makes the app, with the routes that register adds.
func (s *front) newApp(register func(r *fiberguard.Router)) {
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
	app.Use(fibertrace.Requests(s.cfg.Tracer), s.measureRequest, s.recoverPanic, coding.New().Answer, s.checkRequest, r.Shield)
	r.Get(access.Public, "/", serveIndex)
	r.Post(access.Public, uploadPath, s.redirectUpload)
	register(r)
	s.app, s.routes = app, r
}

// registerLive registers the routes of GraphQL and of WebSockets. A disabled surface has no route and is answered 404.
func (s *front) registerLive(r *fiberguard.Router, graphql fiber.Handler) {
	if !s.cfg.NoGraphQL {
		r.Socket(access.Read, "/graphql", s.sockets.GraphQL())
		r.Get(access.Read, "/graphql", s.limitCaller, graphql)
		r.Post(access.Read, "/graphql", s.limitCaller, graphql)
	}
	if !s.cfg.NoWebSocket {
		r.Socket(access.Read, "/ws", s.sockets.Live())
	}
}

// serve listens and serves until ctx ends, then drains and returns when everything has ended; follow keeps the views current.
func (s *front) serve(ctx context.Context, follow func(context.Context) error) error {
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
	go func() { followed <- follow(hubCtx) }()
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

func (s *front) explainListen(err error) error {
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
func (s *front) drainRequests() {
	s.stopping.Store(true)
	s.endWaits()
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
func (s *front) Addr() net.Addr {
	if ln := s.ln.Load(); ln != nil {
		return (*ln).Addr()
	}
	return nil
}
