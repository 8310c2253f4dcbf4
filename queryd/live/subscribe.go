package live

import (
	"cmp"
	"fmt"
	"time"

	"telemetry-pipeline/events/wait"
)

// Mode is the delivery mode of a subscription. It decides which changes a slow subscriber loses.
type Mode string

const (
	// LatestMode delivers the newest values of changed readings, at most Hz times a second; a slow reader receives
	// fewer but newer ones.
	LatestMode Mode = "latest"
	// EventsMode delivers every committed change of live, through a bounded queue; a reader whose queue fills
	// receives a Lag and is then closed.
	EventsMode Mode = "events"
)

const (
	defaultHz = 4.0
	maxHz     = 20.0
	minHz     = 0.01
)

// Options are the options of a subscription.
type Options struct {
	Filter   Filter
	Mode     Mode    // default LatestMode
	Hz       float64 // LatestMode: frames per second at most; default 4, at most 20
	Snapshot bool    // send the matching state first
	From     Token   // resume after this position; "" starts without one

	// Wake is set whenever Poll may have something. Several subscriptions of one reader may share a signal: it then
	// calls Poll on each and never Next. The zero value stands for a signal of the subscription's own.
	Wake wait.Signal

	// Phase decides when in the pause between heartbeats the subscription receives its own. Several subscriptions of one reader
	// share the phase of the first one (Subscription.Phase). Zero stands for a new phase.
	Phase int
}

// Subscribe starts a subscription; the caller closes it. The error names the bad option. A subscription starts after
// the first load. If its position comes from another server, in a generation that this one does not serve yet, it
// starts when this one has reached that position: no reader goes back to an older state.
func (f *Feed) Subscribe(o Options) (*Subscription, error) {
	selected, err := o.Filter.compile()
	if err != nil {
		return nil, err
	}
	mode := cmp.Or(o.Mode, LatestMode)
	period, err := o.framePeriod(mode)
	if err != nil {
		return nil, err
	}
	sub := &Subscription{feed: f, filter: selected, mode: mode, period: period, snapshot: o.Snapshot, from: o.From, wake: o.Wake, phase: max(o.Phase, 0)}
	if sub.wake == (wait.Signal{}) {
		sub.wake = wait.NewSignal()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return nil, ErrClosed
	}
	if sub.phase == 0 {
		sub.phase = f.heartbeats.newPhase()
	}
	f.metrics.subscribers.WithLabelValues(string(mode)).Inc()
	if s := f.State(); s.isLoaded() && !sub.resumesAhead(s) {
		f.joinGroup(sub, s)
	} else {
		f.waiting[sub] = struct{}{}
	}
	return sub, nil
}

// framePeriod returns the time between two frames of a mode.
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

// joinGroup adds a subscription to its group and fixes where it starts. The caller holds the lock, so nothing is
// published meanwhile.
func (f *Feed) joinGroup(sub *Subscription, s *State) {
	g := f.groups.groupFor(sub.filter, sub.mode, sub.period, s)
	g.members[sub] = struct{}{}
	f.heartbeats.addSubscription(sub)
	start := f.resolveStart(sub, s)
	start.base = g.snapshotForJoin(s)
	if start.reason != "" {
		f.metrics.resets.WithLabelValues(start.reason).Inc()
	}
	sub.setStart(g, start)
}

// resumesAhead reports whether a reader's position is later than s and of another generation. It cannot be resumed,
// and the state at s would be older than the state that the reader knows.
func (sub *Subscription) resumesAhead(s *State) bool {
	stream, at, ok := sub.from.parseToken()
	return ok && at.SameLog(s.at) && stream != s.stream && at.Number > s.at.Number
}

// resolveStart returns where a subscription starts: after its token, or at a snapshot with the reason for it.
func (f *Feed) resolveStart(sub *Subscription, s *State) startPoint {
	if sub.from == "" {
		return startPoint{snapshot: sub.snapshot}
	}
	stream, at, ok := sub.from.parseToken()
	switch {
	case !ok || !at.SameLog(s.at):
		return startPoint{snapshot: true, reason: ResetEpoch}
	case stream != s.stream:
		return startPoint{snapshot: true, reason: ResetGeneration}
	case at.Number < s.generationStart() || at.Number < s.departuresSince || s.hasLeapt(at.Number):
		return startPoint{snapshot: true, reason: ResetCompacted}
	}
	out := startPoint{resumed: true, from: position{len(s.generationSwitches), at.Number}}
	if sub.mode == EventsMode {
		if out.replay, ok = f.ring.changesAfter(at.Number); !ok {
			return startPoint{snapshot: true, reason: ResetCompacted}
		}
	}
	return out
}

// removeSubscription removes a subscription from the feed. It may be called again. The caller holds the lock.
func (f *Feed) removeSubscription(sub *Subscription) {
	_, early := f.waiting[sub]
	delete(f.waiting, sub)
	g := sub.group.Load()
	member := false
	if g != nil {
		_, member = g.members[sub]
		delete(g.members, sub)
		f.heartbeats.removeSubscription(sub)
		if member && len(g.members) == 0 {
			f.groups.removeGroup(g)
		}
	}
	if early || member {
		f.metrics.subscribers.WithLabelValues(string(sub.mode)).Dec()
	}
}

// unsubscribe takes the lock and removes a subscription.
func (f *Feed) unsubscribe(sub *Subscription) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.removeSubscription(sub)
}
