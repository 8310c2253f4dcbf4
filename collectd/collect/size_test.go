package collect

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/projections"
)

// TestAHostOfEverNewPodsStaysSmall: the labels of a GPU are in the windows that have them, and only the newest in its models.
func TestAHostOfEverNewPodsStaysSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.startFollower(Config{})()
		r.appendRows("busy", 8000, func(i int) *events.Identity {
			return &events.Identity{Index: "0", Pod: fmt.Sprintf("job-%d-%s", i, strings.Repeat("x", 190))}
		})
		r.awaitStored()
		if entries := r.entries(); len(entries) > 0 {
			t.Errorf("%d events are in the quarantine: %v", len(entries), entries)
		}
		if n := len(r.store.live["busy"]) + len(r.store.identity["busy"]); n > 1000 {
			t.Errorf("the models of a host with one GPU take %d bytes after 8000 pods, want at most 1000", n)
		}
	})
}

// TestAHostWhoseGPUsNeverRepeatHoldsNobodyElseUp: its models would outgrow etcd's limit, and every commit of its
// partition would fail for ever.
func TestAHostWhoseGPUsNeverRepeatHoldsNobodyElseUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.startFollower(Config{})()
		most := projections.Bounds{}.WithDefaults().GPUs
		r.appendRows("crowded", most+3000, func(i int) *events.Identity { return &events.Identity{UUID: fmt.Sprintf("GPU-%d", 1+i)} })
		r.appendEvents(eventstest.Event("neighbour", 1))
		r.awaitStored()
		partly := 0
		for _, entry := range r.entries() {
			if strings.HasPrefix(entry, oversized) {
				partly++
			}
		}
		if partly == 0 {
			t.Error("no event is in the quarantine as too large, want those whose GPUs have no room")
		}
		if r.store.live["neighbour"] == nil || r.store.live["crowded"] == nil {
			t.Fatal("the neighbour, or what fits of the crowded host, is not stored")
		}
		live, err := projections.ParseLive(r.store.live["crowded"])
		if err != nil || len(live.Entities) < 10_000 || len(r.store.live["crowded"]) > maxModelBytes {
			t.Errorf("%d GPUs in %d bytes, %v; want as many as the bounds allow", len(live.Entities), len(r.store.live["crowded"]), err)
		}
	})
}

// appendRows appends rows of one reading each, a second apart, under identities of their own.
func (r *rig) appendRows(host events.HostID, n int, identity func(i int) *events.Identity) {
	r.t.Helper()
	cut := events.NewCutter(events.CutRules{}, "", "")
	var evs []events.Event
	for i := range n {
		ev := eventstest.Event(host, i)
		at := ev.First()
		evs = append(evs, cut.Row(host, 100, []events.Record{{
			Identity: identity(i), Metric: "DCGM_FI_DEV_GPU_UTIL", Source: "DCGM_FI_DEV_GPU_UTIL", At: at, Value: events.Value{Number: events.Int(1)}, Text: []byte("1"),
		}})...)
	}
	for _, ev := range append(evs, cut.Flush()...) {
		if _, err := r.log.Append(r.t.Context(), []events.Event{ev}); err != nil {
			r.t.Fatal(err)
		}
	}
}
