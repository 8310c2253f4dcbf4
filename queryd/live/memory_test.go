package live

import (
	"runtime"
	"testing"
	"time"
	"weak"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live/livetest"
)

// Subscribers, read or not, release the States that they started from and passed: else ten thousand of them would
// hold as many fleets.
func TestOldStatesAreLetGo(t *testing.T) {
	facts := livetest.Facts()
	v, fleet := newView(facts, "g", access.Everything()), livetest.NewFleet(facts)
	h, err := New(Config{}, livetest.New(facts), nil, facts, nil)
	if err != nil {
		t.Fatal(err)
	}
	var old []weak.Pointer[State]
	var subs []*Subscription
	for n := int64(1); n <= 20; n++ {
		at := events.Revision{Epoch: facts.Epoch, Cluster: facts.Cluster, Number: n}
		s := fleet.Report(livetest.Reading{Host: "h", UUID: "GPU-a", Metric: "m", At: events.Timestamp(n), Value: n})
		c := v.applyBatch(projections.Batch{At: at, Hosts: []projections.Stored{s}}, time.Now())
		if n == 1 {
			c = v.continueFrom(newView(facts, "", access.Everything()).state, time.Now())
		}
		h.publishState(v.state, c, n == 1)
		old = append(old, weak.Make(v.state))
		for _, o := range []Options{{Snapshot: true}, {Mode: EventsMode, Snapshot: true}, {Hz: 0.01, From: v.state.token}} {
			sub, err := h.Subscribe(o)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := sub.Poll(); err != nil { // begins; the rest stays unread
				t.Fatal(err)
			}
			subs = append(subs, sub)
		}
	}
	h.publishDueGroups(time.Now().Add(time.Hour))
	for range h.heartbeats.sets {
		h.sendHeartbeats(time.Now())
	}
	runtime.GC()
	for i, s := range old[:len(old)-1] {
		if s.Value() != nil {
			t.Errorf("the State at %d is still held", i+1)
		}
	}
	runtime.KeepAlive(subs)
	runtime.KeepAlive(h)
}
