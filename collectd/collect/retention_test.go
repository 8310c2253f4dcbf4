package collect

import (
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

// The stored progress bounds the events that may leave the log. An event that is folded and waits, or is just being saved,
// must stay: a new follower that starts from the stored state would never see it again.
func TestEventsThatAreNotStoredYetDoNotLeaveTheLog(t *testing.T) {
	at := func(n int64) events.Revision { return events.Revision{Epoch: 1, Cluster: 1, Number: n} }
	s := newState(Config{}.withDefaults(), snapshot.Partition{}, func() int64 { return 0 })
	s.advanceTo(at(5))
	if got := s.storedProgress().Upto; got != at(5) {
		t.Errorf("with nothing folded up to %v, kept up to %v", at(5), got)
	}
	ev := eventstest.Event("h", 1)
	ev.Revision = at(7)
	effect, _, failed := s.applyEvent(&ev, 7, (*projections.Host).ApplyWithin)
	if failed != nil {
		t.Fatal(failed)
	}
	for w, records := range effect.Fresh {
		s.addPending(ev.Host, w, records, 7)
	}
	s.markSeen(ev.Revision)
	s.advanceTo(at(9))
	if got := s.storedProgress().Upto; got.Number >= 7 {
		t.Errorf("with the event of %v folded and not stored, kept up to %v", ev.Revision, got)
	}
	c, _ := s.takeDue(time.Now(), new(commitPace), true)
	if got := s.storedProgress().Upto; got.Number >= 7 {
		t.Errorf("with the event of %v being saved, kept up to %v", ev.Revision, got)
	}
	s.markSaved(c)
	if got := s.storedProgress().Upto; got != at(9) {
		t.Errorf("with everything stored, kept up to %v, want %v", got, at(9))
	}
}
