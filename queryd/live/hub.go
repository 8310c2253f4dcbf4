package live

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/wait"
	"telemetry-pipeline/projections"
)

// source is the stored projections (projections/snapshot.Store).
type source interface {
	Load(ctx context.Context, g projections.Generation) (projections.Batch, error)
	Watch(ctx context.Context, g projections.Generation, after events.Revision) iter.Seq2[projections.Batch, error]
	WatchActive(ctx context.Context) iter.Seq2[projections.ActiveGeneration, error]
}

// Hub owns the watch, the current State and the subscribers. Only the goroutine of Run creates States; readers of a
// State take no lock.
type Hub struct {
	cfg     Config
	src     source
	log     unreader
	facts   events.Facts
	lg      *slog.Logger
	metrics metrics

	current        atomic.Pointer[published]
	checkRequested wait.Signal   // a caller waits for a position that may be folded already
	done           chan struct{} // closed when Run returns

	mu         sync.Mutex // held briefly, never during a wait; taken before Subscription.mu
	groups     groups
	heartbeats heartbeats
	ring       ring
	waiting    map[*Subscription]struct{} // subscribed before the first load, or ahead of the State
	ended      bool
	failures   map[string]error // present errors by activity
}

// published is a State and a channel that closes when the next one is published.
type published struct {
	state *State
	next  chan struct{}
}

// New returns a hub; Run starts it. log and facts belong to the same log. Without a log, positions are the stored
// ones only, and stay behind where a partition has no events.
func New(cfg Config, src source, log unreader, facts events.Facts, lg *slog.Logger) (*Hub, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if lg == nil {
		lg = slog.New(slog.DiscardHandler)
	}
	h := &Hub{
		cfg: cfg, src: src, log: log, facts: facts, lg: lg,
		checkRequested: wait.NewSignal(),
		done:           make(chan struct{}),
		groups:         newGroups(),
		heartbeats:     newHeartbeats(cfg.Heartbeat),
		ring:           ring{max: cfg.Ring, maxBytes: cfg.RingBytes},
		waiting:        map[*Subscription]struct{}{},
		failures:       map[string]error{},
	}
	h.current.Store(&published{state: newView(facts, "").state, next: make(chan struct{})})
	h.metrics = newMetrics(h)
	return h, nil
}

// Ready returns nil once there was a view to serve. While the active generation is one that this program cannot read
// there is none, or it stays as it was.
func (h *Hub) Ready() error {
	if !h.State().isLoaded() {
		return errors.Join(ErrLoading, h.Degraded())
	}
	return nil
}

// Incomplete returns an error that names the stored values that could not be read and are missing in the view, nil if
// there are none.
func (h *Hub) Incomplete() error { return describeUnreadable(h.State().unreadable) }

// Degraded returns the reason why the view may be behind etcd now, nil if it is not. The State's AsOf shows how far.
func (h *Hub) Degraded() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []error
	for _, activity := range slices.Sorted(maps.Keys(h.failures)) {
		all = append(all, h.failures[activity])
	}
	return errors.Join(all...)
}

// Heartbeat returns the pause between heartbeats.
func (h *Hub) Heartbeat() time.Duration { return h.cfg.Heartbeat }

// State returns the current view; never nil, empty before the first load. It is immutable and may be kept.
func (h *Hub) State() *State { return h.current.Load().state }

// Wait blocks until everything up to rev is folded (live and series) and in the view, and returns that State. It
// returns events.ErrForeign for a rev of another log, the cause of ctx when ctx ends, and ErrClosed when the hub
// ends.
func (h *Hub) Wait(ctx context.Context, rev events.Revision) (*State, error) {
	if rev != (events.Revision{}) && !h.ownsRevision(rev) {
		return nil, fmt.Errorf("waiting for revision %s: %w", rev, events.ErrForeign)
	}
	return h.awaitState(ctx, func(s *State) bool {
		if rev.Number <= s.folded.Number {
			return true
		}
		h.checkRequested.Set()
		return false
	})
}

