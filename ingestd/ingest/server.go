package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gofiber/fiber/v2"
	"golang.org/x/sync/semaphore"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/ingestd/unpack"
	"telemetry-pipeline/ingestd/uploads"
)

// appender is what ingest needs of the log. A nil error of Append means that every event is durable; the
// result tells for each, in order, whether it was created or was there already, and its revision. After an
// error some may be there; appending them again does no harm.
type appender interface {
	Append(ctx context.Context, evs []events.Event) ([]eventlog.Appended, error)
	Facts() events.Facts
	Head(ctx context.Context) (events.Revision, error)
	// Capacity tells how full etcd is.
	Capacity(ctx context.Context) (eventlog.Capacity, error)
}

// Server takes uploads over HTTP. Run serves; everything else is safe to call at any time.
type Server struct {
	cfg    Config
	log    appender
	folded projector
	lg     *slog.Logger

	packing    unpack.Options
	app        *fiber.App
	states     *uploads.Registry
	background *background
	followers  *semaphore.Weighted // who may read progress at a time

	gate       *gate
	streamGate *gate // of live streams
	limiter    *limiter
	admission  *admission
	totals     *totals
	started    time.Time
	ln         atomic.Pointer[listener] // nil until listening

	// Uploads live under this context, not under Run's: a stop lets them finish for a while. Those that are
	// stored and only wait to be visible are answered at once when a stop begins.
	uploads    context.Context
	endUploads context.CancelCauseFunc
	waits      context.Context // within uploads
	endWaits   context.CancelFunc
	streams    context.Context // within uploads; live streams end as soon as a stop begins
	endStreams context.CancelCauseFunc
}

// New makes a server on a log; folded answers ?wait=true and tells how far the collectors are. It starts nothing.
func New(cfg Config, log appender, folded projector, lg *slog.Logger) (*Server, error) {
	if lg == nil {
		lg = slog.New(slog.DiscardHandler)
	}
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("setting up the upload server: %w", err)
	}
	s := &Server{cfg: cfg, log: log, folded: folded, lg: lg, gate: newGate("uploads", cfg.Uploads, cfg.QueueTimeout), totals: newTotals(), started: time.Now()}
	if s.packing = cfg.Limits.packing(); cfg.AgeIdentity != "" {
		var err error
		if s.packing.Identities, err = unpack.ReadIdentities(cfg.AgeIdentity); err != nil {
			return nil, fmt.Errorf("flag ingest.age-identity: %w", err)
		}
	}
	s.admission = newAdmission(cfg.Marks, log, folded, lg)
	s.uploads, s.endUploads = context.WithCancelCause(context.Background())
	s.streamGate = newGate("live streams", cfg.Streams.Most, cfg.QueueTimeout)
	s.limiter = newLimiter(cfg.Rates)
	s.streams, s.endStreams = context.WithCancelCause(s.uploads)
	s.waits, s.endWaits = context.WithCancel(s.uploads)
	if s.states = cfg.States; s.states == nil {
		s.states = uploads.New(nil, eventlog.Config{}, lg)
	}
	s.background = newBackground(s, cfg.Spool, cfg.Background)
	s.followers = semaphore.NewWeighted(maxFollowers)
	s.app = s.routes()
	return s, nil
}

func (s *Server) routes() *fiber.App {
	app := fiber.New(fiber.Config{
		StreamRequestBody:            true,
		DisablePreParseMultipartForm: true,
		Immutable:                    true,
		BodyLimit:                    int(s.cfg.MaxUploadSize), // not enforced on streams; body is what bounds
		Concurrency:                  s.cfg.Connections,
		ReadTimeout:                  s.cfg.HeaderTimeout,
		WriteTimeout:                 30 * time.Second,
		IdleTimeout:                  2 * time.Minute,
		ReadBufferSize:               s.cfg.Limits.HeaderBytes, // also the bound of a request's header
		ErrorHandler:                 s.fail,
		DisableStartupMessage:        true,
	})
	app.Server().MaxConnsPerIP = s.cfg.ConnectionsPerIP
	app.Server().CloseOnShutdown = true
	app.Server().ExpectHandler = s.expect
	app.Use(s.survive)
	for _, path := range []string{"/api/v1/csv/upload", "/api/v1/csv/upload/:name"} {
		app.Post(path, s.limit, s.upload)
		app.Put(path, s.limit, s.upload)
	}
	app.Get("/api/v1/uploads", s.listUploads)
	app.Get("/api/v1/uploads/:id", s.oneUpload)
	app.Delete("/api/v1/uploads/:id", s.cancelUpload)
	app.Get("/api/v1/uploads/:id/events", s.followUpload)
	app.Get("/api/v1/status", s.status)
	app.Get("/health", s.health)
	return app
}

