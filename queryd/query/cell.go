package query

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/archive/manifest"
	"telemetry-pipeline/events/wait"
	"telemetry-pipeline/projections/snapshot"
	"telemetry-pipeline/queryd/rest"
)

// Source is a cluster that a gateway serves.
type Source struct {
	Name string // as cells.CheckName takes it, and unique
	// Open connects to the cluster. It returns within a bounded time, and is called again after it failed, or when another log has
	// taken the place of the cluster's.
	Open func(ctx context.Context, lg *slog.Logger) (*Opened, error)
	// Metrics registers metrics that are there while the cluster is away too; nil: there are none.
	Metrics func(prometheus.Registerer) error
}

// Opened is a cluster that a gateway is connected to.
type Opened struct {
	Store    *snapshot.Store
	Log      log
	Archive  *archive.Store // nil: there is none
	Manifest *manifest.Manifest
	Close    func() error
}

// cell is a cluster behind a gateway. Run connects to it and keeps its view; all other methods are safe to call at any time.
type cell struct {
	source Source
	cfg    Config
	lg     *slog.Logger

	current atomic.Pointer[services] // nil while the cluster is not connected

	mu      sync.Mutex
	reg     prometheus.Registerer // nil: metrics are not wanted
	failure error                 // of the last attempt to connect, or of the last connection; nil once its view is loaded
	since   time.Time             // when the cluster was disconnected
}

func newCell(source Source, cfg Config, lg *slog.Logger) *cell {
	return &cell{source: source, cfg: cfg, lg: lg.With("cluster", source.Name), since: time.Now()}
}

// The pauses between attempts to connect.
const (
	firstPause = 500 * time.Millisecond
	lastPause  = 15 * time.Second
)

// run keeps the cluster connected until ctx ends.
func (c *cell) run(ctx context.Context) {
	pause := firstPause
	for ctx.Err() == nil {
		connected, err := c.serve(ctx)
		if ctx.Err() != nil {
			return
		}
		if connected {
			pause = firstPause
		}
		c.lg.Warn("cluster is away; it is tried again", "in", pause, "err", err)
		wait.Sleep(ctx, pause)
		pause = min(2*pause, lastPause)
	}
}

// serve connects to the cluster and keeps its view until ctx ends, or another log has taken the place of the cluster's.
func (c *cell) serve(ctx context.Context) (connected bool, err error) {
	defer func() { c.setAway(err) }()
	opened, err := c.source.Open(ctx, c.lg)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	own, err := newServices(c.cfg, opened.Store, opened.Log, c.lg)
	if err != nil {
		return false, err
	}
	own.api.InCluster(c.source.Name)
	if opened.Archive == nil {
		own.RefuseArchived(opened.Store, opened.Manifest)
	} else {
		own.ReadArchive(opened.Archive, opened.Manifest)
	}
	metrics := &collected{Registerer: c.registerer()}
	defer metrics.unregisterAll()
	if err := errors.Join(own.registerMetrics(metrics), opened.Store.Metrics(metrics)); err != nil {
		return false, fmt.Errorf("registering metrics: %w", err)
	}
	c.current.Store(own)
	defer c.current.Store(nil)
	defer own.api.EndWaits()
	return true, own.hub.Run(ctx)
}

// setAway notes why the cluster is not connected.
func (c *cell) setAway(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failure == nil {
		c.since = time.Now()
	}
	if c.failure = err; err == nil {
		c.failure = errStopping
	}
}

// restCell returns the cluster for REST.
func (c *cell) restCell() rest.Cell {
	if own := c.current.Load(); own != nil {
		return rest.Cell{Name: c.source.Name, API: own.api}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	out := rest.Cell{Name: c.source.Name, Reason: "connecting", Since: c.since}
	if c.failure != nil {
		out.Reason = c.failure.Error()
	}
	return out
}

// isSettled reports whether the cluster has a view, or is known to be away.
func (c *cell) isSettled() bool {
	if own := c.current.Load(); own != nil {
		return own.hub.Ready() == nil || own.hub.Degraded() != nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failure != nil
}

// hasView reports whether there is a view to serve.
func (c *cell) hasView() bool {
	own := c.current.Load()
	return own != nil && own.hub.Ready() == nil
}

// registerer returns where the metrics of the cluster are registered, with its name as their label.
func (c *cell) registerer() prometheus.Registerer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reg == nil {
		return prometheus.NewRegistry()
	}
	return prometheus.WrapRegistererWith(prometheus.Labels{"cluster": c.source.Name}, c.reg)
}

// setRegisterer sets where metrics are registered from the next connection on.
func (c *cell) setRegisterer(reg prometheus.Registerer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reg = reg
}

// collected is a registerer that can take back everything that was registered.
type collected struct {
	prometheus.Registerer
	all []prometheus.Collector
}

// Register registers a collector.
func (r *collected) Register(c prometheus.Collector) error {
	err := r.Registerer.Register(c)
	if err == nil {
		r.all = append(r.all, c)
	}
	return err
}

func (r *collected) unregisterAll() {
	for _, c := range r.all {
		r.Unregister(c)
	}
}
