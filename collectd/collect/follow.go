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

// nearHead is how many revisions behind the head a watch may start: etcd loads what a watcher lags
// behind under the lock that writes need (etcd issue 22264).
const nearHead = 1000

// follower folds one partition from its stored position to the head and beyond.
type follower struct {
	*Collector
	partition events.Partition
	guard     guard
	work      *work
	gen       projections.Generation
	lg        *slog.Logger
	state     *state
	lag       *lagState // used by the folding goroutine only

	folding sync.Mutex   // held for each event, since reading and retrying fold side by side
	late    *windowCache // guarded by folding

	saves chan struct{} // holds a token during each Save: a partition's are one after the other. No mutex: the simulation's clock would wait for it
	seals *seals

	archived int64 // events up to here were archived when this run began

	outdated bool // an earlier version of the models left entries in the quarantine
	counted  int  // entries counted in the metric; used by the committing goroutine only, once it runs
}

// guard proves that the partition is ours (partition.Claim); every commit carries it.
type guard interface{ Guard() clientv3.Cmp }

func newFollower(c *Collector, p events.Partition, guard guard, w *work, lag *lagState, lg *slog.Logger) *follower {
	return &follower{Collector: c, partition: p, guard: guard, work: w, gen: w.generation, lg: lg, lag: lag, late: newWindowCache(), seals: newSeals(),
		saves: make(chan struct{}, 1)}
}

// run loads, then folds and commits side by side until ctx ends or one of them fails. When ctx ends
// while the claim holds, what is folded is committed before run returns.
func (f *follower) run(ctx context.Context) error {
	stored, err := f.store.LoadPartition(ctx, f.gen, f.partition)
	if err != nil {
		return fmt.Errorf("loading partition %d: %w", f.partition, err)
	}
	f.state = newState(f.cfg, stored, f.work.goal)
	if err := f.beginCold(ctx); err != nil {
		return err
	}
	if err := f.loadQuarantine(ctx); err != nil {
		return err
	}
	defer func() { f.metrics.entries.Sub(float64(f.counted)) }()

	group, ctx := errgroup.WithContext(ctx)
	folded := make(chan struct{})
	group.Go(func() error {
		defer close(folded)
		ctx, cancel := context.WithCancel(ctx)
		var retrying sync.WaitGroup
		retrying.Go(func() { f.retry(ctx) })
		defer retrying.Wait()
		defer cancel()
		return f.fold(ctx)
	})
	group.Go(func() error { return f.commit(ctx, folded) })
	group.Go(func() error { f.keep(ctx); return nil })
	group.Go(func() error { return f.compactChunks(ctx) })
	return group.Wait()
}

// fold reads up to near the head, watches from there, and goes back to reading whenever the watch ends. A read that
// fails ends it: the follower is then made again from the stored projections.
func (f *follower) fold(ctx context.Context) error {
	loop := follow.Loop{
		CatchUp: func(ctx context.Context) error {
			f.lag.set(true)
			if err := f.catchUp(ctx); err != nil {
				return follow.End(err)
			}
			f.lag.set(false)
			return nil
		},
		Watch: f.watch,
		Pause: wait.Fixed(f.cfg.PollInterval),
		Failed: func(err error, again time.Duration) {
			f.lg.Warn("watch failed; reading on", "err", err, "again_in", again)
		},
	}
	return loop.Run(ctx)
}

// errReplaced is an error of the log, not of the stored projections: this process has facts and positions of a log that
// is gone, and no retry brings it back.
var errReplaced = errors.New("the log was replaced or set back under this process, which has to start anew")

// errOfAnother is met when positions and models are stored that were folded from another log: after etcd was wiped or
// restored under them, or its epoch was created again. Nothing can be folded onto them.
var errOfAnother = errors.New("what is stored was folded from another log (was etcd restored from a backup, or its log begun anew?); " +
	"make it anew: collectd rebuild --activate")

