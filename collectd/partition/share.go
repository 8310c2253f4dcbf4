package partition

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/wait"
)

// generationShare is one call of Share: this member's view of a generation, its claims and its retries. All fields
// belong to the goroutine of runSessions, except channels and wg.
type generationShare struct {
	o          *Ownership
	self       string
	generation string
	keys       keys
	condition  func() clientv3.Cmp // nil: a claim only requires that the partition has no owner
	hold       func(*Claim)

	view         view // the newest view of the current session; no members means none yet
	joins        joinDebounce
	holds        map[events.Partition]*heldClaim
	retries      map[events.Partition]*claimRetry // partitions whose hold returned by itself
	otherTokens  map[events.Partition]int64       // tokens of other owners that the view may not show yet
	endedTokens  map[events.Partition]int64       // tokens of the last holds that ended
	claiming     bool                             // claimPartitions is running
	claimAt      time.Time                        // earliest time of the next claim
	claimBackoff *wait.Backoff
	unowned      int // partitions without an owner, as counted in the metrics

	ended chan *heldClaim // holds that have returned and are released; buffered for all partitions
	wg    sync.WaitGroup
}

func newGenerationShare(o *Ownership, self, generation string, condition func() clientv3.Cmp, hold func(*Claim)) *generationShare {
	return &generationShare{
		o: o, self: self, generation: generation, keys: keysOf(o.store, generation), condition: condition, hold: hold,
		holds:       make(map[events.Partition]*heldClaim),
		retries:     make(map[events.Partition]*claimRetry),
		endedTokens: make(map[events.Partition]int64),
		ended:       make(chan *heldClaim, o.partitions),
	}
}

// runSessions shares with one session after the other, until ctx ends and every hold has returned.
func (s *generationShare) runSessions(ctx context.Context) {
	defer s.wg.Wait()
	for {
		sess := s.o.awaitSession(ctx)
		if sess == nil {
			break
		}
		s.shareSession(ctx, sess)
	}
	s.drainHolds(nil) // holds of a lost session, when the stop came before the next one
	s.setUnowned(0)
}

// setUnowned updates the metric of partitions without an owner.
func (s *generationShare) setUnowned(unowned int) {
	s.o.metrics.unowned.Add(float64(unowned - s.unowned))
	s.unowned = unowned
}

// shareSession takes part with one lease: until it is lost, or until ctx has ended and all claims are released.
func (s *generationShare) shareSession(ctx context.Context, sess *session) {
	s.view, s.joins = view{}, joinDebounce{debounce: s.o.cfg.JoinDebounce}
	s.otherTokens, s.claiming, s.claimAt, s.claimBackoff = make(map[events.Partition]int64), false, time.Time{}, newBackoff()
	bound, unbind := context.WithCancel(sess.Ctx())
	var helpers sync.WaitGroup
	defer helpers.Wait()
	defer unbind()

	views, answers := make(chan view), make(chan claimResult, 1)
	vr := viewer{client: s.o.client, keys: s.keys, version: s.o.cfg.ModelVersion, resync: 2 * s.o.cfg.LeaseTTL, silence: s.o.store.Silence(), lg: s.o.lg}
	helpers.Go(func() { vr.sendViews(bound, views) })
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			s.stopHolds(sess)
			return
		case <-sess.Done():
			s.loseLease(sess)
			return
		case v := <-views:
			if !s.applyView(v, sess) {
				s.loseLease(sess)
				return
			}
		case t := <-answers:
			s.handleClaims(ctx, sess, t)
		case h := <-s.ended:
			s.removeHold(h)
		case <-timer.C:
		}
		now := time.Now()
		s.moveClaims(now)
		if wanted := s.claimablePartitions(now, sess.Lease()); len(wanted) > 0 && !s.claiming {
			s.claiming = true
			var conditions []clientv3.Cmp
			if s.condition != nil {
				conditions = append(conditions, s.condition())
			}
			helpers.Go(func() { answers <- sess.claimPartitions(bound, s.keys, s.self, wanted, conditions) })
		}
		timer.Reset(s.nextTick(now))
	}
}

