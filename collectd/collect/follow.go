package collect

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/follow"
	"telemetry-pipeline/events/wait"
	"telemetry-pipeline/projections"
)

// nearHead is the maximum number of revisions behind the head at which a watch may start: etcd loads the revisions
// that a watcher lags behind under the lock that writes need (etcd issue 22264).
const nearHead = 1000

// follower folds one partition from its stored position to the head and beyond.
type follower struct {
	*Collector
	partition events.Partition
	guard     guard
	run       *generationRun
	gen       projections.Generation
	lg        *slog.Logger
	state     *state
	lag       *lagState // used by the folding goroutine only

	folding     sync.Mutex   // held for each event, since reading and retrying fold concurrently
	lateWindows *windowCache // guarded by folding

	saveSlot   chan struct{} // holds a token during each Save: Saves of a partition are sequential. No mutex: the simulation's clock would wait for it
	compaction *compaction

	archived int64 // events up to this revision were archived when this run began

	outdated bool           // an earlier version of the models left entries in the quarantine
	counted  quarantineSize // counted in the metrics; used by the committing goroutine only, once it runs
}

// guard proves ownership of the partition (partition.Claim); every commit carries it.
type guard interface{ Guard() clientv3.Cmp }

func newFollower(c *Collector, p events.Partition, guard guard, w *generationRun, lag *lagState, lg *slog.Logger) *follower {
	return &follower{Collector: c, partition: p, guard: guard, run: w, gen: w.generation, lg: lg, lag: lag, lateWindows: newWindowCache(), compaction: newCompaction(),
		saveSlot: make(chan struct{}, 1)}
}

// foldPartition loads the stored state, then folds and commits concurrently until ctx ends or one of them fails. When
// ctx ends while the claim holds, all folded events are committed before foldPartition returns.
func (f *follower) foldPartition(ctx context.Context) error {
	stored, err := f.store.LoadPartition(ctx, f.gen, f.partition)
	if err != nil {
		return fmt.Errorf("loading partition %d: %w", f.partition, err)
	}
	f.state = newState(f.cfg, stored, f.run.goalRevision)
	f.state.traced.isOn = f.isTraced
	defer f.metrics.waiting.addState(f.state)()
	if err := f.loadRetention(ctx); err != nil {
		return err
	}
	if err := f.loadQuarantine(ctx); err != nil {
		return err
	}
	defer f.uncountEntries()

	group, ctx := errgroup.WithContext(ctx)
	folded := make(chan struct{})
	group.Go(func() error {
		defer close(folded)
		ctx, cancel := context.WithCancel(ctx)
		var retrying sync.WaitGroup
		retrying.Go(func() { f.retryQuarantine(ctx) })
		defer retrying.Wait()
		defer cancel()
		return f.foldLog(ctx)
	})
	group.Go(func() error { return f.commitDue(ctx, folded) })
	group.Go(func() error { f.runRetention(ctx); return nil })
	group.Go(func() error { f.appendPassed(ctx); return nil })
	group.Go(func() error { return f.compactChunks(ctx) })
	return group.Wait()
}

// foldLog reads up to near the head, watches from there, and reads again whenever the watch ends. A failed read ends
// it: a new follower is then made from the stored projections.
func (f *follower) foldLog(ctx context.Context) error {
	loop := follow.Loop{
		CatchUp: func(ctx context.Context) error {
			f.lag.setBehind(true)
			if err := f.catchUp(ctx); err != nil {
				return follow.Permanent(err)
			}
			f.lag.setBehind(false)
			return nil
		},
		Watch: f.watchLog,
		Pause: wait.Fixed(f.cfg.PollInterval),
		Failed: func(err error, again time.Duration) {
			f.lg.Warn("watch failed; reading again", "err", err, "again_in", again)
		},
	}
	return loop.Run(ctx)
}

// errReplaced is an error of the log, not of the stored projections: this process has facts and positions of a log
// that is gone, and no retry brings it back.
var errReplaced = errors.New("the log was replaced or set back under this process, which has to be restarted")

// errOtherLog means that the stored positions and models were folded from another log: etcd was wiped or restored, or
// the epoch of the log was created again. Nothing can be folded onto them.
var errOtherLog = errors.New("the stored projections were folded from another log (was etcd restored from a backup, or its log created again?); " +
	"rebuild them: collectd rebuild --activate")

func logError(err error) error {
	if errors.Is(err, events.ErrForeign) {
		return fmt.Errorf("%w: %w", errReplaced, err)
	}
	return err
}

