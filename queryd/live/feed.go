package live

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/wait"
)

// Feed serves the part of the fleet that a scope selects: its States, and their changes to subscribers. Hosts outside the
// scope do not exist in it. Readers of a State take no lock.
//
// Positions are positions of the whole log in every feed. They also advance by changes of other hosts, and subscribers then learn
// the newer position by the next heartbeat, which comes on a fixed schedule.
type Feed struct {
	cfg      Config
	facts    events.Facts
	metrics  metrics
	degraded func() error

	current        atomic.Pointer[published]
	checkRequested wait.Signal   // a caller waits for a position that may be folded already
	done           chan struct{} // closed when the feed ends

	mu         sync.Mutex // held briefly, never during a wait; taken before Subscription.mu
	groups     groups
	heartbeats heartbeats
	ring       ring
	waiting    map[*Subscription]struct{} // subscribed before the first load, or ahead of the State
	ended      bool
}

// published is a State and a channel that closes when the next one is published.
type published struct {
	state *State
	next  chan struct{}
}

// newFeed returns a feed that begins with a State.
func newFeed(cfg Config, facts events.Facts, s *State) *Feed {
	f := &Feed{
		cfg: cfg, facts: facts,
		done:       make(chan struct{}),
		groups:     newGroups(),
		heartbeats: newHeartbeats(cfg.Heartbeat),
		ring:       ring{max: cfg.Ring, maxBytes: cfg.RingBytes, floor: s.at.Number},
		waiting:    map[*Subscription]struct{}{},
	}
	f.current.Store(&published{state: s, next: make(chan struct{})})
	return f
}

// Ready returns nil once there was a view to serve. While the active generation is one that this program cannot read
// there is none, or it stays as it was.
func (f *Feed) Ready() error {
	if !f.State().isLoaded() {
		return errors.Join(ErrLoading, f.Degraded())
	}
	return nil
}

// Incomplete returns an error that names the stored values that could not be read and are missing in the view, nil if
// there are none.
func (f *Feed) Incomplete() error { return describeUnreadable(f.State().unreadable) }

// Degraded returns the reason why the view may be behind etcd now, nil if it is not. The State's AsOf shows how far.
func (f *Feed) Degraded() error { return f.degraded() }

// IsBehind reports whether the view may be behind etcd now.
func (f *Feed) IsBehind() bool { return f.degraded() != nil }

// Heartbeat returns the pause between heartbeats.
func (f *Feed) Heartbeat() time.Duration { return f.cfg.Heartbeat }

// State returns the current view; never nil, empty before the first load. It is immutable and may be kept.
func (f *Feed) State() *State { return f.current.Load().state }

// Wait blocks until everything up to rev is folded (live and series) and in the view, and returns that State. It
// returns events.ErrForeign for a rev of another log, the cause of ctx when ctx ends, and ErrClosed when the feed
// ends.
func (f *Feed) Wait(ctx context.Context, rev events.Revision) (*State, error) {
	if rev != (events.Revision{}) && !f.ownsRevision(rev) {
		return nil, fmt.Errorf("waiting for revision %s: %w", rev, events.ErrForeign)
	}
	return f.awaitState(ctx, func(s *State) bool {
		if rev.Number <= s.folded.Number {
			return true
		}
		f.checkRequested.Set()
		return false
	})
}

// WaitEach is Wait with one position per partition, so that it depends on no other partition.
func (f *Feed) WaitEach(ctx context.Context, upto map[events.Partition]events.Revision) error {
	for p, rev := range upto {
		if !f.ownsRevision(rev) || int(p) >= f.facts.Partitions {
			return fmt.Errorf("waiting for revision %s of partition %d: %w", rev, p, events.ErrForeign)
		}
	}
	_, err := f.awaitState(ctx, func(s *State) bool {
		for p, rev := range upto {
			if s.partitionsFolded[p].Number < rev.Number {
				return false
			}
		}
		return true
	})
	return err
}

// ownsRevision reports whether a position belongs to the feed's log.
func (f *Feed) ownsRevision(rev events.Revision) bool {
	return rev.SameLog(events.Revision{Epoch: f.facts.Epoch, Cluster: f.facts.Cluster})
}

// awaitState returns the first State, from the current one on, for which reached returns true.
func (f *Feed) awaitState(ctx context.Context, reached func(*State) bool) (*State, error) {
	for {
		p := f.current.Load()
		if reached(p.state) {
			return p.state, nil
		}
		select {
		case <-p.next:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-f.done:
			return nil, ErrClosed
		}
	}
}

// publishState makes a State the current one and publishes its changes to subscribers. If the State starts a
// generation, positions of the previous one can no longer be resumed.
func (f *Feed) publishState(s *State, c *change, begins bool) {
	prev := f.replaceState(s, c, begins)
	close(prev.next)
}

// replaceState is the part of publishState that needs the lock. It returns the previous State.
func (f *Feed) replaceState(s *State, c *change, begins bool) *published {
	f.mu.Lock()
	defer f.mu.Unlock()
	prev := f.current.Swap(&published{state: s, next: make(chan struct{})})
	if begins {
		f.ring.resetAt(s.at.Number)
	}
	if !c.isEmpty() {
		if !begins {
			f.ring.appendChange(c)
		}
		f.dispatchChange(s, c)
	}
	for sub := range f.waiting {
		if !sub.resumesAhead(s) {
			f.joinGroup(sub, s)
			delete(f.waiting, sub)
		}
	}
	return prev
}

// dispatchChange sends a change to the groups that it concerns. The caller holds the lock.
func (f *Feed) dispatchChange(s *State, c *change) {
	now := time.Now()
	for g := range f.groups.concernedGroups(c) {
		if g.mode == LatestMode {
			f.groups.scheduleSnapshot(g, s, now)
			continue
		}
		m := c.messageFor(g.filter)
		if m == nil {
			continue
		}
		size := m.estimateSize()
		for sub := range g.members {
			f.queueMessage(sub, m, size)
		}
	}
}

// queueMessage queues a message for a subscriber in EventsMode, and ends the subscription if the queue is full. The
// caller holds the lock.
func (f *Feed) queueMessage(sub *Subscription, m *Message, size int) {
	switch sub.queueMessage(m, size, f.cfg.QueueBytes) {
	case queueHalfFull:
		f.metrics.lags.Inc()
	case queueFull:
		f.metrics.slow.Inc()
		f.removeSubscription(sub)
	}
}

// publishDueGroups publishes to the groups that are due, and returns the time of the next one (zero: no group waits).
func (f *Feed) publishDueGroups(now time.Time) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.groups.publishDue(f.State(), now)
}

// endSubscriptions ends every subscription and refuses new ones.
func (f *Feed) endSubscriptions() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	for sub := range f.waiting {
		sub.endWith(ErrClosed)
	}
	for _, g := range f.groups.all {
		for sub := range g.members {
			sub.endWith(ErrClosed)
		}
	}
	close(f.done)
}

// isUnused reports whether the feed has no subscriptions.
func (f *Feed) isUnused() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.waiting) == 0 && len(f.groups.all) == 0
}