// applyView stores a new view and ends claims whose owner key is gone. It reports whether the member key exists:
// without it the others do not rank this member any more.
func (s *generationShare) applyView(v view, sess *session) bool {
	s.view = v
	s.setUnowned(s.o.observeView(s.generation, v))
	s.joins.setMembers(time.Now(), v.members)
	for p, h := range s.holds {
		if v.rev >= h.token && v.owners[p].token != h.token && h.ctx.Err() == nil {
			s.endClaim(h, "lost", fmt.Errorf("%w: %w", ErrLost, errKeyGone))
		}
	}
	for p, token := range s.otherTokens {
		if v.rev >= token {
			delete(s.otherTokens, p) // the view is at least as new
		}
	}
	lease, there := v.members[s.self]
	if there && lease != sess.Lease() {
		s.o.lg.Error("another process uses this member id; give each collector a data directory of its own (flag partition.data-dir)", "member", s.self)
	}
	return there
}

// moveClaims ends claims on partitions that rank to another counted member, a few at a time.
func (s *generationShare) moveClaims(now time.Time) {
	members := s.joins.countedMembers(now, s.self)
	moving := 0
	for _, h := range s.holds {
		if h.cause == "moved" {
			moving++
		}
	}
	for _, p := range slices.Sorted(maps.Keys(s.holds)) {
		h := s.holds[p]
		if moving >= s.o.cfg.Moves {
			return
		}
		if h.cause == "" && topMember(members, p) != s.self {
			s.endClaim(h, "moved", ErrMoved)
			moving++
		}
	}
}

// claimablePartitions returns the partitions to claim now: those without an owner for which this member ranks first
// of all members, newcomers included, and orphaned ones.
func (s *generationShare) claimablePartitions(now time.Time, lease clientv3.LeaseID) []events.Partition {
	if s.claiming || now.Before(s.claimAt) || len(s.view.members) == 0 {
		return nil
	}
	members := slices.Collect(maps.Keys(s.view.members))
	var claimable []events.Partition
	for p := range events.Partition(s.o.partitions) {
		if s.isClaimable(p, now, lease) && (s.isOrphaned(p, lease) || topMember(members, p) == s.self) && len(claimable) < maxClaims {
			claimable = append(claimable, p)
		}
	}
	return claimable
}

// isClaimable reports whether p can be claimed: it has no owner, or its owner is an earlier claim of this process
// whose answer was lost.
func (s *generationShare) isClaimable(p events.Partition, now time.Time, lease clientv3.LeaseID) bool {
	_, held := s.holds[p]
	owner, owned := s.view.owners[p]
	_, contested := s.otherTokens[p]
	r := s.retries[p]
	return !held && (!owned || owner.lease == lease) && !contested && (r == nil || !now.Before(r.at))
}

// isOrphaned reports whether p is owned by a claim of this process whose answer was lost. No other member can own it,
// even one that ranks first, before this process has adopted and released it.
func (s *generationShare) isOrphaned(p events.Partition, lease clientv3.LeaseID) bool {
	owner, owned := s.view.owners[p]
	return owned && owner.lease == lease && owner.token > s.endedTokens[p]
}

// handleClaims starts the holds of the claims won.
func (s *generationShare) handleClaims(ctx context.Context, sess *session, t claimResult) {
	s.claiming = false
	if t.err != nil {
		s.o.lg.Warn("claiming partitions; trying again", "err", t.err)
		s.claimAt = time.Now().Add(s.claimBackoff.Next())
		return
	}
	if t.refused > 0 {
		s.o.lg.Debug("claims were refused: the generation has changed; trying again", "generation", s.generation, "partitions", t.refused)
		s.claimAt = time.Now().Add(s.claimBackoff.Next())
	} else {
		s.claimBackoff.Reset()
	}
	for p, token := range t.others {
		if token > s.view.rev {
			s.otherTokens[p] = token
		}
	}
	for _, w := range t.won {
		s.startHold(ctx, sess, w)
	}
	if len(t.won) > 0 {
		s.o.lg.Info("claimed partitions", "member", s.self, "generation", s.generation, "count", len(t.won), "held", len(s.holds))
	}
}

// nextTick returns the time until the next change that depends on time alone.
func (s *generationShare) nextTick(now time.Time) time.Duration {
	tick := time.Hour
	soonest := func(at time.Time) {
		if at.After(now) {
			tick = min(tick, at.Sub(now))
		}
	}
	soonest(s.claimAt)
	soonest(s.joins.countAt)
	for p, r := range s.retries {
		if _, held := s.holds[p]; !held {
			soonest(r.at)
		}
	}
	return tick
}
