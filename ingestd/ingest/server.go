package ingest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gofiber/fiber/v2"
	"golang.org/x/sync/semaphore"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/events/access/fiberguard"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/listen"
	"telemetry-pipeline/events/trace/fibertrace"
	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/intake"
	"telemetry-pipeline/ingestd/jobs"
	"telemetry-pipeline/ingestd/pipeline"
	"telemetry-pipeline/ingestd/unpack"
	"telemetry-pipeline/ingestd/uploads"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

// eventLog is the part of the log that the server needs. A nil error of Append means that every event is durable; the
// results say of each, in order, whether it was created or was there already, and its revision. After an error some
// events may be there; appending them again does no harm.
type eventLog interface {
	Append(ctx context.Context, evs []events.Event) ([]eventlog.Appended, error)
	Facts() events.Facts
	Head(ctx context.Context) (events.Revision, error)
	// Capacity returns how full etcd is.
	Capacity(ctx context.Context) (eventlog.Capacity, error)
}

// projector is the part of the projections that the server needs.
type projector interface {
	// WaitVisible returns nil once everything up to the given positions, by partition, is visible in the active
	// generation.
	WaitVisible(ctx context.Context, upto map[events.Partition]events.Revision) error
	// QuarantinedOf returns the events of an upload that could not be folded, of those that are folded or passed.
	QuarantinedOf(ctx context.Context, f snapshot.UploadFilter) (snapshot.UploadQuarantine, error)
	// Host returns the models of a host in the active generation, the zero Host when there are none.
	Host(ctx context.Context, host events.HostID) (projections.Host, error)
	// WatchFolded yields how far partitions are folded in the active generation, then the changes, until ctx ends or the
	// positions cannot be known.
	WatchFolded(ctx context.Context) iter.Seq2[map[events.Partition]events.Revision, error]
}

// Server takes uploads over HTTP. Run serves; everything else is safe to call at any time.
type Server struct {
	cfg Config
	log eventLog
	lg  *slog.Logger

	app        *fiber.App
	gate       *access.Gate
	routes     *fiberguard.Router
	intake     intake.Config
	runner     *uploadRunner
	responder  *responder
	states     *uploads.Registry
	background *jobs.Background
	followers  *semaphore.Weighted // bounds the readers of progress

	slots       *slots
	smallSlots  *slots // of small uploads, by bytes
	streamSlots *slots // of live streams
	limiter     *clientLimiter
	admission   *admission
	totals      *totals
	started     time.Time
	ln          atomic.Pointer[listener] // nil until listening

	// Uploads live under this context, not under Run's: a stop lets them finish for a while. Those that are
	// stored and only wait to be visible are answered at once when a stop begins.
	uploads    context.Context
	endUploads context.CancelCauseFunc
	waits      context.Context // within uploads
	endWaits   context.CancelFunc
	streams    context.Context // within uploads; live streams end as soon as a stop begins
	endStreams context.CancelCauseFunc
}

// New returns a server that appends to a log; folded answers ?wait=true and reports the collectors' progress. It starts
// nothing.
func New(cfg Config, log eventLog, folded projector, lg *slog.Logger) (*Server, error) {
	if lg == nil {
		lg = slog.New(slog.DiscardHandler)
	}
	cfg = cfg.withDefaults()
	if err := cfg.checkFlags(); err != nil {
		return nil, fmt.Errorf("setting up the upload server: %w", err)
	}
	gate, err := access.OpenGate(cfg.Guard, "http.host", cfg.Host, cfg.Off || listen.IsLoopback(cfg.Host), lg)
	if err != nil {
		return nil, fmt.Errorf("setting up the upload server: %w", err)
	}
	s := &Server{
		cfg: cfg, gate: gate, log: log, lg: lg, totals: newTotals(), started: time.Now(), limiter: newClientLimiter(cfg.Rates),
		followers:   semaphore.NewWeighted(maxFollowers),
		slots:       newSlots(int64(cfg.Uploads), int64(cfg.PrincipalUploads), fmt.Sprintf("%d uploads", cfg.Uploads), cfg.QueueTimeout),
		smallSlots:  newSlots(cfg.smallMemory(), cfg.principalShare(cfg.smallMemory()), fmt.Sprintf("small uploads that take %d bytes of memory", cfg.smallMemory()), cfg.QueueTimeout),
		streamSlots: newSlots(int64(cfg.Streams.MaxStreams), cfg.principalShare(int64(cfg.Streams.MaxStreams)), fmt.Sprintf("%d live streams", cfg.Streams.MaxStreams), cfg.QueueTimeout),
		admission:   newAdmission(cfg.Thresholds, log, folded, lg),
		intake: intake.Config{
			MaxUploadSize: cfg.MaxUploadSize, ReadTimeout: cfg.ReadTimeout, MinRate: cfg.MinRate,
			Limits: cfg.Limits, Streams: cfg.Streams, Unpacking: cfg.Limits.Unpacking(),
		},
	}
	if cfg.AgeIdentity != "" {
		if s.intake.Unpacking.Identities, err = unpack.ReadIdentities(cfg.AgeIdentity); err != nil {
			return nil, fmt.Errorf("flag ingest.age-identity: %w", err)
		}
	}
	s.uploads, s.endUploads = context.WithCancelCause(context.Background())
	s.streams, s.endStreams = context.WithCancelCause(s.uploads)
	s.waits, s.endWaits = context.WithCancel(s.uploads)
	if s.states = cfg.States; s.states == nil {
		s.states = uploads.New(nil, eventlog.Config{}, lg)
	}
	keep := func(f *intake.File) (func(), error) { return s.background.KeepFile(f) }
	s.runner = &uploadRunner{
		Processor: pipeline.New(cfg.pipelineConfig(s.intake), log, storedHosts{folded, lg}, s.admission, s.totals.appendSeconds.Observe, keep),
		slots:     s.slots, admission: s.admission, folded: folded, totals: s.totals, lg: lg, guard: gate.Guard, waits: s.waits, waitTimeout: cfg.WaitTimeout,
	}
	s.responder = &responder{runner: s.runner, totals: s.totals, lg: lg, ln: &s.ln}
	s.background = jobs.New(jobs.Config{Spool: cfg.Spool, Workers: cfg.Background, Zone: cfg.Zone, Tracer: cfg.Tracer}, s.states, s.runner, lg)
	s.app = fiber.New(s.appConfig())
	s.routes = s.addRoutes()
	return s, nil
}

