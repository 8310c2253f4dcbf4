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

// sharing is one Share: what this member sees of a generation, holds and wants. All fields belong to the goroutine
// of run, except the channels and what is said to be otherwise.
type sharing struct {
	o          *Ownership
	self       string
	generation string
	keys       keys
	standing   func() clientv3.Cmp // nil: claims need no more than that nobody has them
	hold       func(*Claim)

	view    view // the newest one of the present session; no members means none yet
	settled settling
	holds   map[events.Partition]*holding
	retries map[events.Partition]*retry // partitions whose hold returned by itself
	others  map[events.Partition]int64  // tokens of other owners that the view may not show yet
	over    map[events.Partition]int64  // tokens of the last holds that ended
	asking  bool                        // a take is under way
	askAt   time.Time                   // not before
	askWait *wait.Backoff
	unowned int // partitions that nobody owns, as the metrics were told

	ended chan *holding // holds that have returned and are released; room for all
	wg    sync.WaitGroup
}

func newSharing(o *Ownership, self, generation string, standing func() clientv3.Cmp, hold func(*Claim)) *sharing {
	return &sharing{
		o: o, self: self, generation: generation, keys: keysOf(o.store, generation), standing: standing, hold: hold,
		holds:   make(map[events.Partition]*holding),
		retries: make(map[events.Partition]*retry),
		over:    make(map[events.Partition]int64),
		ended:   make(chan *holding, o.partitions),
	}
}

// run shares with one session after the other, until ctx ends and every hold has returned.
func (s *sharing) run(ctx context.Context) {
	defer s.wg.Wait()
	for {
		sess := s.o.session(ctx)
		if sess == nil {
			break
		}
		s.share(ctx, sess)
	}
	s.drain(nil) // of a lost session, when the stop came before the next one
	s.tell(0)
}

// tell brings the metric of partitions without an owner up to date.
func (s *sharing) tell(unowned int) {
	s.o.metrics.unowned.Add(float64(unowned - s.unowned))
	s.unowned = unowned
}

// share takes part with one lease: until it is lost, or until ctx has ended and all is given back.
func (s *sharing) share(ctx context.Context, sess *session) {
	s.view, s.settled = view{}, settling{debounce: s.o.cfg.JoinDebounce}
	s.others, s.asking, s.askAt, s.askWait = make(map[events.Partition]int64), false, time.Time{}, newBackoff()
	bound, unbind := context.WithCancel(sess.Ctx())
	var helpers sync.WaitGroup
	defer helpers.Wait()
	defer unbind()

	views, answers := make(chan view), make(chan taken, 1)
	vr := viewer{client: s.o.client, keys: s.keys, version: s.o.cfg.ModelVersion, resync: 2 * s.o.cfg.LeaseTTL, silence: s.o.store.Silence(), lg: s.o.lg}
	helpers.Go(func() { vr.run(bound, views) })
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			s.stop(sess)
			return
		case <-sess.Done():
			s.lose(sess)
			return
		case v := <-views:
			if !s.see(v, sess) {
				s.lose(sess)
				return
			}
		case t := <-answers:
			s.answered(ctx, sess, t)
		case h := <-s.ended:
			s.finished(h)
		case <-timer.C:
		}
		now := time.Now()
		s.giveAway(now)
		if asked := s.wanted(now, sess.Lease()); len(asked) > 0 && !s.asking {
			s.asking = true
			var also []clientv3.Cmp
			if s.standing != nil {
				also = append(also, s.standing())
			}
			helpers.Go(func() { answers <- sess.take(bound, s.keys, s.self, asked, also) })
		}
		timer.Reset(s.nextTick(now))
	}
}

