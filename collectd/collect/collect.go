package collect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/collectd/foreign"
	"telemetry-pipeline/collectd/partition"
	"telemetry-pipeline/collectd/retain"
	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/wait"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

// log is what a collector needs of the event log (eventlog.Log).
type log interface {
	Head(ctx context.Context) (events.Revision, error)
	Read(ctx context.Context, p events.Partition, after, upto events.Revision) iter.Seq2[events.Event, error]
	Watch(ctx context.Context, p events.Partition, after events.Revision) iter.Seq2[eventlog.Batch, error]
}

// store is what a collector needs of the stored projections (snapshot.Store).
type store interface {
	LoadPartition(ctx context.Context, g projections.Generation, p events.Partition) (snapshot.Partition, error)
	Save(ctx context.Context, g projections.Generation, p events.Partition, c snapshot.Commit, guards ...clientv3.Cmp) error
	Series(ctx context.Context, g projections.Generation, p events.Partition,
		host events.HostID, windows []projections.Window) ([]snapshot.WindowSeries, error)
	Quarantined(ctx context.Context, g projections.Generation, p events.Partition) iter.Seq2[snapshot.Quarantined, error]
	WatchRetries(ctx context.Context, p events.Partition) iter.Seq2[[]snapshot.RetryRequest, error]
}

// Collector folds the partitions that it owns. Make it with Open; Run does the work.
type Collector struct {
	cfg        Config
	log        log // with what has left it for the archive
	present    log // without
	store      store
	merger     merger // nil in tests of folding alone: chunks stay as they are
	gens       *snapshot.Store
	owner      *partition.Ownership
	keeper     *retain.Keeper // nil in tests of folding alone: everything stays in etcd
	foreign    *foreign.Taker // nil in them too: no key is taken in
	lg         *slog.Logger
	workers    chan struct{} // a token per fold under way
	limiter    *catchUpLimiter
	merging    chan struct{} // a token for the window whose chunks are merged
	metrics    *metrics
	picture    *picture
	idleBeside projections.Generation // said to be idle beside that one; of runGenerations' goroutine

	writable func() error                        // why nothing can be stored at the moment
	measured []func(prometheus.Registerer) error // metrics of what Open made
	opened   []func() error                      // what Close closes

	// For tests: how an event is folded into its host's models (projections.Host.Apply), and the version of the
	// models (snapshot.ModelVersion).
	apply   func(*projections.Host, *events.Event) projections.Effect
	version int
}

// newCollector makes a collector without what shares partitions and leads generations.
func newCollector(cfg Config, log log, store store, lg *slog.Logger) *Collector {
	if lg == nil {
		lg = slog.New(slog.DiscardHandler)
	}
	cfg = cfg.withDefaults()
	return &Collector{
		cfg: cfg, log: log, present: log, store: store, lg: lg, metrics: newMetrics(), picture: newPicture(),
		workers: make(chan struct{}, cfg.Workers), limiter: newCatchUpLimiter(max(1, cfg.Workers/2)),
		merging: make(chan struct{}, 1),
		apply:   (*projections.Host).Apply, version: snapshot.ModelVersion,
	}
}

// Ready is nil once every partition has an owner, those owned here are folded to near the head, and what is folded can
// be stored: all in the active generation. As long as that is of another model version a collector is not ready, so
// that an upgrade waits until the new version is active.
func (c *Collector) Ready() error {
	w, err := c.picture.served(c.version)
	if err != nil {
		return err
	}
	if err := c.owner.Ready(string(w.generation)); err != nil {
		return err
	}
	if err := c.writable(); err != nil {
		return err
	}
	if w.ofAnother.Load() {
		return fmt.Errorf("generation %s: %w", w.generation, errOfAnother)
	}
	if n := w.behind.Load(); n > 0 {
		return fmt.Errorf("%d partitions are catching up with the log", n)
	}
	return nil
}

// Run folds until ctx ends; then it commits what is folded, gives its claims back and returns. It works on the active
// generation, and beside it on one that is to follow, whenever there is one. It ends by itself, with events.ErrForeign,
// when the log has become another one than was opened: a process has to start anew on that.
func (c *Collector) Run(ctx context.Context) error {
	var failed error
	err := c.owner.Run(ctx, func(ctx context.Context) { failed = c.runGenerations(ctx) })
	if err = cmp.Or(err, failed); err == nil || ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("collecting: %w", err)
}

// hold folds one partition for as long as its claim lives. What goes wrong on the way (etcd away, a
// damaged snapshot) is tried again from what is stored; only a failed guard ends the claim from here, and a log
// that was replaced the whole collector, by an error. The owner of the first partition leads the generation.
func (c *Collector) hold(claim *partition.Claim, w *work) error {
	ctx := claim.Context()
	lg := c.lg.With("partition", claim.Partition, "generation", w.generation)
	c.metrics.owned.Inc()
	defer c.metrics.owned.Dec()
	lag := &lagState{behind: &w.behind}
	lag.set(true)
	defer lag.set(false)
	if claim.Partition == leadPartition {
		var leading sync.WaitGroup
		defer leading.Wait()
		leading.Go(func() { c.leadGeneration(ctx, w, claim) })
		leading.Go(func() { c.compact(ctx, w) })
		leading.Go(func() { c.takeForeign(ctx, w, claim) })
	}
	for pause := (wait.Backoff{Least: c.cfg.PollInterval, Most: time.Minute}); ctx.Err() == nil; {
		f := newFollower(c, claim.Partition, claim, w, lag, lg)
		began := time.Now()
		err := f.run(ctx)
		if time.Since(began) > steady {
			pause.Reset()
		}
		switch {
		case errors.Is(err, snapshot.ErrFenced):
			lg.Info("stopped folding: the claim is lost, or the generation retired", "err", err)
			claim.Lost(err)
			return nil
		case errors.Is(err, errReplaced):
			return err
		case errors.Is(err, errOfAnother):
			lag.set(true)
			if !w.ofAnother.Swap(true) {
				lg.Error("nothing of this generation is folded on", "err", err)
			}
			<-ctx.Done() // it will not get better by trying
			return nil
		case err != nil && ctx.Err() == nil:
			lag.set(true)
			again := pause.Next()
			lg.Error("folding failed; starting again from what is stored", "err", err, "again_in", again)
			c.metrics.restarts.Inc()
			wait.Sleep(ctx, again)
		}
	}
	return nil
}

// lagState records whether one partition is behind the log, and counts it among those for which Ready waits. Its
// follower's folding goroutine sets it, and hold before and after that one runs.
type lagState struct {
	behind *atomic.Int64
	is     bool
}

func (l *lagState) set(behind bool) {
	if behind == l.is {
		return
	}
	l.is = behind
	if behind {
		l.behind.Add(1)
	} else {
		l.behind.Add(-1)
	}
}

// steady is how long a partition must have been folded for its next failure to count as the first.
const steady = 2 * time.Minute