func (s *Server) appConfig() fiber.Config {
	return fiber.Config{
		StreamRequestBody:            true,
		DisablePreParseMultipartForm: true,
		Immutable:                    true,
		BodyLimit:                    int(s.cfg.MaxUploadSize), // not enforced on streams; intake.Body bounds them
		Concurrency:                  s.cfg.Connections,
		ReadTimeout:                  s.cfg.HeaderTimeout,
		WriteTimeout:                 30 * time.Second,
		IdleTimeout:                  2 * time.Minute,
		ReadBufferSize:               s.cfg.Limits.HeaderBytes, // also the bound of a request's header
		ErrorHandler:                 s.answerError,
		DisableStartupMessage:        true,
	}
}

// addRoutes registers the routes of the app, each with its right, and returns their router.
func (s *Server) addRoutes() *fiberguard.Router {
	s.app.Server().MaxConnsPerIP = s.cfg.ConnectionsPerIP
	s.app.Server().CloseOnShutdown = true
	s.app.Server().ExpectHandler = s.answerExpect
	routes := fiberguard.New(s.app, s.gate)
	s.app.Use(fibertrace.Requests(s.cfg.Tracer), s.logRequest, s.recoverPanic, routes.Shield)
	for _, path := range []string{uploadPath, uploadPath + "/:name"} {
		routes.Post(access.Ingest, path, s.limitClient, s.answerUpload)
		routes.Put(access.Ingest, path, s.limitClient, s.answerUpload)
	}
	routes.Get(access.Ingest, "/api/v1/uploads", s.listUploads)
	routes.Get(access.Ingest, "/api/v1/uploads/:id", s.getUpload)
	routes.Delete(access.Ingest, "/api/v1/uploads/:id", s.cancelUpload)
	routes.Get(access.Ingest, "/api/v1/uploads/:id/events", s.followUpload)
	routes.Get(access.Monitor, "/api/v1/status", s.answerStatus)
	routes.Get(access.Public, "/health", s.answerHealth)
	return routes
}

// answerError is the app's error handler. Some requests come to it alone, such as those whose header cannot be read.
func (s *Server) answerError(c *fiber.Ctx, err error) error {
	s.routes.SetHeaders(c)
	return s.responder.answerError(c, err)
}

// logRequest logs the answer of each request at level DEBUG. It answers errors, to know the status.
func (s *Server) logRequest(c *fiber.Ctx) error {
	if !s.lg.Enabled(c.UserContext(), slog.LevelDebug) {
		return c.Next()
	}
	began := time.Now()
	if err := c.Next(); err != nil {
		if err := s.answerError(c, err); err != nil {
			return err
		}
	}
	s.lg.LogAttrs(c.UserContext(), slog.LevelDebug, "answered", slog.String("method", c.Method()), slog.String("route", c.Route().Path),
		slog.Int("status", c.Response().StatusCode()), slog.Duration("took", time.Since(began)))
	return nil
}

// recoverPanic turns a panic into the error of one request.
func (s *Server) recoverPanic(c *fiber.Ctx) error { return pipeline.RecoverToError(c.Next) }