// see takes in a new view: claims whose owner key is gone are lost. It is false when the member key is
// gone, with which nobody ranks this member any more.
func (s *sharing) see(v view, sess *session) bool {
	s.view = v
	s.tell(s.o.observe(s.generation, v))
	s.settled.see(time.Now(), v.members)
	for p, h := range s.holds {
		if v.rev >= h.token && v.owners[p].token != h.token && h.ctx.Err() == nil {
			s.end(h, "lost", fmt.Errorf("%w: %w", ErrLost, errKeyGone))
		}
	}
	for p, token := range s.others {
		if v.rev >= token {
			delete(s.others, p) // the view knows better now
		}
	}
	lease, there := v.members[s.self]
	if there && lease != sess.Lease() {
		s.o.lg.Error("another process uses this member id; give each collector a data directory of its own (flag partition.data-dir)", "member", s.self)
	}
	return there
}

// giveAway ends claims on what ranks to another settled member, a few at a time.
func (s *sharing) giveAway(now time.Time) {
	members := s.settled.members(now, s.self)
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
		if h.cause == "" && first(members, p) != s.self {
			s.end(h, "moved", ErrMoved)
			moving++
		}
	}
}

// wanted gives the partitions to claim now: nobody owns them, and of all members that are there, newcomers
// too, this one ranks first; and those that this process owns without knowing.
func (s *sharing) wanted(now time.Time, lease clientv3.LeaseID) []events.Partition {
	if s.asking || now.Before(s.askAt) || len(s.view.members) == 0 {
		return nil
	}
	members := slices.Collect(maps.Keys(s.view.members))
	var asked []events.Partition
	for p := range events.Partition(s.o.partitions) {
		if s.free(p, now, lease) && (s.orphaned(p, lease) || first(members, p) == s.self) && len(asked) < maxTake {
			asked = append(asked, p)
		}
	}
	return asked
}

// free tells whether p can be claimed: nobody owns it, or this process does by an earlier claim whose
// answer was lost.
func (s *sharing) free(p events.Partition, now time.Time, lease clientv3.LeaseID) bool {
	_, held := s.holds[p]
	owner, owned := s.view.owners[p]
	_, contested := s.others[p]
	r := s.retries[p]
	return !held && (!owned || owner.lease == lease) && !contested && (r == nil || !now.Before(r.at))
}

// orphaned tells whether p is owned by a claim of this process whose answer was lost. Whoever ranks first for it by
// now, nobody else can have it before this process has taken it up and given it away.
func (s *sharing) orphaned(p events.Partition, lease clientv3.LeaseID) bool {
	owner, owned := s.view.owners[p]
	return owned && owner.lease == lease && owner.token > s.over[p]
}

// answered starts the holds of the claims won.
func (s *sharing) answered(ctx context.Context, sess *session, t taken) {
	s.asking = false
	if t.err != nil {
		s.o.lg.Warn("claiming partitions; trying again", "err", t.err)
		s.askAt = time.Now().Add(s.askWait.Next())
		return
	}
	if t.refused > 0 {
		s.o.lg.Debug("the generation is not to be worked on as it was; looking again", "generation", s.generation, "partitions", t.refused)
		s.askAt = time.Now().Add(s.askWait.Next())
	} else {
		s.askWait.Reset()
	}
	for p, token := range t.others {
		if token > s.view.rev {
			s.others[p] = token
		}
	}
	for _, w := range t.won {
		s.start(ctx, sess, w)
	}
	if len(t.won) > 0 {
		s.o.lg.Info("claimed partitions", "member", s.self, "generation", s.generation, "count", len(t.won), "held", len(s.holds))
	}
}

// nextTick tells when time alone changes something.
func (s *sharing) nextTick(now time.Time) time.Duration {
	tick := time.Hour
	soonest := func(at time.Time) {
		if at.After(now) {
			tick = min(tick, at.Sub(now))
		}
	}
	soonest(s.askAt)
	soonest(s.settled.at)
	for p, r := range s.retries {
		if _, held := s.holds[p]; !held {
			soonest(r.at)
		}
	}
	return tick
}
