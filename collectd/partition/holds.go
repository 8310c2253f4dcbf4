package partition

import (
	"context"
	"errors"
	"fmt"
	"time"

	"telemetry-pipeline/events/wait"
)

// releaseGrace bounds a release once the collector stops.
const releaseGrace = 150 * time.Millisecond

// heldClaim is a claim whose hold runs.
type heldClaim struct {
	*Claim
	since time.Time
	cause string // "" until it is to end; then the cause for the metrics
}

// claimRetry is the earliest time at which a partition may be claimed again, and the backoff of later ones.
type claimRetry struct {
	at    time.Time
	pause wait.Backoff
}

func (s *generationShare) startHold(ctx context.Context, sess *session, w wonClaim) {
	life := context.WithoutCancel(ctx) // the cause of a claim's end is always explicit, never a parent context
	h := &heldClaim{Claim: newClaim(life, s.o.client, s.keys, s.generation, w), since: time.Now()}
	s.holds[w.partition] = h
	s.o.metrics.won.Inc()
	s.o.metrics.claims.Inc()
	s.wg.Go(func() {
		defer func() { s.ended <- h }()
		s.hold(h.Claim)
		back, cancel := withStopGrace(sess.Ctx(), ctx, releaseGrace)
		defer cancel()
		if err := h.release(back); err != nil {
			s.o.lg.Debug("releasing a partition", "err", err)
		}
	})
}

// endClaim asks the owner of a claim to end, by cancelling its context.
func (s *generationShare) endClaim(h *heldClaim, cause string, why error) {
	h.cause = cause
	h.cancel(why)
	s.o.lg.Debug("claim ends", "partition", h.Partition, "token", h.token, "cause", why)
}

// removeHold removes a hold that has returned. After a hold that returned by itself the partition may be claimed
// again after a pause.
func (s *generationShare) removeHold(h *heldClaim) {
	delete(s.holds, h.Partition)
	s.endedTokens[h.Partition] = h.token
	switch {
	case h.cause != "":
		delete(s.retries, h.Partition)
	case errors.Is(context.Cause(h.ctx), ErrLost): // reported by the owner
		h.cause = "lost"
		s.delayRetry(h)
	default:
		h.cause = "returned"
		s.delayRetry(h)
	}
	s.o.metrics.ended.WithLabelValues(h.cause).Inc()
	s.o.metrics.claims.Dec()
}

// delayRetry delays the next claim of a partition, longer each time unless its hold ran for long.
func (s *generationShare) delayRetry(h *heldClaim) {
	const least, most = 100 * time.Millisecond, 10 * time.Second
	r := s.retries[h.Partition]
	if r == nil || time.Since(h.since) > 2*most {
		r = &claimRetry{pause: wait.Backoff{Least: least, Most: most}}
		s.retries[h.Partition] = r
	}
	pause := r.pause.Next()
	r.at = time.Now().Add(pause)
	s.o.lg.Warn("hold returned by itself; claiming its partition again", "partition", h.Partition, "pause", pause, "cause", context.Cause(h.ctx))
}

// loseLease ends all claims of a lease that is gone.
func (s *generationShare) loseLease(sess *session) {
	s.o.setProblem(s.generation, errNotJoined)
	s.endClaims("lost", fmt.Errorf("%w: %w", ErrLost, errLeaseGone))
	sess.Orphan()
}

// stopHolds ends all claims in order: the holds drain and release one by one.
func (s *generationShare) stopHolds(sess *session) {
	s.endClaims("stopping", ErrStopping)
	s.drainHolds(sess.Done())
}

// drainHolds waits for every hold to return. When gone closes first, the remaining holds have lost their guards, and
// their writes will fail.
func (s *generationShare) drainHolds(gone <-chan struct{}) {
	for len(s.holds) > 0 {
		select {
		case h := <-s.ended:
			s.removeHold(h)
		case <-gone:
			s.o.lg.Warn("lease lost while stopping", "holds", len(s.holds))
			gone = nil
		}
	}
}

func (s *generationShare) endClaims(cause string, why error) {
	for _, h := range s.holds {
		if h.cause == "" {
			s.endClaim(h, cause, why)
		}
	}
}
