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

// eventReader is the part of the event log that a collector reads (eventlog.Log).
type eventReader interface {
	Head(ctx context.Context) (events.Revision, error)
	Read(ctx context.Context, p events.Partition, after, upto events.Revision) iter.Seq2[events.Event, error]
	Watch(ctx context.Context, p events.Partition, after events.Revision) iter.Seq2[eventlog.Batch, error]
}

// archiveReader reads archived events by their revisions (manifest.Reader).
type archiveReader interface {
	ReadAt(ctx context.Context, p events.Partition, revisions []int64) iter.Seq2[events.Event, error]
}

// projectionStore is the part of the stored projections that a collector uses (snapshot.Store).
type projectionStore interface {
	LoadPartition(ctx context.Context, g projections.Generation, p events.Partition) (snapshot.Partition, error)
	Save(ctx context.Context, g projections.Generation, p events.Partition, c snapshot.Commit, guards ...clientv3.Cmp) error
	Series(ctx context.Context, g projections.Generation, p events.Partition,
		host events.HostID, windows []projections.Window) ([]projections.WindowSeries, error)
	Quarantined(ctx context.Context, g projections.Generation, p events.Partition) iter.Seq2[snapshot.Quarantined, error]
	WatchRetries(ctx context.Context, p events.Partition) iter.Seq2[[]snapshot.RetryRequest, error]
}

// Collector folds the partitions that it owns. Open makes a Collector; Run does the work.
type Collector struct {
	cfg           Config
	log           eventReader   // reads the log and, for events that have left it, the archive
	etcdLog       eventReader   // reads the log alone
	archive       archiveReader // nil in tests of folding alone: the log has every event
	store         projectionStore
	merger        merger // nil in tests of folding alone: chunks are never merged
	gens          *snapshot.Store
	owner         *partition.Ownership
	keeper        *retain.Keeper // nil in tests of folding alone: everything stays in etcd
	foreign       *foreign.Taker // nil in the same tests: no foreign key is imported
	meter         *logMeter      // nil in the same tests: the log is not measured
	passed        appender       // nil in the same tests: no host leaves
	lg            *slog.Logger
	workers       chan struct{} // a token per fold in progress
	limiter       *catchUpLimiter
	pacer         *commitPacer
	merging       chan struct{} // a token for the window whose chunks are merged
	metrics       *metrics
	quarantined   quarantinedTotal // in the partitions owned here
	status        *generationStatus
	idleWarnedFor projections.Generation // active generation of the last idle warning; used by the goroutine of runGenerations only

	writable      func() error                        // reports why nothing can be stored at the moment
	registrations []func(prometheus.Registerer) error // register the metrics of the parts that Open made
	closers       []func() error                      // called by Close

	// Replaced by tests: apply folds an event into its host's models (projections.Host.ApplyWithin); version is the version
	// of the models (snapshot.ModelVersion).
	apply   applyEvent
	version int
}

// applyEvent folds an event into its host's models within bounds (projections.Host.ApplyWithin).
type applyEvent func(*projections.Host, *events.Event, projections.Bounds) projections.Effect

// quarantinedTotal is the content of the quarantines of several partitions.
type quarantinedTotal struct{ events, records atomic.Int64 }

// newCollector returns a collector without the parts that share partitions and lead generations.
func newCollector(cfg Config, log eventReader, store projectionStore, lg *slog.Logger) *Collector {
	if lg == nil {
		lg = slog.New(slog.DiscardHandler)
	}
	cfg = cfg.withDefaults()
	return &Collector{
		cfg: cfg, log: log, etcdLog: log, store: store, lg: lg, metrics: newMetrics(), status: newGenerationStatus(),
		workers: make(chan struct{}, cfg.Workers), limiter: newCatchUpLimiter(max(1, cfg.Workers/2)),
		pacer: &commitPacer{}, merging: make(chan struct{}, 1),
		apply: (*projections.Host).ApplyWithin, version: snapshot.ModelVersion,
	}
}

