package collect

import (
	"context"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/wait"
)

// appender appends the events that say that time has passed (eventlog.Log).
type appender interface {
	Append(ctx context.Context, evs []events.Event) ([]eventlog.Appended, error)
}

// leaveBatch bounds the hosts that leave with one append.
const leaveBatch = 500

// appendPassed appends the events that follow from the passing of time, until ctx ends: one for each host of the partition of
// which nothing was appended for GoneAfter, and one when the time of readings has come that were ahead of it. So wherever the log
// is folded, a host leaves, and a reading is the latest, at the same place in it. Two collectors that append an event append
// one. A host that is appended to meanwhile stays, since its events are before or behind.
func (f *follower) appendPassed(ctx context.Context) {
	if f.passed == nil {
		return
	}
	pause := min(max(f.cfg.GoneAfter/8, time.Second), time.Minute)
	for wait.Sleep(ctx, pause) {
		if !f.run.isActive() {
			continue
		}
		now := time.Now()
		passed := f.state.hostsGone(events.TimestampOf(now.Add(-f.cfg.GoneAfter)), leaveBatch)
		if due, ok := f.state.hostDue(events.TimestampOf(now)); ok {
			passed = append(passed, due)
		}
		if len(passed) == 0 {
			continue
		}
		if _, err := f.passed.Append(ctx, passed); err != nil && ctx.Err() == nil {
			f.lg.Warn("hosts of which nothing was appended for long stay in the live views, or readings whose time has come stay out of them, for now",
				"hosts", len(passed), "err", err, "again_in", pause)
		}
	}
}

// hostsGone returns the events by which hosts leave that have readings and nothing appended since an instant, at most so many.
func (s *state) hostsGone(since events.Timestamp, most int) []events.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	var gone []events.Event
	for id, h := range s.hosts {
		if l := &h.Live; len(l.Entities) > 0 && l.Appended != 0 && l.Appended < since {
			if gone = append(gone, events.LeftEvent(id, l.Appended)); len(gone) == most {
				break
			}
		}
	}
	return gone
}

// hostDue returns the event by which readings become the latest whose time has come since the partition's newest event. It is of
// one host, and good for all.
func (s *state) hostDue(now events.Timestamp) (ev events.Event, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	clock, newest, host := events.Timestamp(0), events.Timestamp(0), events.HostID("")
	for id, h := range s.hosts {
		clock = max(clock, h.Live.Appended)
		if due, ok := h.Live.NewestDue(now); ok && (host == "" || due > newest || due == newest && id < host) {
			newest, host = due, id
		}
	}
	if host == "" || newest <= clock {
		return events.Event{}, false
	}
	return events.DueEvent(host, newest), true
}
