package live_test

import (
	"fmt"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/events/trace"
	"telemetry-pipeline/queryd/live"
	"telemetry-pipeline/queryd/live/livetest"
)

func traceNumber(n byte) events.TraceContext {
	return events.TraceContext{Trace: [16]byte{n}, Span: [8]byte{n}}
}

// setTraced stores a new utilization of a GPU in a trace; number 0 is none.
func (r *rig) setTraced(number byte, host events.HostID, uuid string, value int64) {
	r.clock += events.Timestamp(time.Second)
	reading := r.fleet.Report(livetest.Reading{Host: host, UUID: uuid, Metric: util, At: r.clock, Value: value})
	if number == 0 {
		r.src.Store(g1, reading)
	} else {
		r.src.StoreTraced(g1, traceNumber(number), reading)
	}
}

// traces returns the numbers of the traces of messages, as their first reader takes them.
func traces(all []*live.Message) (numbers []byte) {
	for _, m := range all {
		for _, from := range m.TakeTraces() {
			numbers = append(numbers, from.Trace[0])
		}
	}
	return numbers
}

func (r *rig) expectTraces(what string, got []byte, want ...byte) {
	r.Helper()
	if fmt.Sprint(got) != fmt.Sprint(append([]byte{}, want...)) && len(got)+len(want) > 0 {
		r.Errorf("%s: got traces %v, want %v", what, got, want)
	}
}

func TestUpdatesHaveTheTracesOfTheirChanges(t *testing.T) {
	inBubble(t, live.Config{}, func(r *rig) {
		r.setTraced(1, "h1", "GPU-a", 1)
		r.start()
		slow, other, each := r.subscribe(live.Options{Hz: 1, Snapshot: true}), r.subscribe(live.Options{Hz: 1, Snapshot: true}), r.subscribe(live.Options{Mode: live.EventsMode, Snapshot: true})
		one := r.subscribe(live.Options{Mode: live.EventsMode, Snapshot: true, Filter: live.Filter{Hosts: []string{"h2"}}})
		for _, sub := range []*live.Subscription{slow, other, each, one} {
			r.expectTraces("a snapshot", traces(r.all(sub)))
		}
		r.setTraced(0, "h1", "GPU-a", 2)
		r.all(slow) // the group's next snapshot is a second away
		r.all(other)
		r.expectTraces("a change outside of traces", traces(r.all(each)))

		r.setTraced(2, "h1", "GPU-a", 3)
		r.setTraced(3, "h2", "GPU-b", 4)
		r.setTraced(0, "h1", "GPU-a", 5)
		r.expectTraces("each change", traces(r.all(each)), 2, 3)
		r.expectTraces("changes of a host", traces(r.all(one)), 3)
		time.Sleep(2 * time.Second)
		first, second := r.all(slow), r.all(other)
		r.expectTraces("changes in one update", traces(first), 2, 3)
		r.expectTraces("the second reader of a message", traces(second))

		r.setTraced(4, "h1", "GPU-a", 5) // the value that it has, at a later time
		r.setTraced(0, "h1", "GPU-a", 6)
		time.Sleep(2 * time.Second)
		r.expectTraces("the next update", traces(r.all(slow)), 4)
	})
}

func TestTracesOfAStateAreBounded(t *testing.T) {
	inBubble(t, live.Config{}, func(r *rig) {
		r.setTraced(0, "h1", "GPU-a", 1)
		r.start()
		sub := r.subscribe(live.Options{Hz: 1, Snapshot: true})
		r.all(sub)
		r.setTraced(0, "h1", "GPU-a", 2)
		r.all(sub)
		for n := range byte(trace.MaxLinks + 10) {
			r.setTraced(n+1, "h1", "GPU-a", int64(n)+10)
			r.all(sub)
		}
		time.Sleep(2 * time.Second)
		got := traces(r.all(sub))
		if len(got) != trace.MaxLinks || got[len(got)-1] != trace.MaxLinks+10 {
			t.Errorf("got traces %v, want the newest %d", got, trace.MaxLinks)
		}
	})
}

// TestScopesHaveNoTracesOfOthers: a change of another host is no reason for a push.
func TestScopesHaveNoTracesOfOthers(t *testing.T) {
	inBubble(t, live.Config{}, func(r *rig) {
		r.setTraced(0, "h1", "GPU-a", 1)
		r.setTraced(0, "h2", "GPU-b", 1)
		r.start()
		scope, err := access.ParseScope("host=h2")
		if err != nil {
			t.Fatal(err)
		}
		feed, err := r.hub.In(scope)
		if err != nil {
			t.Fatal(err)
		}
		sub, err := feed.Subscribe(live.Options{Hz: 1, Snapshot: true})
		if err != nil {
			t.Fatal(err)
		}
		r.all(sub)
		r.setTraced(1, "h1", "GPU-a", 2)
		r.setTraced(2, "h2", "GPU-b", 3)
		r.setTraced(3, "h1", "GPU-a", 4)
		time.Sleep(2 * time.Second)
		r.expectTraces("a scope", traces(r.all(sub)), 2)
	})
}