// Ready returns nil once every partition of the active generation has an owner, the partitions owned here are folded
// to near the head, and folded events can be stored. While the active generation has another model version a
// collector is not ready, so an upgrade waits until the new version is active.
func (c *Collector) Ready() error {
	w, err := c.status.activeRun(c.version)
	if err != nil {
		return err
	}
	if err := c.owner.Ready(string(w.generation)); err != nil {
		return err
	}
	if err := c.writable(); err != nil {
		return err
	}
	if w.otherLog.Load() {
		return fmt.Errorf("generation %s: %w", w.generation, errOtherLog)
	}
	if n := w.behind.Load(); n > 0 {
		return fmt.Errorf("%d partitions are catching up with the log", n)
	}
	return nil
}

// Degraded returns an error that says how many events are in the quarantine of the partitions owned here, and that etcd
// refuses compaction if it does, or nil.
func (c *Collector) Degraded() error {
	if c.keeper == nil {
		return c.quarantineDegraded()
	}
	return errors.Join(c.quarantineDegraded(), c.keeper.Degraded())
}

func (c *Collector) quarantineDegraded() error {
	n, records := c.quarantined.events.Load(), c.quarantined.records.Load()
	if n == 0 {
		return nil
	}
	return fmt.Errorf("quarantined events: %d; their records, as far as they are known: %d; they are in no view: "+
		"GET /api/v1/quarantine of queryd lists them, and docs/runbooks/quarantine.md says what to do", n, records)
}

// Run folds until ctx ends; then it commits everything folded, releases its claims and returns. It works on the
// active generation and, beside it, on a generation that is to follow. It ends by itself, with events.ErrForeign,
// when the log was replaced since it was opened: the process has to be restarted for the new log.
func (c *Collector) Run(ctx context.Context) error {
	var failed error
	err := c.owner.Run(ctx, func(ctx context.Context) { failed = c.runGenerations(ctx) })
	if err = cmp.Or(err, failed); err == nil || ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("collecting: %w", err)
}

// foldClaim folds one partition for as long as its claim lives. After an error on the way (etcd away, a damaged
// snapshot) it starts again from the stored state. A failed guard ends the claim, and a replaced log is returned as
// an error, which ends the whole collector. The owner of the first partition leads the generation.
func (c *Collector) foldClaim(claim *partition.Claim, w *generationRun) error {
	ctx := claim.Context()
	lg := c.lg.With("partition", claim.Partition, "generation", w.generation)
	c.metrics.owned.Inc()
	defer c.metrics.owned.Dec()
	lag := &lagState{behind: &w.behind}
	lag.setBehind(true)
	defer lag.setBehind(false)
	if claim.Partition == leadPartition {
		var leading sync.WaitGroup
		defer leading.Wait()
		leading.Go(func() { c.leadGeneration(ctx, w, claim) })
		leading.Go(func() { c.compactEtcd(ctx, w) })
		leading.Go(func() { c.takeForeign(ctx, w, claim) })
		leading.Go(func() { c.measureLog(ctx, w) })
	}
	for pause := (wait.Backoff{Least: c.cfg.PollInterval, Most: time.Minute}); ctx.Err() == nil; {
		f := newFollower(c, claim.Partition, claim, w, lag, lg)
		began := time.Now()
		err := f.foldPartition(ctx)
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
		case errors.Is(err, errOtherLog):
			lag.setBehind(true)
			if !w.otherLog.Swap(true) {
				lg.Error("folding of this generation has stopped", "err", err)
			}
			<-ctx.Done() // retrying cannot help
			return nil
		case err != nil && ctx.Err() == nil:
			lag.setBehind(true)
			again := pause.Next()
			lg.Error("folding failed; starting again from the stored state", "err", err, "again_in", again)
			c.metrics.restarts.Inc()
			wait.Sleep(ctx, again)
		}
	}
	return nil
}

// lagState records whether one partition is behind the log, and counts it among the partitions that Ready waits for.
// The follower's folding goroutine sets it, and foldClaim sets it before and after the follower runs.
type lagState struct {
	behind  *atomic.Int64
	counted bool
}

func (l *lagState) setBehind(behind bool) {
	if behind == l.counted {
		return
	}
	l.counted = behind
	if behind {
		l.behind.Add(1)
	} else {
		l.behind.Add(-1)
	}
}

// steady is the minimum folding time after which the next failure counts as the first.
const steady = 2 * time.Minute
