package eventstest_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
)

// failOnly fails one kind of call.
func failOnly(call string, err error) func(string) error {
	return func(c string) error {
		if c == call {
			return err
		}
		return nil
	}
}

func TestMemoryFaults(t *testing.T) {
	fault := errors.New("made on purpose")
	p := events.PartitionOf("h1", 4)
	for _, call := range []string{"append", "head", "read", "watch"} {
		for _, after := range []bool{false, true} {
			l := eventstest.NewLog(events.Facts{Partitions: 4})
			start, err := l.Head(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if after {
				l.Fail(nil, failOnly(call, fault))
			} else {
				l.Fail(failOnly(call, fault), nil)
			}
			failed := make(map[string]error)
			_, failed["append"] = l.Append(t.Context(), eventstest.Events("h1", 0, 2))
			head, err := l.Head(t.Context())
			failed["head"] = err
			if err != nil {
				head = start
				head.Number += 100
			}
			reads, batches := 0, 0
			for _, err := range l.Read(t.Context(), p, start, head) {
				if failed["read"] = err; err == nil {
					reads++
				}
			}
			l.Advance() // so that there is an event to deliver
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			for _, err := range l.Watch(ctx, p, start) {
				if err != nil {
					if !errors.Is(err, context.Canceled) {
						failed["watch"] = err
					}
					break
				}
				batches++
				if call != "watch" {
					cancel()
				}
			}
			cancel()
			for c, err := range failed {
				if want := c == call; errors.Is(err, fault) != want {
					t.Errorf("%s, after %t: %s gave %v", call, after, c, err)
				}
			}
			wantReads := 2
			switch {
			case call == "append" && !after, call == "read" && !after:
				wantReads = 0
			case call == "read":
				wantReads = 1
			}
			if reads != wantReads {
				t.Errorf("%s, after %t: read gave %d events, want %d", call, after, reads, wantReads)
			}
			if want := call != "watch" || after; batches > 0 != want {
				t.Errorf("%s, after %t: watch gave %d batches", call, after, batches)
			}
		}
	}
}

// TestMemoryInABubble breaks watches while time is not real.
func TestMemoryInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := eventstest.NewLog(events.Facts{Partitions: 1})
		ended := make(chan error, 1)
		var seen []eventlog.Batch
		go func() {
			for b, err := range l.Watch(t.Context(), 0, events.Revision{}) {
				if err != nil {
					ended <- err
					return
				}
				seen = append(seen, b)
			}
		}()
		synctest.Wait()
		l.Advance()
		synctest.Wait()
		if _, err := l.Append(t.Context(), eventstest.Events("h1", 0, 1)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(seen) != 3 || len(seen[1].Events) != 0 || len(seen[2].Events) != 1 {
			t.Errorf("got %+v, want the beginning, then progress, then an event", seen)
		}
		ev := &seen[2].Events[0]
		if got, want := ev.AppendedAt, ev.Last(); got != want {
			t.Errorf("appended at %s, want %s: the bubble's clock is behind its records", got, want)
		}
		if n := l.Break(events.ErrSilent); n != 1 {
			t.Errorf("broke %d watches, want 1", n)
		}
		if err := <-ended; !errors.Is(err, events.ErrSilent) {
			t.Errorf("got %v, want %v", err, events.ErrSilent)
		}
		if n := l.Break(events.ErrSilent); n != 0 {
			t.Errorf("%d watches are left", n)
		}
	})
}
