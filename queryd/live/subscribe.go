package live

import (
	"cmp"
	"fmt"
	"time"

	"telemetry-pipeline/events/wait"
)

// Mode says what a subscriber gets when it is slower than the changes.
type Mode string

const (
	// LatestMode gives the newest values of what changed, at most Hz times a second; a slow reader gets
	// fewer but newer ones.
	LatestMode Mode = "latest"
	// EventsMode gives every committed change of live, through a bounded queue; a reader that lets it fill
	// is told and then closed.
	EventsMode Mode = "events"
)

const (
	defaultHz = 4.0
	maxHz     = 20.0
	minHz     = 0.01
)

// Options of a subscription.
type Options struct {
	Filter   Filter
	Mode     Mode    // default LatestMode
	Hz       float64 // LatestMode: frames per second at most; default 4, at most 20
	Snapshot bool    // give the matching state first
	From     Token   // resume after this position; "" starts anew

	// Wake is set whenever Poll may have something. Several subscriptions of one reader may share a signal: it then
	// calls Poll on each and never Next. The zero value stands for a signal of the subscription's own.
	Wake wait.Signal
}

// Subscribe starts a subscription; the caller closes it. An error tells which option is bad. Before the
// first load it waits for that, and with a position that another server gave out in a generation that this one does
// not serve yet, until this one has got there: nobody is taken back.
func (h *Hub) Subscribe(o Options) (*Subscription, error) {
	f, err := o.Filter.compile()
	if err != nil {
		return nil, err
	}
	mode := cmp.Or(o.Mode, LatestMode)
	period, err := o.framePeriod(mode)
	if err != nil {
		return nil, err
	}
	sub := &Subscription{hub: h, filter: f, mode: mode, period: period, snapshot: o.Snapshot, from: o.From, wake: o.Wake}
	if sub.wake == (wait.Signal{}) {
		sub.wake = wait.NewSignal()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		return nil, ErrClosed
	}
	h.metrics.subscribers.WithLabelValues(string(mode)).Inc()
	if s := h.State(); s.isLoaded() && !sub.resumesAhead(s) {
		h.joinGroup(sub, s)
	} else {
		h.waiting[sub] = struct{}{}
	}
	return sub, nil
}

// framePeriod is the time between two frames of a mode.
func (o Options) framePeriod(mode Mode) (time.Duration, error) {
	switch mode {
	case EventsMode:
		return 0, nil
	case LatestMode:
		hz := cmp.Or(o.Hz, defaultHz)
		if !(hz >= minHz && hz <= maxHz) {
			return 0, fmt.Errorf("subscribing: hz is %v; give %v to %v frames per second", o.Hz, minHz, maxHz)
		}
		return time.Duration(float64(time.Second) / hz), nil
	}
	return 0, fmt.Errorf("subscribing: mode is %q; give %q or %q", o.Mode, LatestMode, EventsMode)
}

// joinGroup puts a subscription into its group and fixes where it starts. Nothing is published meanwhile: it
// needs the lock.
func (h *Hub) joinGroup(sub *Subscription, s *State) {
	g := h.groups.groupFor(sub.filter, sub.mode, sub.period, s)
	g.members[sub] = struct{}{}
	start := h.resolveStart(sub, s)
	start.base = g.snapshotForJoin(s)
	if start.reason != "" {
		h.metrics.resets.WithLabelValues(start.reason).Inc()
	}
	sub.setStart(g, start)
}

// resumesAhead tells whether a reader comes from a position behind s that cannot be gone on from: what it would be given in
// its place is older than what it knows.
func (sub *Subscription) resumesAhead(s *State) bool {
	generation, at, ok := sub.from.parseToken()
	return ok && at.SameLog(s.at) && generation != s.generation && at.Number > s.at.Number
}

// resolveStart decides how a subscription begins: it goes on from its token, or says why it cannot.
func (h *Hub) resolveStart(sub *Subscription, s *State) startPoint {
	if sub.from == "" {
		return startPoint{snapshot: sub.snapshot}
	}
	generation, at, ok := sub.from.parseToken()
	switch {
	case !ok || !at.SameLog(s.at):
		return startPoint{snapshot: true, reason: ResetEpoch}
	case generation != s.generation:
		return startPoint{snapshot: true, reason: ResetGeneration}
	case at.Number < s.generationStart() || at.Number < s.departuresSince:
		return startPoint{snapshot: true, reason: ResetCompacted}
	}
	out := startPoint{resumed: true, from: position{len(s.generationSwitches), at.Number}}
	if sub.mode == EventsMode {
		if out.replay, ok = h.ring.changesAfter(at.Number); !ok {
			return startPoint{snapshot: true, reason: ResetCompacted}
		}
	}
	return out
}

// removeSubscription takes a subscription out. It needs the lock, and may be called again.
func (h *Hub) removeSubscription(sub *Subscription) {
	_, early := h.waiting[sub]
	delete(h.waiting, sub)
	g := sub.group.Load()
	member := false
	if g != nil {
		_, member = g.members[sub]
		delete(g.members, sub)
		if member && len(g.members) == 0 {
			h.groups.removeGroup(g)
		}
	}
	if early || member {
		h.metrics.subscribers.WithLabelValues(string(sub.mode)).Dec()
	}
}

// unsubscribe is drop for the subscription itself.
func (h *Hub) unsubscribe(sub *Subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.removeSubscription(sub)
}
