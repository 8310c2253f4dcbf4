package collect

import (
	"context"
	"fmt"
	"time"

	"telemetry-pipeline/projections/snapshot"
)

// finalCommit bounds the commit that a stop or a release waits for.
const finalCommit = 5 * time.Second

// commitDue writes all due state in a loop. Folding continues during a commit, and the next commit takes everything
// that arrived meanwhile. When folding has ended commitDue writes the rest and returns.
func (f *follower) commitDue(ctx context.Context, folded <-chan struct{}) error {
	ctx, cancel := withGrace(ctx, finalCommit)
	defer cancel()
	pace := &commitPace{pacer: f.pacer}
	for {
		replaced := f.run.info.Load().replaced // before takeDue, which reads the goal
		due, again := f.state.takeDue(time.Now(), pace, false)
		if !isEmpty(due) {
			began := time.Now()
			if err := f.saveCommit(ctx, due, pace); err != nil {
				return err
			}
			if !f.run.isActive() {
				f.limiter.pauseSlice(ctx, began)
			}
			continue
		}
		timer := time.NewTimer(time.Until(again))
		select {
		case <-f.state.changed.C():
		case <-replaced: // the log may be folded up to the new goal already, and silent
		case <-timer.C:
		case <-folded:
			timer.Stop()
			return f.commitRest(ctx, pace)
		}
		timer.Stop()
	}
}

// commitRest writes everything folded, although the claim may be ending: its guard holds until the claim is released.
func (f *follower) commitRest(ctx context.Context, pace *commitPace) error {
	rest, _ := f.state.takeDue(time.Now(), pace, true)
	if isEmpty(rest) {
		return nil
	}
	return f.saveCommit(ctx, rest, pace)
}

// withGrace returns a context that ends grace after ctx, so that a commit in progress is not cut off when a collector
// stops.
func withGrace(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(grace, cancel)
		context.AfterFunc(longer, func() { timer.Stop() })
	})
	return longer, func() { stop(); cancel() }
}

func (f *follower) saveCommit(ctx context.Context, c snapshot.Commit, pace *commitPace) (err error) {
	ctx, span := f.startFold(ctx, &c)
	defer func() { span.End(err) }()
	f.saveSlot <- struct{}{} // a merge holds it for one transaction at most
	defer func() { <-f.saveSlot }()
	start := time.Now()
	err = f.store.Save(ctx, f.gen, f.partition, c, f.guard.Guard())
	took := time.Since(start)
	if err != nil {
		return fmt.Errorf("committing partition %d: %w", f.partition, err)
	}
	events, bulk := f.state.countFolded()
	f.logCommit(ctx, &c, took)
	pace.observeCommit(start.Add(took), took, events, bulk)
	f.metrics.commits.Inc()
	f.metrics.commitSeconds.Observe(took.Seconds())
	f.metrics.chunks.Add(float64(len(c.Chunks)))
	f.compaction.countCommitted(c.Chunks)
	f.state.markSaved(c)
	f.countEntries()
	return nil
}

func isEmpty(c snapshot.Commit) bool {
	return len(c.Live)+len(c.Identity)+len(c.Chunks)+len(c.Quarantine)+len(c.Resolved)+len(c.Retried) == 0 && c.Offsets == nil
}
