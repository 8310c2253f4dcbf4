package live_test

import (
	"encoding/base64"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/queryd/live"
	"telemetry-pipeline/queryd/live/livetest"
)

// TestAPositionThatEtcdLostIsNotWaitedForForEver: after a restore clients come with positions that the log
// has not reached again.
func TestAPositionThatEtcdLostIsNotWaitedForForEver(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: 5 * time.Second}, func(r *rig) {
		r.start()
		r.set("h1", "GPU-a", 0, 1)
		facts := livetest.Facts()
		future := events.Revision{Epoch: facts.Epoch, Cluster: facts.Cluster, Number: 99_999}
		token := live.Token(base64.RawURLEncoding.EncodeToString([]byte(future.String() + " " + string(g1))))
		for _, mode := range []live.Mode{live.LatestMode, live.EventsMode} {
			sub := r.subscribe(live.Options{From: token, Mode: mode})
			r.expect(sub, "synced resumed")
			var got []*live.Message
			known := mirror{}
			for range 6 {
				time.Sleep(5 * time.Second)
				r.set("h1", "GPU-a", 0, 2)
				for _, m := range r.all(sub) {
					got = append(got, m)
					known.apply(m)
				}
			}
			resets := 0
			for _, m := range got {
				if m.Kind == live.Reset {
					resets++
					if m.Reason != live.ResetEpoch {
						t.Errorf("%s: reset for %q, want %q", mode, m.Reason, live.ResetEpoch)
					}
				}
			}
			if resets != 1 {
				t.Errorf("%s: %d resets in half a minute, want one: %s", mode, resets, brief(got))
			}
			r.sameAsView(known, live.Filter{})
			sub.Close()
		}
	})
}
