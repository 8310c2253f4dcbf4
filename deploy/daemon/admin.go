package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"telemetry-pipeline/events/access"
	"telemetry-pipeline/events/build"
	"telemetry-pipeline/events/listen"
)

// admin is the listener for the platform and its people, apart from user traffic.
type admin struct {
	server *http.Server
	gate   *access.Gate
	reg    *prometheus.Registry
	parts  atomic.Pointer[[]Part] // nil until built
	served chan error
}

// openAdmin opens the listener. One that other machines reach needs an entrance that asks who calls.
func openAdmin(ctx context.Context, c config, in *Entrance, lg *slog.Logger) (*admin, error) {
	if err := in.Guard.CheckExposed("admin.host", c.adminHost, listen.IsLoopback(c.adminHost)); err != nil {
		return nil, &UsageError{err.Error()}
	}
	ln, err := listen.Open(ctx, c.adminHost, c.adminPort)
	if err != nil {
		address := net.JoinHostPort(c.adminHost, strconv.Itoa(c.adminPort))
		return nil, fmt.Errorf("opening the admin listener on %s (set -admin.port or ADMIN_PORT to a free port): %w", address, err)
	}
	a := &admin{gate: in.Guard.NewGate(listen.IsLoopback(c.adminHost)), reg: prometheus.NewRegistry(), served: make(chan error, 1)}
	a.reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	a.ownRegisterer().MustRegister(newBuildInfo())
	a.server = &http.Server{
		Handler: a.newHandler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(lg.Handler(), slog.LevelDebug),
	}
	go func() { a.served <- a.server.Serve(in.TLS.Wrap(ln)) }()
	lg.Info("admin listener is up", "addr", ln.Addr().String())
	return a, nil
}

// metricPrefix begins the names of the metrics of all parts, so that they are unique in a Prometheus of many programs. Parts register
// without it; the metrics of Go and of the process keep their common names.
const metricPrefix = "telemetry_"

// ownRegisterer returns the registerer that puts the prefix before each name.
func (a *admin) ownRegisterer() prometheus.Registerer {
	return prometheus.WrapRegistererWithPrefix(metricPrefix, a.reg)
}

// newBuildInfo returns a gauge that is always 1 and has the build of the program as its labels.
func newBuildInfo() prometheus.Collector {
	info := build.Read()
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "build_info", Help: "Version, revision and toolchain of the running program; the value is always 1.",
		ConstLabels: prometheus.Labels{"version": info.Version, "revision": info.Revision, "goversion": info.Go},
	}, func() float64 { return 1 })
}

// adminRoute is a route with the right that it needs.
type adminRoute struct {
	pattern string
	need    access.Right
	serve   http.HandlerFunc
}

// routes returns the routes. Health and readiness are for the platform's probes, which have no credentials.
func (a *admin) routes() []adminRoute {
	return []adminRoute{
		{"GET /health", access.Public, a.serveHealth},
		{"GET /ready", access.Public, a.serveReady},
		{"GET /api/v1/status", access.Operate, a.serveStatus},
		{"GET /metrics", access.Monitor, promhttp.HandlerFor(a.reg, promhttp.HandlerOpts{}).ServeHTTP},
		{"GET /debug/pprof/", access.Debug, pprof.Index},
		{"GET /debug/pprof/cmdline", access.Debug, pprof.Cmdline},
		{"GET /debug/pprof/profile", access.Debug, pprof.Profile},
		{"GET /debug/pprof/symbol", access.Debug, pprof.Symbol},
		{"POST /debug/pprof/symbol", access.Debug, pprof.Symbol},
		{"GET /debug/pprof/trace", access.Debug, pprof.Trace},
	}
}

// newHandler returns the handler of all routes behind the gate.
func (a *admin) newHandler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range a.routes() {
		mux.Handle(r.pattern, a.guardRoute(r))
	}
	return a.shield(mux)
}

// attachParts makes the built parts known to readiness and registers their metrics.
func (a *admin) attachParts(parts []Part) error {
	for _, p := range parts {
		if p.Metrics == nil {
			continue
		}
		if err := p.Metrics(a.ownRegisterer()); err != nil {
			return fmt.Errorf("registering the metrics of %s: %w", p.Name, err)
		}
	}
	if err := a.ownRegisterer().Register(newPartStates(parts)); err != nil {
		return fmt.Errorf("registering the states of parts: %w", err)
	}
	a.parts.Store(&parts)
	return nil
}

// serveHealth answers that the process is alive, and with the parts that people have to look after. Its status is always
// 200: a restart would not help.
func (a *admin) serveHealth(w http.ResponseWriter, _ *http.Request) {
	degraded := map[string]string{}
	if parts := a.parts.Load(); parts != nil {
		for _, p := range *parts {
			if p.Degraded == nil {
				continue
			}
			if err := p.Degraded(); err != nil {
				degraded[p.Name] = err.Error()
			}
		}
	}
	if len(degraded) > 0 {
		writeJSON(w, http.StatusOK, map[string]any{"status": "degraded", "degraded": degraded})
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"status": "alive"})
}

// serveReady answers with the parts that are not current, and why.
func (a *admin) serveReady(w http.ResponseWriter, _ *http.Request) {
	waiting := map[string]string{}
	parts := a.parts.Load()
	if parts == nil {
		waiting["process"] = "starting"
		parts = new([]Part)
	}
	for _, p := range *parts {
		if p.Ready == nil {
			continue
		}
		if err := p.Ready(); err != nil {
			waiting[p.Name] = err.Error()
		}
	}
	if len(waiting) > 0 {
		writeJSON(w, http.StatusServiceUnavailable, map[string]any{"status": "not ready", "waiting": waiting})
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"status": "ready"})
}

// statusTimeout bounds how long a status may take to collect.
const statusTimeout = 10 * time.Second

// serveStatus answers with the status of every part that has one. A part whose status fails does not hide the others.
func (a *admin) serveStatus(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), statusTimeout)
	defer cancel()
	statuses, code := map[string]any{}, http.StatusOK
	if parts := a.parts.Load(); parts != nil {
		for _, p := range *parts {
			if p.Status == nil {
				continue
			}
			status, err := p.Status(ctx)
			if statuses[p.Name] = status; err != nil {
				statuses[p.Name], code = map[string]any{"error": err.Error()}, http.StatusServiceUnavailable
			}
		}
	}
	writeJSON(w, code, map[string]any{"success": code == http.StatusOK, "data": statuses})
}

func writeJSON(w http.ResponseWriter, status int, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// A client that hung up is no error.
	_ = json.NewEncoder(w).Encode(body)
}

// closeListener ends the listener. Requests under way have a second; after that their connections are closed, which is no error: no client may
// make an orderly stop fail.
func (a *admin) closeListener() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := a.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = a.server.Close()
	}
	if served := <-a.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