// unlessCanceled returns err, or nil if ctx has ended.
func unlessCanceled(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// catchUp folds the log up to within nearHead of the head. In a generation that is not active it folds under the
// catchUpLimiter and in large commits.
func (f *follower) catchUp(ctx context.Context) error {
	if !f.run.isActive() {
		if err := f.limiter.acquireSlot(ctx); err != nil {
			return err
		}
		defer f.limiter.releaseSlot()
		f.state.setBulk(true)
		defer f.state.setBulk(false)
	}
	for {
		head, err := f.log.Head(ctx)
		if err != nil {
			return fmt.Errorf("reading the head of the log: %w", logError(err))
		}
		from := f.state.foldedRevision()
		if !from.SameLog(head) && from.Number != 0 {
			return fmt.Errorf("following partition %d from %s, where the log is at %s: %w", f.partition, from, head, errOtherLog)
		}
		f.metrics.lag.Observe(float64(head.Number - from.Number))
		if from.SameLog(head) && head.Number == from.Number {
			return nil
		}
		if err := f.readTo(ctx, from, head); err != nil {
			return err
		}
		if head.Number-from.Number <= nearHead {
			return nil
		}
	}
}

func (f *follower) readTo(ctx context.Context, from, head events.Revision) error {
	began := time.Now()
	for ev, err := range f.log.Read(ctx, f.partition, from, head) {
		if err != nil {
			return fmt.Errorf("reading partition %d after %s: %w", f.partition, from, logError(err))
		}
		if err := f.foldNext(ctx, &ev); err != nil {
			return err
		}
		f.state.changed.Set()
		if !f.run.isActive() {
			began = f.limiter.pauseSlice(ctx, began)
		}
	}
	f.endBatch()
	f.state.advanceTo(head)
	return nil
}

func (f *follower) watchLog(ctx context.Context, delivered func()) error {
	for batch, err := range f.log.Watch(ctx, f.partition, f.state.foldedRevision()) {
		if err != nil {
			if errors.Is(err, events.ErrCompacted) || errors.Is(err, events.ErrOverflow) {
				f.lg.Info("watch ended; reading again", "err", err)
			}
			return logError(err)
		}
		delivered()
		for i := range batch.Events {
			if err := f.foldNext(ctx, &batch.Events[i]); err != nil {
				return err
			}
		}
		f.endBatch()
		f.state.advanceTo(batch.Upto)
	}
	return nil
}

// foldNext folds the next event of the log. An event that cannot be folded goes to the quarantine, and foldNext
// returns nil; an error is never the event's fault.
func (f *follower) foldNext(ctx context.Context, ev *events.Event) error {
	failed, err := f.foldEvent(ctx, ev, ev.Revision.Number)
	if err != nil {
		return err
	}
	if failed == nil {
		f.state.resolveOlder(ev)
	} else {
		entry := entryOf(ev, failed, f.version)
		f.reportFailure(&entry, failed)
		f.state.quarantineEvent(entry, false)
	}
	f.state.markSeen(ev.Revision)
	return nil
}

// foldEvent folds one event, after waiting while too many folded records are not committed. failed is the reason why
// this event cannot be folded, or not as a whole. No offset reaches since before the fold is stored.
func (f *follower) foldEvent(ctx context.Context, ev *events.Event, since int64) (failed *failure, err error) {
	f.folding.Lock()
	defer f.folding.Unlock()
	if err := f.state.awaitRoom(ctx); err != nil {
		return nil, err
	}
	if ev.Damage != nil {
		return damageFailure(ev.Damage), nil
	}
	defer func() {
		if p := recover(); p != nil {
			f.lateWindows = newWindowCache() // it may contain records that were not kept
			failed, err = panicFailure(p), nil
		}
	}()
	effect, known, failed, err := f.foldModels(ctx, ev, since)
	if failed != nil && !failed.partial || err != nil {
		return failed, err
	}
	if err := f.addHistory(ctx, ev, since, effect, known); err != nil {
		return nil, err
	}
	f.metrics.events.Inc()
	f.metrics.records.Add(float64(ev.Records() - effect.Refused.Records))
	f.logFold(ctx, ev)
	return failed, nil
}

// logFold logs the fold of an event into the generation that is served, by the event's upload, at level DEBUG.
func (f *follower) logFold(ctx context.Context, ev *events.Event) {
	if f.lg.Enabled(ctx, slog.LevelDebug) && f.run.isActive() {
		f.lg.LogAttrs(ctx, slog.LevelDebug, "folded", slog.String("upload", string(ev.Upload)), slog.String("key", ev.Key),
			slog.Int64("revision", ev.Revision.Number), slog.Int("records", ev.Records()))
	}
}

// foldModels folds an event into its host's models while holding a worker token.
func (f *follower) foldModels(ctx context.Context, ev *events.Event, since int64) (effect projections.Effect, known projections.Identity, failed *failure, err error) {
	select {
	case f.workers <- struct{}{}:
	case <-ctx.Done():
		return effect, known, nil, ctx.Err()
	}
	defer func() { <-f.workers }()
	if f.run.isActive() {
		f.limiter.markLive()
	}
	effect, known, failed = f.state.applyEvent(ev, since, f.apply)
	return effect, known, failed, nil
}
