package eventstest

import (
	"context"
	"errors"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
)

// Subject is a log to be tested, with the operations of other writers on it.
type Subject struct {
	Log
	Put        func(key string, value []byte) // writes a key, as a writer other than Append would
	Delete     func(key string)               // removes an event, as retention does
	Compact    func()                         // drops the history
	WatchBytes int                            // the bound of a Watch's queue; small
}

// maxWait bounds how long a test waits for an event or error that must come.
const maxWait = time.Minute

// Run runs the suite that every log has to pass. open returns a new, empty log.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	for name, test := range map[string]func(*testing.T, Subject){
		"append creates once":          testCreateOnce,
		"repeat within an append":      testRepeatWithin,
		"results in order":             testResultsInOrder,
		"append nothing":               testAppendNothing,
		"read returns appended events": testRoundTrip,
		"read in order":                testReadInOrder,
		"read bounds":                  testReadBounds,
		"read big pages":               testReadBigPages,
		"read left early":              testReadLeft,
		"read after deletion":          testReadDeleted,
		"read after compaction":        testReadCompacted,
		"partitions apart":             testPartitions,
		"positions of another log":     testForeign,
		"positions of the future":      testFuture,
		"damaged events":               testDamage,
		"watch continues after a read": testSeam,
		"watch reports progress":       testProgress,
		"watch from a compacted start": testWatchCompacted,
		"watch overflows":              testOverflow,
		"watch left early":             testWatchLeft,
		"one revision in one batch":    testWholeRevisions,
		"ended context":                testEnded,
		"concurrent appends":           testConcurrent,
		"trace of an event":            testTrace,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func mustAppend(t *testing.T, l Log, evs ...events.Event) []eventlog.Appended {
	t.Helper()
	got, err := l.Append(t.Context(), evs)
	if err != nil {
		t.Fatalf("Append: %v", err)
	}
	if len(got) != len(evs) {
		t.Fatalf("Append returned %d results for %d events", len(got), len(evs))
	}
	return got
}

func mustHead(t *testing.T, l Log) events.Revision {
	t.Helper()
	r, err := l.Head(t.Context())
	if err != nil {
		t.Fatalf("Head: %v", err)
	}
	return r
}

// readAll reads a partition from after to the head.
func readAll(t *testing.T, l Log, p events.Partition, after events.Revision) []events.Event {
	t.Helper()
	return collectEvents(t, l.Read(t.Context(), p, after, mustHead(t, l)))
}

func collectEvents(t *testing.T, seq iter.Seq2[events.Event, error]) []events.Event {
	t.Helper()
	var evs []events.Event
	for e, err := range seq {
		if err != nil {
			t.Fatalf("Read: %v", err)
		}
		evs = append(evs, e)
	}
	return evs
}

// watchUntil watches a partition until enough is true of the received events, and returns them.
func watchUntil(t *testing.T, l Log, p events.Partition, after events.Revision, enough func(evs []events.Event, upto events.Revision) bool) []events.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), maxWait)
	defer cancel()
	var evs []events.Event
	upto := after
	for b, err := range l.Watch(ctx, p, after) {
		if err != nil {
			t.Fatalf("Watch after %d events: %v", len(evs), err)
		}
		if b.Upto.Number <= upto.Number {
			t.Fatalf("batch reaches up to %d, the one before to %d", b.Upto.Number, upto.Number)
		}
		for _, e := range b.Events {
			if e.Revision.Number <= upto.Number || e.Revision.Number > b.Upto.Number {
				t.Fatalf("event of revision %d in a batch from %d to %d", e.Revision.Number, upto.Number, b.Upto.Number)
			}
		}
		evs, upto = append(evs, b.Events...), b.Upto
		if enough(evs, upto) {
			return evs
		}
	}
	t.Fatal("Watch ended without an error")
	return nil
}

// followEvents returns n events of a partition after a position in the way every reader of the log has to: it watches, and
// when a watch ends because it fell behind, it reads up to the head and watches from there.
func followEvents(t *testing.T, l Log, p events.Partition, position events.Revision, n int) []events.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), maxWait)
	defer cancel()
	var evs []events.Event
	for len(evs) < n {
		for b, err := range l.Watch(ctx, p, position) {
			if err != nil {
				if !errors.Is(err, events.ErrOverflow) && !errors.Is(err, events.ErrCompacted) {
					t.Fatalf("Watch after %d events: %v", len(evs), err)
				}
				head := mustHead(t, l)
				evs = append(evs, collectEvents(t, l.Read(ctx, p, position, head))...)
				position = head
				break
			}
			evs, position = append(evs, b.Events...), b.Upto
			if len(evs) >= n {
				break
			}
		}
	}
	return evs
}

func firstError[T any](seq iter.Seq2[T, error]) error {
	for _, err := range seq {
		if err != nil {
			return err
		}
	}
	return nil
}

func wantError(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got error %v, want %v", what, got, want)
	}
}

func keysOf(evs []events.Event) []string {
	keys := make([]string, len(evs))
	for i, e := range evs {
		keys[i] = e.Key
	}
	return keys
}

// sameEvents compares events read with events appended, without the fields that Append sets.
func sameEvents(t *testing.T, got, want []events.Event) {
	t.Helper()
	plain := func(evs []events.Event) []events.Event {
		evs = slices.Clone(evs)
		for i := range evs {
			evs[i].AppendedAt, evs[i].Revision, evs[i].Key = 0, events.Revision{}, ""
		}
		return evs
	}
	if diff := cmp.Diff(plain(want), plain(got)); diff != "" {
		t.Errorf("events differ (-want +got):\n%s", diff)
	}
}

// inOrder reports whether events are in order of revision, then key, without repeats.
func inOrder(evs []events.Event) bool {
	for i := 1; i < len(evs); i++ {
		a, b := evs[i-1], evs[i]
		if a.Revision.Number > b.Revision.Number || a.Revision == b.Revision && a.Key >= b.Key {
			return false
		}
	}
	return true
}
