package live

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// Run keeps the view current until ctx ends; then every subscription ends with ErrClosed. It ends by itself,
// with events.ErrForeign, when the log has become another one: positions that were given out mean nothing in
// it, so a process has to start anew.
func (h *Hub) Run(ctx context.Context) error {
	own, cancel := context.WithCancelCause(ctx)
	r := &runner{hub: h, served: newView(h.facts, ""), quiet: make(chan quiet), stop: func() {}}
	defer h.end()
	defer r.wg.Wait()
	defer cancel(nil)
	active := make(chan projections.Generation)
	r.wg.Go(func() { h.followActive(own, active) })
	if h.log != nil {
		r.wg.Go(func() { cancel(h.followUnread(own, r.quiet)) })
	}
	r.loop(own, active)
	if ctx.Err() == nil {
		return context.Cause(own)
	}
	return nil
}

// runner is the state of a Run; its goroutine alone uses it.
type runner struct {
	hub       *Hub
	served    *view
	candidate *view // the next one to serve: of another generation, or loaded again; nil when there is none
	following projections.Generation
	stop      context.CancelFunc // ends the follower
	news      chan news
	quiet     chan quiet
	wg        sync.WaitGroup
}

func (r *runner) loop(ctx context.Context, active <-chan projections.Generation) {
	beat := time.NewTicker(r.hub.cfg.Heartbeat)
	defer beat.Stop()
	due := time.NewTimer(time.Hour)
	defer due.Stop()
	for {
		if next := r.hub.tick(time.Now()); !next.IsZero() {
			due.Reset(time.Until(next))
		}
		select {
		case <-ctx.Done():
			return
		case g := <-active:
			r.follow(ctx, g)
		case n := <-r.news:
			r.take(n)
		case q := <-r.quiet:
			r.settle(q)
		case now := <-beat.C:
			r.hub.beat(now)
		case <-due.C:
		}
	}
}

// follow turns to a generation. What is served stays as it is until the new one is loaded and has reached
// it: an inactive generation is no longer to be published, and may be taken away.
func (r *runner) follow(ctx context.Context, g projections.Generation) {
	if r.news != nil && g == r.following {
		return
	}
	r.stop()
	ctx, r.stop = context.WithCancel(ctx)
	r.candidate, r.following, r.news = nil, g, make(chan news)
	f := &follower{src: r.hub.src, generation: g, out: r.news}
	r.wg.Go(func() { f.run(ctx) })
	r.hub.lg.Info("following the projections", "generation", g)
}

var errBehind = errors.New("offsets behind")

// take folds what the follower found.
func (r *runner) take(n news) {
	h := r.hub
	if n.err != nil {
		h.troubled("watch", n.err)
		if errors.Is(n.err, events.ErrForeign) {
			h.asked.Set() // whether the log is still the one that this process knows
		}
		return
	}
	h.troubled("watch", nil)
	now := time.Now()
	if n.load {
		h.metrics.loads.Inc()
		r.candidate = newView(h.facts, r.following)
	}
	if r.candidate == nil {
		c := r.served.apply(n.batch, now)
		h.publish(r.served.state, c, false)
		return
	}
	r.candidate.apply(n.batch, now)
	r.promote(now)
}

// settle takes in which partitions are quiet, unless that was asked of another generation, or there is no
// view yet.
func (r *runner) settle(q quiet) {
	if r.served.state.loaded() && q.era == len(r.served.state.eras) {
		c := r.served.settle(q)
		r.hub.publish(r.served.state, c, false)
	}
}

// promote serves the candidate once it has reached what is served, and publishes the difference.
func (r *runner) promote(now time.Time) {
	prev, next := r.served.state, r.candidate
	begins := !prev.loaded() || prev.generation != next.state.generation
	if begins && !next.caughtUp(r.served.offsets) {
		r.hub.troubled("switch", fmt.Errorf("generation %s is active and has not reached what is served: %w", next.state.generation, errBehind))
		return
	}
	r.hub.troubled("switch", nil)
	c := next.adopt(prev, now)
	r.served, r.candidate = next, nil
	r.hub.publish(next.state, c, begins)
	r.hub.asked.Set()
	r.hub.lg.Info("view is current", "generation", next.state.generation, "revision", next.state.at.Number,
		"hosts", len(next.state.hosts), "gpus", len(next.state.gpus), "changed", len(c.entries))
}

// troubled notes that an activity fails (or no longer does), and logs when that changes.
func (h *Hub) troubled(activity string, err error) {
	h.mu.Lock()
	_, was := h.trouble[activity]
	if err == nil {
		delete(h.trouble, activity)
	} else {
		h.trouble[activity] = err
	}
	h.mu.Unlock()
	switch {
	case err != nil && !was:
		h.metrics.failures.Inc()
		h.lg.Warn("view may fall behind; trying again", "err", err)
	case err == nil && was:
		h.lg.Info("view follows again", "activity", activity)
	}
}
