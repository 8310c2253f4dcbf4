package partition

import (
	"context"
	"errors"
	"fmt"
	"time"

	"telemetry-pipeline/events/wait"
)

// releaseGrace is how long a release may still take once the collector stops.
const releaseGrace = 150 * time.Millisecond

// holding is a claim whose hold runs.
type holding struct {
	*Claim
	since time.Time
	cause string // "" while it is to go on; else the cause that the metrics tell
}

// retry is when a partition may be claimed again.
type retry struct {
	at    time.Time
	pause wait.Backoff
}

func (s *sharing) start(ctx context.Context, sess *session, w won) {
	life := context.WithoutCancel(ctx) // what ends a claim is told by its cause, never by a parent
	h := &holding{Claim: newClaim(life, s.o.client, s.keys, s.generation, w), since: time.Now()}
	s.holds[w.partition] = h
	s.o.metrics.won.Inc()
	s.o.metrics.claims.Inc()
	s.wg.Go(func() {
		defer func() { s.ended <- h }()
		s.hold(h.Claim)
		back, cancel := graceful(sess.Ctx(), ctx, releaseGrace)
		defer cancel()
		if err := h.release(back); err != nil {
			s.o.lg.Debug("releasing a partition", "err", err)
		}
	})
}

// end tells a claim's owner to come to an end.
func (s *sharing) end(h *holding, cause string, why error) {
	h.cause = cause
	h.cancel(why)
	s.o.lg.Debug("claim ends", "partition", h.Partition, "token", h.token, "cause", why)
}

// finished forgets a hold that has returned. One that returned by itself may be claimed again after a pause.
func (s *sharing) finished(h *holding) {
	delete(s.holds, h.Partition)
	s.over[h.Partition] = h.token
	switch {
	case h.cause != "":
		delete(s.retries, h.Partition)
	case errors.Is(context.Cause(h.ctx), ErrLost): // says the owner
		h.cause = "lost"
		s.pauseAfter(h)
	default:
		h.cause = "returned"
		s.pauseAfter(h)
	}
	s.o.metrics.ended.WithLabelValues(h.cause).Inc()
	s.o.metrics.claims.Dec()
}

// pauseAfter makes a partition wait before it is claimed again, longer each time unless its hold ran for long.
func (s *sharing) pauseAfter(h *holding) {
	const least, most = 100 * time.Millisecond, 10 * time.Second
	r := s.retries[h.Partition]
	if r == nil || time.Since(h.since) > 2*most {
		r = &retry{pause: wait.Backoff{Least: least, Most: most}}
		s.retries[h.Partition] = r
	}
	pause := r.pause.Next()
	r.at = time.Now().Add(pause)
	s.o.lg.Warn("hold returned by itself; claiming its partition again", "partition", h.Partition, "pause", pause, "cause", context.Cause(h.ctx))
}

// lose ends all claims of a lease that is gone.
func (s *sharing) lose(sess *session) {
	s.o.setProblem(s.generation, errNotJoined)
	s.endAll("lost", fmt.Errorf("%w: %w", ErrLost, errLeaseGone))
	sess.Orphan()
}

// stop gives everything back in order: the holds drain and release one by one.
func (s *sharing) stop(sess *session) {
	s.endAll("stopping", ErrStopping)
	s.drain(sess.Done())
}

// drain waits for every hold to return. When gone closes first, what still drains has lost its guard, which
// its writes will tell it.
func (s *sharing) drain(gone <-chan struct{}) {
	for len(s.holds) > 0 {
		select {
		case h := <-s.ended:
			s.finished(h)
		case <-gone:
			s.o.lg.Warn("lease lost while stopping", "holds", len(s.holds))
			gone = nil
		}
	}
}

func (s *sharing) endAll(cause string, why error) {
	for _, h := range s.holds {
		if h.cause == "" {
			s.end(h, cause, why)
		}
	}
}
