package collect

import (
	"context"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/wait"
)

// appender appends the events by which hosts leave (eventlog.Log).
type appender interface {
	Append(ctx context.Context, evs []events.Event) ([]eventlog.Appended, error)
}

// leaveBatch bounds the hosts that leave with one append.
const leaveBatch = 500

// removeGone appends an event for each host of the partition of which nothing was appended for GoneAfter, until ctx ends.
// The event makes the host leave wherever the log is folded, at the same place in it. Two collectors that append it append
// one event. A host that is appended to meanwhile stays, since its events are before or behind.
func (f *follower) removeGone(ctx context.Context) {
	if f.leaves == nil {
		return
	}
	pause := min(max(f.cfg.GoneAfter/8, time.Second), time.Minute)
	for wait.Sleep(ctx, pause) {
		if !f.run.isActive() {
			continue
		}
		gone := f.state.hostsGone(events.TimestampOf(time.Now().Add(-f.cfg.GoneAfter)), leaveBatch)
		if len(gone) == 0 {
			continue
		}
		if _, err := f.leaves.Append(ctx, gone); err != nil && ctx.Err() == nil {
			f.lg.Warn("hosts of which nothing was appended for long stay in the live views for now", "hosts", len(gone), "err", err, "again_in", pause)
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
