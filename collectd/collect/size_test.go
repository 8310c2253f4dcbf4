package collect

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventstest"
)

// TestAHostWhoseLabelsNeverRepeatHoldsNobodyElseUp: its model would outgrow etcd's limit, and every commit of its
// partition would fail for ever.
func TestAHostWhoseLabelsNeverRepeatHoldsNobodyElseUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.startFollower(Config{})()
		cut := events.NewCutter(events.CutRules{}, "", "")
		var evs []events.Event
		for i := range 8000 {
			id := &events.Identity{Index: "0", Pod: fmt.Sprintf("job-%d-%s", i, strings.Repeat("x", 190))}
			ev := eventstest.Event("crowded", i)
			at := ev.First()
			value := events.Value{Number: events.Int(1)}
			evs = append(evs, cut.Row("crowded", 100, []events.Record{{
				Identity: id, Metric: "DCGM_FI_DEV_GPU_UTIL", Source: "DCGM_FI_DEV_GPU_UTIL", At: at, Value: value, Text: []byte("1"),
			}})...)
		}
		evs = append(evs, cut.Flush()...)
		for _, ev := range evs {
			if _, err := r.log.Append(t.Context(), []events.Event{ev}); err != nil {
				t.Fatal(err)
			}
		}
		r.appendEvents(eventstest.Event("neighbour", 1))
		r.awaitStored()
		refused := 0
		for _, entry := range r.entries() {
			if strings.HasPrefix(entry, oversized) {
				refused++
			}
		}
		if refused == 0 || refused == len(evs) {
			t.Errorf("%d of %d events are in the quarantine as too large, want those that do not fit any more", refused, len(evs))
		}
		if r.store.live["neighbour"] == nil || r.store.live["crowded"] == nil {
			t.Error("the neighbour, or what fits of the crowded host, is not stored")
		}
	})
}
