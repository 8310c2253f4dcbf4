package live_test

import (
	"encoding/base64"
	"testing"
	"testing/synctest"
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

// TestAServerCutOffFromEtcdTakesNobodyBack: who comes from a server that is further keeps what it knows, however long this
// one hears nothing of etcd, and gets the rest when it does.
func TestAServerCutOffFromEtcdTakesNobodyBack(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: 5 * time.Second}, func(r *rig) {
		r.set("h1", "GPU-a", 0, 1)
		r.start()
		r.src.Fail(errDown)
		synctest.Wait()
		r.set("h1", "GPU-a", 0, 2)
		r.src.Fail(nil)
		ahead := r.another(livetest.Facts())
		r.src.Fail(errDown)
		token := ahead.State().Token()
		for _, mode := range []live.Mode{live.LatestMode, live.EventsMode} {
			r.src.Fail(errDown)
			sub := r.subscribe(live.Options{From: token, Mode: mode})
			r.expect(sub, "synced resumed")
			for range 20 {
				time.Sleep(5 * time.Second)
				for _, m := range r.all(sub) {
					if m.Kind != live.Heartbeat {
						t.Errorf("%s: %s while the server hears nothing of etcd, want heartbeats", mode, brief([]*live.Message{m}))
					}
				}
			}
			sub.Close()
		}
	})
}
