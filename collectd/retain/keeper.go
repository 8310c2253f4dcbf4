package retain

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/archive/manifest"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/wait"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

// log is the part of the event log that a Keeper needs (eventlog.Log).
type log interface {
	Head(ctx context.Context) (events.Revision, error)
	Capacity(ctx context.Context) (eventlog.Capacity, error)
	Read(ctx context.Context, p events.Partition, after, upto events.Revision) iter.Seq2[events.Event, error]
	List(ctx context.Context, q events.Listing) (refs []events.Ref, more bool, err error)
	Fetch(ctx context.Context, refs []events.Ref) iter.Seq2[events.Event, error]
	Remove(ctx context.Context, refs []events.Ref, pace func(ctx context.Context) bool, guards ...clientv3.Cmp) (int, error)
}

// Keeper keeps the partitions that collectors of one process own within bounds. Safe for concurrent use.
type Keeper struct {
	cfg        Config
	log        log
	saved      *snapshot.Store
	manifest   *manifest.Manifest
	store      objectStore // nil without an archive
	url        string      // of the archive
	etcd       *clientv3.Client
	root       eventlog.Config
	lg         *slog.Logger
	partitions int
	metrics    *metrics
	pressure   pressure
	turns      objectTurns

	compactionRefused atomic.Bool // the last compaction
}

// objectStore stores archive objects (archive.Store).
type objectStore interface {
	Write(ctx context.Context, r archive.Range, evs iter.Seq2[events.Event, error]) (archive.Entry, error)
	Merge(ctx context.Context, entries []archive.Entry) (archive.Entry, error)
	Remove(ctx context.Context, name string) error
}

// New returns a keeper and starts nothing. store is nil where there is no archive. etcd is a client that the caller
// keeps and closes.
func New(cfg Config, root eventlog.Config, log *eventlog.Log, saved *snapshot.Store, store *archive.Store, etcd *clientv3.Client, lg *slog.Logger) *Keeper {
	if lg == nil {
		lg = slog.New(slog.DiscardHandler)
	}
	k := &Keeper{
		cfg: cfg.withDefaults(), log: log, saved: saved, etcd: etcd, root: root, lg: lg, partitions: log.Facts().Partitions,
		manifest: manifest.New(etcd, root, log.Facts()),
		metrics:  newMetrics(), turns: newObjectTurns(),
	}
	if store != nil {
		k.store, k.url = store, store.String()
	}
	k.pressure = pressure{share: k.cfg.HotShare, measure: log.Capacity, step: k.cfg.Grace}
	return k
}

// Partition is a partition that is folded here in the active generation.
type Partition struct {
	ID         events.Partition
	Generation projections.Generation
	Guard      func() clientv3.Cmp
	// Folded returns the position up to which the partition is folded and stored, and the number of folded records.
	Folded func() Folded
	// Cool stores that windows from hotFrom on are in etcd, and earlier ones perhaps not.
	Cool func(ctx context.Context, hotFrom projections.Window) error
}

// Folded is the progress of folding a partition.
type Folded struct {
	Upto    events.Revision // every event up to here is in stored projections
	Records int64           // folded so far; only its growth matters
	HotFrom projections.Window
}

// Keep archives, merges and removes due data of a partition until ctx ends, or its claim is lost. Failures are logged
// and tried again: folding does not depend on them.
func (k *Keeper) Keep(ctx context.Context, p Partition) {
	t := newPartitionKeeper(k, p)
	defer t.dropMetrics()
	for pause := (wait.Backoff{Least: 2 * k.cfg.Look, Most: time.Minute}); ctx.Err() == nil; {
		again, err := t.runOnce(ctx)
		switch {
		case errors.Is(err, manifest.ErrFenced), errors.Is(err, eventlog.ErrFenced), errors.Is(err, snapshot.ErrFenced):
			return
		case errors.Is(err, manifest.ErrChanged):
			t.loaded = false
		case err != nil && ctx.Err() == nil:
			t.loaded = false
			k.metrics.failures.Inc()
			again := pause.Next()
			t.lg.Warn("archiving and retention failed; trying again", "err", err, "again_in", again)
			wait.Sleep(ctx, again)
			continue
		case again:
			continue
		default:
			pause.Reset()
		}
		wait.Sleep(ctx, k.cfg.Look)
	}
}

// partitionKeeper keeps one partition for as long as one owner holds its claim. One goroutine uses it.
type partitionKeeper struct {
	*Keeper
	Partition
	lg *slog.Logger

	loaded bool // manifest and pending are known
	part   manifest.Partition

	pending pendingRecords
	heads   valueHistory[int64]              // heads of the archive
	hot     valueHistory[projections.Window] // Offsets.HotFrom as stored

	lastRecords      int64           // Folded.Records
	grownAt          time.Time       // time of the last growth
	removed          events.Revision // events up to here have left the log; without an archive except quarantined ones
	removalCheckedAt time.Time       // last check for events that may leave
	removedResetAt   time.Time       // last reset of removed, so that events that have left the quarantine leave too
	chunksCheckedAt  time.Time
	held             bool // a generation being built holds events back
	reportedArchive  bool // the missing archive setting was logged
}

func newPartitionKeeper(k *Keeper, p Partition) *partitionKeeper {
	return &partitionKeeper{Keeper: k, Partition: p, lg: k.lg.With("partition", p.ID)}
}

// dropMetrics removes the partition from the metrics.
func (t *partitionKeeper) dropMetrics() {
	t.metrics.deleteGauges(t.ID)
	if t.held {
		t.metrics.held.Dec()
	}
}

// runOnce does all due work once, and reports whether there is more to be done at once. It makes at most one object,
// so that events leave etcd before the next object is made; merging waits until all is archived.
func (t *partitionKeeper) runOnce(ctx context.Context) (again bool, err error) {
	t.trackQuiet(time.Now())
	if t.store != nil {
		if err := t.loadManifest(ctx); err != nil {
			return false, err
		}
		if again, err = t.archivePending(ctx); err == nil && !again {
			again, err = t.mergeDue(ctx)
		}
		if err == nil {
			err = t.removeReplaced(ctx)
		}
	}
	// Archived events may leave although nothing can be archived, such as when etcd has no space for an entry.
	err = errors.Join(err, t.removeFromEtcd(ctx))
	return again && err == nil, err
}

// quietAfter is the time without new records after which an upload is taken to be over, and pending records are
// archived.
const quietAfter = 5 * time.Second

func (t *partitionKeeper) trackQuiet(now time.Time) {
	if n := t.Folded().Records; n != t.lastRecords || t.grownAt.IsZero() {
		t.lastRecords, t.grownAt = n, now
	}
}

// isQuiet reports whether nothing has come for a while.
func (t *partitionKeeper) isQuiet() bool { return time.Since(t.grownAt) >= quietAfter }

// loadManifest loads the partition's manifest.
func (t *partitionKeeper) loadManifest(ctx context.Context) error {
	if t.loaded {
		return nil
	}
	part, err := t.manifest.Load(ctx, t.ID)
	if err != nil {
		return err
	}
	t.part, t.loaded = part, true
	t.pending = pendingRecords{}
	t.heads.record(part.Head.At.Number, time.Now())
	t.metrics.setGauges(&t.part)
	return nil
}

// waitPace waits between two transactions of deletes, and reports whether ctx is still alive.
func (k *Keeper) waitPace(ctx context.Context) bool { return wait.Sleep(ctx, k.cfg.Pace) }