func ofLog(err error) error {
	if errors.Is(err, events.ErrForeign) {
		return fmt.Errorf("%w: %w", errReplaced, err)
	}
	return err
}

// stopped hides an error that is only the end of ctx.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// catchUp folds the log up to within nearHead of the head; in a generation that is not active in the background, and in
// big steps.
func (f *follower) catchUp(ctx context.Context) error {
	if !f.work.isActive() {
		if err := f.limiter.enter(ctx); err != nil {
			return err
		}
		defer f.limiter.leave()
		f.state.setBulk(true)
		defer f.state.setBulk(false)
	}
	for {
		head, err := f.log.Head(ctx)
		if err != nil {
			return fmt.Errorf("asking for the head of the log: %w", ofLog(err))
		}
		from := f.state.position()
		if !from.SameLog(head) && from.Number != 0 {
			return fmt.Errorf("following partition %d from %s, where the log is at %s: %w", f.partition, from, head, errOfAnother)
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
			return fmt.Errorf("reading partition %d after %s: %w", f.partition, from, ofLog(err))
		}
		if err := f.take(ctx, &ev); err != nil {
			return err
		}
		f.state.changed.Set()
		if !f.work.isActive() {
			began = f.limiter.rest(ctx, began)
		}
	}
	f.state.reached(head)
	return nil
}

func (f *follower) watch(ctx context.Context, delivered func()) error {
	for batch, err := range f.log.Watch(ctx, f.partition, f.state.position()) {
		if err != nil {
			if errors.Is(err, events.ErrCompacted) || errors.Is(err, events.ErrOverflow) {
				f.lg.Info("watch ended; reading on", "err", err)
			}
			return ofLog(err)
		}
		delivered()
		for i := range batch.Events {
			if err := f.take(ctx, &batch.Events[i]); err != nil {
				return err
			}
		}
		f.state.reached(batch.Upto)
	}
	return nil
}

// take folds the next event of the log. One that cannot be folded goes to the quarantine, and the log goes
// on; an error is never the event's fault.
func (f *follower) take(ctx context.Context, ev *events.Event) error {
	failed, err := f.foldOne(ctx, ev, ev.Revision.Number)
	if err != nil {
		return err
	}
	if failed == nil {
		f.state.settleOlder(ev)
	} else {
		entry := entryOf(ev, failed, f.version)
		f.report(&entry, failed)
		f.state.quarantined(entry, false)
	}
	f.state.markSeen(ev.Revision)
	return nil
}

// foldOne folds one event, waiting while too much is folded and not committed. failed is the reason why this event
// cannot be folded. No offset reaches since before the fold is stored.
func (f *follower) foldOne(ctx context.Context, ev *events.Event, since int64) (failed *failure, err error) {
	f.folding.Lock()
	defer f.folding.Unlock()
	if err := f.state.awaitRoom(ctx); err != nil {
		return nil, err
	}
	if ev.Damage != nil {
		return damage(ev.Damage), nil
	}
	defer func() {
		if p := recover(); p != nil {
			f.late = newWindowCache() // it may list records that were not kept
			failed, err = unfoldable(p), nil
		}
	}()
	effect, known, failed, err := f.foldModels(ctx, ev, since)
	if failed != nil || err != nil {
		return failed, err
	}
	if err := f.addHistory(ctx, ev, since, effect, known); err != nil {
		return nil, err
	}
	f.metrics.events.Inc()
	f.metrics.records.Add(float64(ev.Records()))
	return nil, nil
}

// foldModels folds an event into its host's models, as one of the workers.
func (f *follower) foldModels(ctx context.Context, ev *events.Event, since int64) (effect projections.Effect, known projections.Identity, failed *failure, err error) {
	select {
	case f.workers <- struct{}{}:
	case <-ctx.Done():
		return effect, known, nil, ctx.Err()
	}
	defer func() { <-f.workers }()
	if f.work.isActive() {
		f.limiter.markLive()
	}
	effect, known, failed = f.state.fold(ev, since, f.apply)
	return effect, known, failed, nil
}
