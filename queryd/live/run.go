package live

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/projections"
)

// Run keeps the view current until ctx ends; then every subscription ends with ErrClosed. It returns
// events.ErrForeign when another log has taken the log's place: the positions that this process sent mean nothing in
// it, so the process has to restart.
func (h *Hub) Run(ctx context.Context) error {
	own, cancel := context.WithCancelCause(ctx)
	r := &runner{hub: h, caughtUp: make(chan caughtUpPartitions), stop: func() {}}
	defer h.served.end()
	defer r.wg.Wait()
	defer cancel(nil)
	active := make(chan projections.ActiveGeneration)
	r.wg.Go(func() { h.followActive(own, active) })
	if h.log != nil {
		r.wg.Go(func() { cancel(h.followUnread(own, r.caughtUp)) })
	}
	r.runLoop(own, active)
	if ctx.Err() == nil {
		return context.Cause(own)
	}
	return nil
}

// runner is the state of a Run; only its goroutine uses it.
type runner struct {
	hub       *Hub
	candidate *view // the next view to serve: of another generation, or loaded again; nil if there is none
	following projections.Generation
	stop      context.CancelFunc // ends the follower
	results   chan followResult
	caughtUp  chan caughtUpPartitions
	wg        sync.WaitGroup
}

func (r *runner) runLoop(ctx context.Context, active <-chan projections.ActiveGeneration) {
	beat := time.NewTicker(r.hub.heartbeats.tick(r.hub.cfg.Heartbeat))
	defer beat.Stop()
	due := time.NewTimer(time.Hour)
	defer due.Stop()
	for {
		if next := r.hub.served.publishDue(time.Now()); !next.IsZero() {
			due.Reset(time.Until(next))
		}
		select {
		case <-ctx.Done():
			return
		case g := <-active:
			r.applyActive(ctx, g)
		case n := <-r.results:
			r.applyResult(n)
		case q := <-r.caughtUp:
			r.applyCaughtUp(q)
		case now := <-beat.C:
			r.hub.served.beat(now)
		case <-due.C:
		}
	}
}

// applyActive follows the active generation. One that this program cannot read is not followed; neither is the one before
// it any longer, since it is removed next: the served view stays as it is.
func (r *runner) applyActive(ctx context.Context, active projections.ActiveGeneration) {
	r.hub.setFailure("generation", active.Refusal)
	if active.Refusal == nil {
		r.switchFollower(ctx, active.Generation)
		return
	}
	r.stop()
	r.candidate, r.following, r.results = nil, "", nil
	r.hub.setFailure("watch", nil)
	r.hub.setFailure("switch", nil)
}

// switchFollower starts to follow a generation. The served view stays as it is until the new one is loaded and has
// reached it: an inactive generation must not be published any more, and may be deleted.
func (r *runner) switchFollower(ctx context.Context, g projections.Generation) {
	if r.results != nil && g == r.following {
		return
	}
	r.stop()
	ctx, r.stop = context.WithCancel(ctx)
	r.candidate, r.following, r.results = nil, g, make(chan followResult)
	f := &follower{src: r.hub.src, generation: g, out: r.results}
	r.wg.Go(func() { f.followGeneration(ctx) })
	r.hub.lg.Info("following the projections", "generation", g)
}

var errBehind = errors.New("offsets behind")

// applyResult folds the follower's result into a view.
func (r *runner) applyResult(n followResult) {
	h := r.hub
	if n.err != nil {
		h.setFailure("watch", n.err)
		if errors.Is(n.err, events.ErrForeign) {
			h.checkRequested.Set() // to check whether the log is still the one that this process knows
		}
		return
	}
	h.setFailure("watch", nil)
	now := time.Now()
	if n.load {
		h.metrics.loads.Inc()
		r.candidate = newView(h.facts, r.following, access.Everything())
	}
	if r.candidate == nil {
		h.served.advance(func(v *view) *change { return v.applyBatch(n.batch, now) })
		h.logChange(&n.batch)
		return
	}
	r.candidate.applyBatch(n.batch, now)
	r.promoteCandidate(now)
}

// logChange logs a stored change that the view has, by the upload that led to it, at level DEBUG.
func (h *Hub) logChange(b *projections.Batch) {
	if len(b.Hosts) > 0 {
		h.lg.LogAttrs(context.Background(), slog.LevelDebug, "view changed", slog.String("upload", string(b.Upload)), slog.Int64("revision", b.At.Number), slog.Int("hosts", len(b.Hosts)))
	}
}

// applyCaughtUp records the caught-up partitions, unless the result belongs to another generation, or there is no
// view yet, or nothing is followed: an event that the view lacks may have left the log by then.
func (r *runner) applyCaughtUp(q caughtUpPartitions) {
	if s := r.hub.State(); r.results != nil && s.isLoaded() && q.switches == len(s.generationSwitches) {
		r.hub.served.advance(func(v *view) *change { return v.applyCaughtUp(q) })
	}
}

// promoteCandidate serves the candidate once it has reached the served view, and publishes the difference.
func (r *runner) promoteCandidate(now time.Time) {
	prev, next := r.hub.State(), r.candidate
	if len(next.models) == 0 && len(next.unreadable) > 0 {
		r.hub.setFailure("switch", fmt.Errorf("nothing of generation %s can be read: %w", next.state.generation, describeUnreadable(next.state.unreadable)))
		return
	}
	begins := !prev.isLoaded() || prev.generation != next.state.generation
	if begins && !next.hasReached(r.hub.served.whole.view.offsets) {
		r.hub.setFailure("switch", fmt.Errorf("generation %s is active and has not reached what is served: %w", next.state.generation, errBehind))
		return
	}
	r.hub.setFailure("switch", nil)
	c := r.hub.served.replace(next, begins, now)
	r.candidate = nil
	r.hub.checkRequested.Set()
	r.hub.lg.Info("view is current", "generation", next.state.generation, "revision", next.state.at.Number,
		"hosts", next.state.hosts.length, "gpus", next.state.gpus.length, "changed", len(c.entries))
}

// setFailure records an activity's error (nil: it works again), and logs a change from one to the other.
func (h *Hub) setFailure(activity string, err error) {
	h.mu.Lock()
	_, was := h.failures[activity]
	if err == nil {
		delete(h.failures, activity)
	} else {
		h.failures[activity] = err
	}
	h.mu.Unlock()
	switch {
	case err != nil && !was:
		h.metrics.failures.Inc()
		h.lg.Warn("view may fall behind until this is over", "err", err)
	case err == nil && was:
		h.lg.Info("view follows again", "activity", activity)
	}
}
