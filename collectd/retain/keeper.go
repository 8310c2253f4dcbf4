package retain

import (
	"context"
	"errors"
	"iter"
	"log/slog"
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

// log is what is needed of the event log (eventlog.Log).
type log interface {
	Head(ctx context.Context) (events.Revision, error)
	Capacity(ctx context.Context) (eventlog.Capacity, error)
	Read(ctx context.Context, p events.Partition, after, upto events.Revision) iter.Seq2[events.Event, error]
	List(ctx context.Context, q events.Listing) (refs []events.Ref, more bool, err error)
	Fetch(ctx context.Context, refs []events.Ref) iter.Seq2[events.Event, error]
	Remove(ctx context.Context, refs []events.Ref, pace func(ctx context.Context) bool, guards ...clientv3.Cmp) (int, error)
}

// Keeper keeps what collectors of one process own within bounds. Safe for concurrent use.
type Keeper struct {
	cfg        Config
	log        log
	saved      *snapshot.Store
	manifest   *manifest.Manifest
	store      objects // nil: there is no archive
	url        string  // of the archive
	etcd       *clientv3.Client
	root       eventlog.Config
	lg         *slog.Logger
	partitions int
	metrics    *metrics
	pressure   pressure
	writing    chan struct{} // a token per object that is being made, which takes memory
}

// objects is where archive objects are written (archive.Store).
type objects interface {
	Write(ctx context.Context, r archive.Range, evs iter.Seq2[events.Event, error]) (archive.Entry, error)
	Merge(ctx context.Context, entries []archive.Entry) (archive.Entry, error)
	Remove(ctx context.Context, name string) error
}

// New makes a keeper; it starts nothing. store is nil where there is no archive. etcd is a client that the caller keeps
// and closes.
func New(cfg Config, root eventlog.Config, log *eventlog.Log, saved *snapshot.Store, store *archive.Store, etcd *clientv3.Client, lg *slog.Logger) *Keeper {
	if lg == nil {
		lg = slog.New(slog.DiscardHandler)
	}
	k := &Keeper{
		cfg: cfg.withDefaults(), log: log, saved: saved, etcd: etcd, root: root, lg: lg, partitions: log.Facts().Partitions,
		manifest: manifest.New(etcd, root, log.Facts()),
		metrics:  newMetrics(), writing: make(chan struct{}, 1),
	}
	if store != nil {
		k.store, k.url = store, store.String()
	}
	k.pressure = pressure{share: k.cfg.HotShare, ask: log.Capacity, step: k.cfg.Grace}
	return k
}

// Partition is one that is folded here in the active generation.
type Partition struct {
	ID         events.Partition
	Generation projections.Generation
	Guard      func() clientv3.Cmp
	// Folded tells how far the partition is folded and stored, and how many records were folded.
	Folded func() Folded
	// Cool stores that windows from hotFrom on are in etcd, and those before perhaps not.
	Cool func(ctx context.Context, hotFrom projections.Window) error
}

// Folded is how far a partition is folded.
type Folded struct {
	Upto    events.Revision // every event up to here is in stored projections
	Records int64           // folded so far; what matters is by how much it grows
	HotFrom projections.Window
}

// Keep archives, merges and removes what is due of a partition until ctx ends, or its claim is lost. What goes wrong is
// told and tried again: folding does not depend on it.
func (k *Keeper) Keep(ctx context.Context, p Partition) {
	t := newTenure(k, p)
	defer t.end()
	for pause := (wait.Backoff{Least: 2 * k.cfg.Look, Most: time.Minute}); ctx.Err() == nil; {
		again, err := t.work(ctx)
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

// tenure is the time that a partition is kept by one owner. One goroutine uses it.
type tenure struct {
	*Keeper
	Partition
	lg *slog.Logger

	loaded bool // manifest and waiting are known
	part   manifest.Partition

	waiting waiting
	heads   aged[int64]              // heads of the archive
	hot     aged[projections.Window] // Offsets.HotFrom as stored

	seen     int64           // Folded.Records
	seenAt   time.Time       // when that grew last
	removed  events.Revision // events up to here have left the log, but for those in the quarantine
	lookedAt time.Time       // for events that may leave
	allAt    time.Time       // removed was last reset, so that what has left the quarantine leaves too
	chunksAt time.Time
	held     bool // a generation being built holds events back
	told     bool // that there should be an archive
}

func newTenure(k *Keeper, p Partition) *tenure {
	return &tenure{Keeper: k, Partition: p, lg: k.lg.With("partition", p.ID)}
}

// end takes back what the metrics tell of the partition.
func (t *tenure) end() {
	t.metrics.hide(t.ID)
	if t.held {
		t.metrics.held.Dec()
	}
}

// work does once what is due, and tells whether there is more to be done at once. One object is made at most, so that
// what it allows to leave etcd does so before the next one has its turn; merging waits until all is archived.
func (t *tenure) work(ctx context.Context) (again bool, err error) {
	t.watchQuiet(time.Now())
	if t.store != nil {
		if err := t.load(ctx); err != nil {
			return false, err
		}
		if again, err = t.archive(ctx); err == nil && !again {
			again, err = t.merge(ctx)
		}
		if err == nil {
			err = t.clear(ctx)
		}
	}
	// What is archived may leave although nothing can be archived, such as when etcd has no space for an entry.
	err = errors.Join(err, t.remove(ctx))
	return again && err == nil, err
}

// quietAfter is how long nothing must have come for what waits to be moved on: an upload is over then.
const quietAfter = 5 * time.Second

func (t *tenure) watchQuiet(now time.Time) {
	if n := t.Folded().Records; n != t.seen || t.seenAt.IsZero() {
		t.seen, t.seenAt = n, now
	}
}

// quiet tells whether nothing has come for a while.
func (t *tenure) quiet() bool { return time.Since(t.seenAt) >= quietAfter }

// load reads what the manifest has.
func (t *tenure) load(ctx context.Context) error {
	if t.loaded {
		return nil
	}
	part, err := t.manifest.Load(ctx, t.ID)
	if err != nil {
		return err
	}
	t.part, t.loaded = part, true
	t.waiting = waiting{}
	t.heads.set(part.Head.At.Number, time.Now())
	t.metrics.show(&t.part)
	return nil
}

// paced waits between two transactions of deletes, and reports whether ctx still goes on.
func (k *Keeper) paced(ctx context.Context) bool { return wait.Sleep(ctx, k.cfg.Pace) }

// alone waits until nobody else makes objects; the returned function ends that.
func (k *Keeper) alone(ctx context.Context) (done func(), err error) {
	select {
	case k.writing <- struct{}{}:
		return func() { <-k.writing }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