// survive makes a panic the end of one request only.
func (s *Server) survive(c *fiber.Ctx) error { return caught(c.Next) }

// Run listens, serves until ctx ends, lets uploads under way finish for DrainTimeout, and returns when
// all of it has ended. A server runs once.
func (s *Server) Run(ctx context.Context) error {
	defer s.endUploads(stopping())
	if s.cfg.Off {
		<-ctx.Done()
		return nil
	}
	ln, err := listen(net.JoinHostPort(s.cfg.Host, s.cfg.Port.String()))
	if err != nil {
		return s.explainListen(err)
	}
	defer s.tellStates(ctx)()
	defer s.watchAdmission(ctx)()
	defer s.background.end()
	if _, err := s.background.room(); err != nil {
		s.lg.Warn("uploads with async=true and strict=true are refused until the upload directory can be used", "err", err)
	}
	s.ln.Store(ln) // who comes earlier waits to be accepted
	served := make(chan error, 1)
	go func() { served <- s.app.Listener(ln) }()
	s.lg.Info("upload server is up", "addr", ln.Addr().String())
	select {
	case err := <-served:
		return fmt.Errorf("serving uploads on %s: %w", ln.Addr(), errors.Join(err, errEarly))
	case <-ctx.Done():
		s.drain(ln)
		return <-served
	}
}

var errEarly = errors.New("the listener ended before it was asked to")

func (s *Server) explainListen(err error) error {
	port := s.cfg.Port.String()
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("port %s for uploads is taken; stop what uses it, or choose another with flag http.port or environment variable HTTP_PORT: %w",
			port, err)
	}
	return fmt.Errorf("listening for uploads on host %q, port %s (flags http.host and http.port, environment HTTP_HOST and HTTP_PORT): %w",
		s.cfg.Host, port, err)
}

// watchAdmission looks once and keeps looking, uploads that finish after ctx has ended included, until end
// is called.
func (s *Server) watchAdmission(ctx context.Context) (end func()) {
	s.admission.look(ctx)
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var looking sync.WaitGroup
	looking.Go(func() { s.admission.run(ctx) })
	return func() { cancel(); looking.Wait() }
}

// tellStates has the states of uploads written until end is called, and the last of them then.
func (s *Server) tellStates(ctx context.Context) (end func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var telling sync.WaitGroup
	telling.Go(func() {
		if err := s.states.Run(ctx); err != nil {
			s.lg.Warn("telling the states of uploads", "err", err)
		}
	})
	return func() { cancel(); telling.Wait() }
}

// drain refuses new uploads, ends live streams, waits for what is under way, then closes. What does not end in time is cut.
func (s *Server) drain(ln *listener) {
	s.endWaits()
	s.endStreams(stopping())
	empty, noStreams := s.gate.close(), s.streamGate.close()
	s.background.end()
	if !settled(time.After(s.cfg.DrainTimeout), empty, noStreams) {
		s.lg.Warn("uploads did not finish in time and are cut", "after", s.cfg.DrainTimeout)
		s.endUploads(stopping())
		settled(time.After(time.Second), empty, noStreams)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := s.app.ShutdownWithContext(ctx); err != nil {
		s.lg.Warn("connections did not end in time and are cut", "err", err)
	}
	_ = ln.Close()   // closed already, unless it had not been handed over when the stop came
	ln.closeAll(ctx) // those that still linger over a refusal
}

// settled waits until all have ended; false when the deadline comes first.
func settled(deadline <-chan time.Time, all ...<-chan struct{}) bool {
	for _, ended := range all {
		select {
		case <-ended:
		case <-deadline:
			return false
		}
	}
	return true
}

// Addr gives the address that the server listens on; nil while it does not.
func (s *Server) Addr() net.Addr {
	if ln := s.ln.Load(); ln != nil {
		return ln.Addr()
	}
	return nil
}

// Ready is nil while uploads are served and the log answers.
func (s *Server) Ready() error {
	switch {
	case s.cfg.Off:
		return nil
	case s.gate.isClosed():
		return errors.New("stopping")
	case s.Addr() == nil:
		return errors.New("not listening yet")
	}
	_, err := s.head(context.Background())
	return err
}

// head asks the log for its head, within what a health probe waits.
func (s *Server) head(ctx context.Context) (events.Revision, error) {
	ctx, cancel := context.WithTimeout(ctx, 800*time.Millisecond)
	defer cancel()
	return s.log.Head(ctx)
}

// retryAfter writes the header in whole seconds, at least one.
func retryAfter(c *fiber.Ctx, d time.Duration) {
	c.Set(fiber.HeaderRetryAfter, strconv.Itoa(seconds(d)))
}

func seconds(d time.Duration) int { return max(1, int(d.Round(time.Second).Seconds())) }
