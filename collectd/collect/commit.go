package collect

import (
	"context"
	"fmt"
	"time"

	"telemetry-pipeline/projections/snapshot"
)

// finalCommit bounds the commit that a stop or a release waits for.
const finalCommit = 5 * time.Second

// commit writes what is due, over and over: while one commit is under way folding goes on, and the
// next takes all that arrived meanwhile. When folding has ended it writes the rest and returns.
func (f *follower) commit(ctx context.Context, folded <-chan struct{}) error {
	ctx, cancel := outlasting(ctx, finalCommit)
	defer cancel()
	pace := newPace(f.cfg.LiveInterval)
	for {
		due, again := f.state.take(time.Now(), pace.interval, false)
		if !isEmpty(due) {
			began := time.Now()
			if err := f.save(ctx, due, pace); err != nil {
				return err
			}
			if !f.work.isActive() {
				f.limiter.rest(ctx, began)
			}
			continue
		}
		timer := time.NewTimer(time.Until(again))
		select {
		case <-f.state.changed.C():
		case <-timer.C:
		case <-folded:
			timer.Stop()
			return f.commitRest(ctx, pace)
		}
		timer.Stop()
	}
}

// commitRest writes everything that is folded, although the claim may be ending: its guard holds until
// it is released.
func (f *follower) commitRest(ctx context.Context, pace *pace) error {
	rest, _ := f.state.take(time.Now(), 0, true)
	if isEmpty(rest) {
		return nil
	}
	return f.save(ctx, rest, pace)
}

// outlasting gives a context that ends grace after ctx, so that a commit under way is not cut off when
// a collector stops.
func outlasting(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(grace, cancel)
		context.AfterFunc(longer, func() { timer.Stop() })
	})
	return longer, func() { stop(); cancel() }
}

func (f *follower) save(ctx context.Context, c snapshot.Commit, pace *pace) error {
	f.saves <- struct{}{} // a merge's holds it for one transaction at most
	defer func() { <-f.saves }()
	start := time.Now()
	err := f.store.Save(ctx, f.gen, f.partition, c, f.guard.Guard())
	took := time.Since(start)
	if err != nil {
		return fmt.Errorf("committing partition %d: %w", f.partition, err)
	}
	pace.observe(took)
	f.metrics.commits.Inc()
	f.metrics.commitSeconds.Observe(took.Seconds())
	f.metrics.chunks.Add(float64(len(c.Chunks)))
	f.seals.note(c.Chunks)
	f.state.saved(c)
	f.countEntries()
	return nil
}

func isEmpty(c snapshot.Commit) bool {
	return len(c.Live)+len(c.Identity)+len(c.Chunks)+len(c.Quarantine)+len(c.Resolved)+len(c.Retried) == 0 && c.Offsets == nil
}