// WaitEach is Wait with one position per partition, so that it depends on no other partition.
func (h *Hub) WaitEach(ctx context.Context, upto map[events.Partition]events.Revision) error {
	for p, rev := range upto {
		if !h.ownsRevision(rev) || int(p) >= h.facts.Partitions {
			return fmt.Errorf("waiting for revision %s of partition %d: %w", rev, p, events.ErrForeign)
		}
	}
	_, err := h.awaitState(ctx, func(s *State) bool {
		for p, rev := range upto {
			if s.partitionsFolded[p].Number < rev.Number {
				return false
			}
		}
		return true
	})
	return err
}

// ownsRevision reports whether a position belongs to this hub's log.
func (h *Hub) ownsRevision(rev events.Revision) bool {
	return rev.SameLog(events.Revision{Epoch: h.facts.Epoch, Cluster: h.facts.Cluster})
}

// awaitState returns the first State, from the current one on, for which reached returns true.
func (h *Hub) awaitState(ctx context.Context, reached func(*State) bool) (*State, error) {
	for {
		p := h.current.Load()
		if reached(p.state) {
			return p.state, nil
		}
		select {
		case <-p.next:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-h.done:
			return nil, ErrClosed
		}
	}
}

// publishState makes a State the current one and publishes its changes to subscribers. If the State starts a
// generation, positions of the previous one can no longer be resumed.
func (h *Hub) publishState(s *State, c *change, begins bool) {
	prev := h.replaceState(s, c, begins)
	close(prev.next)
}

// replaceState is the part of publishState that needs the lock. It returns the previous State.
func (h *Hub) replaceState(s *State, c *change, begins bool) *published {
	h.mu.Lock()
	defer h.mu.Unlock()
	prev := h.current.Swap(&published{state: s, next: make(chan struct{})})
	if begins {
		h.ring.resetAt(s.at.Number)
	}
	if !c.isEmpty() {
		h.metrics.changes.Inc()
		if !begins {
			h.ring.appendChange(c)
		}
		h.dispatchChange(s, c)
	}
	for sub := range h.waiting {
		if !sub.resumesAhead(s) {
			h.joinGroup(sub, s)
			delete(h.waiting, sub)
		}
	}
	return prev
}

// dispatchChange sends a change to the groups that it concerns. The caller holds the lock.
func (h *Hub) dispatchChange(s *State, c *change) {
	now := time.Now()
	for g := range h.groups.concernedGroups(c) {
		if g.mode == LatestMode {
			h.groups.scheduleSnapshot(g, s, now)
			continue
		}
		m := c.messageFor(g.filter)
		if m == nil {
			continue
		}
		size := m.estimateSize()
		for sub := range g.members {
			h.queueMessage(sub, m, size)
		}
	}
}

// queueMessage queues a message for a subscriber in EventsMode, and ends the subscription if the queue is full. The
// caller holds the lock.
func (h *Hub) queueMessage(sub *Subscription, m *Message, size int) {
	switch sub.queueMessage(m, size, h.cfg.QueueBytes) {
	case queueHalfFull:
		h.metrics.lags.Inc()
	case queueFull:
		h.metrics.slow.Inc()
		h.removeSubscription(sub)
	}
}

// publishDueGroups publishes to the groups that are due, and returns the time of the next one (zero: no group waits).
func (h *Hub) publishDueGroups(now time.Time) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.groups.publishDue(h.State(), now)
}

// endSubscriptions ends every subscription and refuses new ones.
func (h *Hub) endSubscriptions() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = true
	for sub := range h.waiting {
		sub.endWith(ErrClosed)
	}
	for _, g := range h.groups.all {
		for sub := range g.members {
			sub.endWith(ErrClosed)
		}
	}
	close(h.done)
}
