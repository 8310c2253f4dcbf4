package live_test

import (
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/queryd/live"
	"telemetry-pipeline/queryd/live/livetest"
)

// A reading ahead of its append is not shown until its time has come by the appends of the log, also to other hosts. Its host is
// not listed before either. A server that loads the view then shows the same.
func TestAReadingAheadIsShownWhenItsTimeHasCome(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: time.Hour}, func(r *rig) {
		begin := r.clock + events.Timestamp(time.Hour)
		report := func(host events.HostID, uuid string, at, appended time.Duration, value int64) {
			r.src.Store(g1, r.fleet.Report(livetest.Reading{Host: host, UUID: uuid, Metric: util, Value: value,
				At: begin + events.Timestamp(at), Appended: begin + events.Timestamp(appended)}))
		}
		report("h2", "GPU-b", 0, 0, 1)
		r.start()
		sub := r.subscribe(live.Options{Mode: live.EventsMode, Snapshot: true})
		r.expect(sub, "snap h2/GPU-b:UTIL=1", "synced")
		report("h1", "GPU-a", 20*time.Minute, time.Minute, 2)
		r.expect(sub)
		if _, shown := r.hub.State().Host("h1"); shown || len(r.hub.State().Hosts()) != 1 {
			t.Errorf("a host is shown whose only reading is ahead of its time")
		}
		report("h2", "GPU-b", 14*time.Minute, 14*time.Minute, 3)
		r.expect(sub, "upd h2/GPU-b:UTIL=3")
		report("h2", "GPU-b", 16*time.Minute, 16*time.Minute, 4)
		r.expect(sub, "upd h1/GPU-a:UTIL=2 h2/GPU-b:UTIL=4")
		for name, state := range map[string]*live.State{"this server": r.hub.State(), "another": r.another(livetest.Facts()).State()} {
			if h, shown := state.Host("h1"); !shown || len(h.GPUs) != 1 {
				t.Errorf("%s does not show the host whose reading's time has come", name)
			}
		}
	})
}