// Run listens, serves until ctx ends, lets uploads under way finish for DrainTimeout, and returns when
// all of it has ended. A server runs once.
func (s *Server) Run(ctx context.Context) error {
	defer s.endUploads(answer.ServerStopping())
	if s.cfg.Off {
		<-ctx.Done()
		return nil
	}
	ln, err := openListener(ctx, s.cfg)
	if err != nil {
		return explainListen(err, s.cfg)
	}
	defer s.publishStates(ctx)()
	defer s.watchAdmission(ctx)()
	defer s.background.Close()
	if err := s.background.OpenSpool(); err != nil {
		s.lg.Warn("uploads with async=true and strict=true are refused until the upload directory can be used", "err", err)
	}
	s.ln.Store(ln) // earlier connections wait to be accepted
	served := make(chan error, 1)
	go func() { served <- s.app.Listener(s.wrapTLS(ln)) }()
	s.lg.Info("upload server is up", "addr", ln.Addr().String())
	select {
	case err := <-served:
		return fmt.Errorf("serving uploads on %s: %w", ln.Addr(), errors.Join(err, errListenerEnded))
	case <-ctx.Done():
		s.drainUploads(ln)
		return <-served
	}
}

// wrapTLS returns the listener with the configured encryption.
func (s *Server) wrapTLS(ln net.Listener) net.Listener {
	if s.cfg.TLS == nil {
		return ln
	}
	return s.cfg.TLS.Wrap(ln)
}

var errListenerEnded = errors.New("the listener ended before it was asked to")

// explainListen names the settings that an error of listening concerns.
func explainListen(err error, cfg Config) error {
	port := cfg.Port.String()
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("port %s for uploads is taken; stop what uses it, or choose another with flag http.port or environment variable HTTP_PORT: %w",
			port, err)
	}
	return fmt.Errorf("listening for uploads on host %q, port %s (flags http.host and http.port, environment HTTP_HOST and HTTP_PORT): %w",
		cfg.Host, port, err)
}

// watchAdmission refreshes admission once and keeps refreshing it until end is called, for uploads that finish after ctx
// has ended too.
func (s *Server) watchAdmission(ctx context.Context) (end func()) {
	s.admission.refreshState(ctx)
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var looking sync.WaitGroup
	looking.Go(func() { s.admission.runRefreshes(ctx) })
	return func() { cancel(); looking.Wait() }
}

// publishStates writes the states of uploads until end is called, and the last of them then.
func (s *Server) publishStates(ctx context.Context) (end func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var publishing sync.WaitGroup
	publishing.Go(func() {
		if err := s.states.Run(ctx); err != nil {
			s.lg.Warn("publishing the states of uploads", "err", err)
		}
	})
	return func() { cancel(); publishing.Wait() }
}

// drainUploads refuses new uploads, ends live streams, waits for uploads under way, then closes. Uploads that do not
// end in time are cut.
func (s *Server) drainUploads(ln *listener) {
	s.endWaits()
	s.endStreams(answer.ServerStopping())
	empty, noSmall, noStreams := s.slots.closeSlots(), s.smallSlots.closeSlots(), s.streamSlots.closeSlots()
	s.background.Close()
	if !waitAll(time.After(s.cfg.DrainTimeout), noSmall, empty, noStreams) {
		s.lg.Warn("uploads did not finish in time and are cut", "after", s.cfg.DrainTimeout)
		s.endUploads(answer.ServerStopping())
		waitAll(time.After(time.Second), noSmall, empty, noStreams)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := s.app.ShutdownWithContext(ctx); err != nil {
		s.lg.Warn("connections did not end in time and are cut", "err", err)
	}
	_ = ln.Close()     // closed already, unless it had not been handed over when the stop came
	ln.closeConns(ctx) // those that still linger over a refusal
}

// waitAll waits until all have ended. It returns false when the deadline comes first.
func waitAll(deadline <-chan time.Time, all ...<-chan struct{}) bool {
	for _, ended := range all {
		select {
		case <-ended:
		case <-deadline:
			return false
		}
	}
	return true
}

// Addr returns the address that the server listens on; nil while it does not.
func (s *Server) Addr() net.Addr {
	if ln := s.ln.Load(); ln != nil {
		return ln.Addr()
	}
	return nil
}

// Ready returns nil while uploads are served and the log answers.
func (s *Server) Ready() error {
	switch {
	case s.cfg.Off:
		return nil
	case s.slots.isClosed():
		return errors.New("stopping")
	case s.Addr() == nil:
		return errors.New("not listening yet")
	}
	_, err := readHead(context.Background(), s.log)
	return err
}

// readHead returns the log's head, within the time that a health probe waits.
func readHead(ctx context.Context, log eventLog) (events.Revision, error) {
	ctx, cancel := context.WithTimeout(ctx, 800*time.Millisecond)
	defer cancel()
	return log.Head(ctx)
}
