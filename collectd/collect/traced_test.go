package collect

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

// tracedState returns a state that notes traces, and a function that folds an event of a host in a trace (0: none).
func tracedState(t *testing.T, isOn func() bool) (*state, func(host events.HostID, number byte)) {
	t.Helper()
	s := newState(Config{}.withDefaults(), snapshot.Partition{}, func() int64 { return 0 })
	s.traced.isOn = isOn
	folded := 0
	return s, func(host events.HostID, number byte) {
		t.Helper()
		folded++
		ev := eventstest.Event(host, folded)
		if number > 0 {
			ev.Trace = events.TraceContext{Trace: [16]byte{number}, Span: [8]byte{number}}
		}
		if _, _, failed := s.applyEvent(&ev, int64(folded), (*projections.Host).ApplyWithin); failed != nil {
			t.Fatal(failed)
		}
	}
}

// causes returns the numbers of the traces that led to the next commit.
func causes(s *state, all bool) string {
	s.takeDue(time.Now(), new(commitPace), all)
	var numbers []byte
	for _, from := range s.takeTraced().causes {
		numbers = append(numbers, from.Trace[0])
	}
	slices.Sort(numbers)
	return fmt.Sprint(numbers)
}

func always() bool { return true }

// TestACommitLinksToTheTracesItStores: a host whose model waits for its turn keeps its traces.
func TestACommitLinksToTheTracesItStores(t *testing.T) {
	s, fold := tracedState(t, always)
	fold("a", 0)
	if got := causes(s, true); got != "[]" {
		t.Errorf("outside of traces: got %s", got)
	}
	before := time.Now()
	fold("a", 1)
	fold("a", 1)
	fold("b", 1)
	fold("b", 2)
	fold("a", 0)
	s.hosts["a"].savedAt = time.Now().Add(time.Hour)
	clear(s.pending) // a chunk would take the model of its host along
	s.takeDue(time.Now(), new(commitPace), false)
	led := s.takeTraced()
	if len(led.causes) != 2 || led.began.Before(before) || led.began.After(time.Now()) {
		t.Errorf("the first commit has %+v, want the two traces of b", led)
	}
	if got := causes(s, false); got != "[]" {
		t.Errorf("a commit without models: got %s", got)
	}
	if got := causes(s, true); got != "[1]" {
		t.Errorf("the commit of a: got %s, want [1]", got)
	}
	if len(s.traced.folds) != 0 {
		t.Errorf("%v stay", s.traced.folds)
	}
}

func TestTracesThatWaitForACommitAreBounded(t *testing.T) {
	s, fold := tracedState(t, always)
	for n := range maxTraced + 10 {
		fold(events.HostID(fmt.Sprint("h", n)), 1+byte(n%3))
	}
	if n := len(s.traced.folds); n != maxTraced {
		t.Errorf("%d folds are noted, want %d", n, maxTraced)
	}
	if got := causes(s, true); got != "[1 2 3]" {
		t.Errorf("got %s, want each trace once", got)
	}
}

func TestTracesAreNotedOnlyWhileFoldsAreTraced(t *testing.T) {
	for name, isOn := range map[string]func() bool{"off": nil, "a rebuild": func() bool { return false }} {
		s, fold := tracedState(t, isOn)
		fold("a", 1)
		if got := causes(s, true); got != "[]" {
			t.Errorf("%s: got %s, want none", name, got)
		}
	}
}
