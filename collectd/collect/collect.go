package collect

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/collectd/partition"
	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

// log is what a collector needs of the event log (events.Log).
type log interface {
	Head(ctx context.Context) (events.Revision, error)
	Read(ctx context.Context, p events.Partition, after, upto events.Revision) iter.Seq2[events.Event, error]
	Watch(ctx context.Context, p events.Partition, after events.Revision) iter.Seq2[events.Batch, error]
}

// store is what a collector needs of the stored projections (snapshot.Store).
type store interface {
	LoadPartition(ctx context.Context, g projections.Generation, p events.Partition) (snapshot.Partition, error)
	Save(ctx context.Context, g projections.Generation, p events.Partition, c snapshot.Commit, guards ...clientv3.Cmp) error
	Series(ctx context.Context, g projections.Generation, p events.Partition,
		host events.HostID, windows []projections.Window) ([]snapshot.WindowSeries, error)
	Quarantined(ctx context.Context, p events.Partition) iter.Seq2[snapshot.Quarantined, error]
	WatchRetries(ctx context.Context, p events.Partition) iter.Seq2[[]snapshot.Mark, error]
}

// generations tells which generation to fold, now and whenever that changes (snapshot.Store).
type generations interface {
	Active(ctx context.Context) (projections.Generation, error)
	WatchActive(ctx context.Context) iter.Seq2[projections.Generation, error]
}

// owner hands out the partitions that are ours (partition.Ownership).
type owner interface {
	Run(ctx context.Context, generation string, hold func(*partition.Claim)) error
	Ready() error
}

// Collector folds the partitions that it owns. Make it with New; Run does the work.
type Collector struct {
	cfg     Config
	log     log
	store   store
	gens    generations
	owner   owner
	lg      *slog.Logger
	workers chan struct{} // a token per fold under way
	metrics *metrics
	behind  atomic.Int64 // partitions owned here that have not reached the head

	writable func() error                        // why nothing can be stored at the moment; nil when New made it
	measured []func(prometheus.Registerer) error // metrics of what Open made
	opened   []func() error                      // what Close closes

	// For tests: how an event is folded into its host's models (projections.Host.Apply), and the version of
	// the models (snapshot.ModelVersion).
	apply   func(*projections.Host, *events.Event) projections.Effect
	version int
}

// New makes a collector; it starts nothing and closes nothing that it is given.
func New(cfg Config, log log, store interface {
	store
	generations
}, owner owner, lg *slog.Logger) *Collector {
	if lg == nil {
		lg = slog.New(slog.DiscardHandler)
	}
	cfg = cfg.withDefaults()
	return &Collector{
		cfg: cfg, log: log, store: store, gens: store, owner: owner, lg: lg,
		workers: make(chan struct{}, cfg.Workers), metrics: newMetrics(),
		apply: (*projections.Host).Apply, version: snapshot.ModelVersion,
	}
}

// Ready is nil once every partition has an owner, those owned here are folded to near the head, and what is
// folded can be stored.
func (c *Collector) Ready() error {
	if err := c.owner.Ready(); err != nil {
		return err
	}
	if c.writable != nil {
		if err := c.writable(); err != nil {
			return err
		}
	}
	if n := c.behind.Load(); n > 0 {
		return fmt.Errorf("%d partitions are catching up with the log", n)
	}
	return nil
}

// Run folds until ctx ends; then it commits what is folded, gives its claims back and returns. It
// follows the active generation when that changes. It ends by itself, with events.ErrForeign, when the log has
// become another one than was opened: a process has to start anew on that.
func (c *Collector) Run(ctx context.Context) error {
	g, err := c.gens.Active(ctx)
	for err == nil && ctx.Err() == nil {
		g, err = c.runGeneration(ctx, g)
	}
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("collecting: %w", err)
}

// errSuperseded ends the work on a generation because another became active.
var errSuperseded = errors.New("another generation is active")

// runGeneration works on g until ctx ends or another generation is active, which it returns.
func (c *Collector) runGeneration(ctx context.Context, g projections.Generation) (projections.Generation, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan projections.Generation, 1)
	go func() {
		defer close(next)
		if n, ok := c.awaitOther(ctx, g); ok {
			next <- n
			cancel(errSuperseded)
		}
	}()
	err := c.owner.Run(ctx, string(g), func(claim *partition.Claim) {
		if err := c.hold(claim, g); err != nil {
			cancel(err)
		}
	})
	cancel(nil)
	if n, ok := <-next; ok {
		return n, nil
	}
	if cause := context.Cause(ctx); errors.Is(cause, errReplaced) {
		return g, cause
	}
	return g, err
}

// awaitOther waits for another generation than g to become active.
func (c *Collector) awaitOther(ctx context.Context, g projections.Generation) (projections.Generation, bool) {
	for ctx.Err() == nil {
		for active, err := range c.gens.WatchActive(ctx) {
			if err != nil {
				break
			}
			if active != g {
				return active, true
			}
		}
		sleep(ctx, c.cfg.PollInterval)
	}
	return "", false
}

// hold folds one partition for as long as its claim lives. What goes wrong on the way (etcd away, a
// damaged snapshot) is tried again from what is stored; only a failed guard ends the claim from here, and a log
// that was replaced the whole collector, by an error.
func (c *Collector) hold(claim *partition.Claim, g projections.Generation) error {
	ctx := claim.Context()
	lg := c.lg.With("partition", claim.Partition, "generation", g)
	c.metrics.owned.Inc()
	defer c.metrics.owned.Dec()
	standing := &standing{behind: &c.behind}
	standing.set(true)
	defer standing.set(false)
	for wait := c.cfg.PollInterval; ctx.Err() == nil; wait = min(2*wait, time.Minute) {
		f := newFollower(c, claim.Partition, claim, g, standing, lg)
		began := time.Now()
		err := f.run(ctx)
		if time.Since(began) > steady {
			wait = c.cfg.PollInterval
		}
		switch {
		case errors.Is(err, snapshot.ErrFenced):
			lg.Warn("stopped folding: claim lost", "err", err)
			claim.Lost(err)
			return nil
		case errors.Is(err, errReplaced):
			return err
		case err != nil && ctx.Err() == nil:
			standing.set(true)
			lg.Error("folding failed; starting again from what is stored", "err", err, "again_in", wait)
			c.metrics.restarts.Inc()
			sleep(ctx, wait)
		}
	}
	return nil
}

// standing is whether one partition is behind the log, counted in what Ready looks at. Its follower's
// folding goroutine sets it, and hold before and after that one runs.
type standing struct {
	behind *atomic.Int64
	is     bool
}

func (s *standing) set(behind bool) {
	if behind == s.is {
		return
	}
	s.is = behind
	if behind {
		s.behind.Add(1)
	} else {
		s.behind.Add(-1)
	}
}

// steady is how long a partition must have been folded for its next failure to count as the first.
const steady = 2 * time.Minute

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
