package live_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/queryd/live"
	"telemetry-pipeline/queryd/live/livetest"
)

var bothModes = []live.Mode{live.LatestMode, live.EventsMode}

func TestResumeDeliversExactlyTheMissedChanges(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: time.Hour}, func(r *rig) {
		for i := range 5 {
			r.set(events.HostID(fmt.Sprintf("h%d", i)), fmt.Sprintf("GPU-%d", i), 0, 0)
		}
		r.start()
		sub := r.subscribe(live.Options{Snapshot: true})
		token := r.begin(sub)
		sub.Close()
		r.set("h1", "GPU-1", 0, 1)
		r.set("h3", "GPU-3", 0, 1)
		r.set("h3", "GPU-3", 0, 2)
		synctest.Wait()
		r.expect(r.subscribe(live.Options{From: token, Snapshot: true}), "upd h1/GPU-1:UTIL=1 h3/GPU-3:UTIL=2", "synced resumed")
		r.expect(r.subscribe(live.Options{From: token, Mode: live.EventsMode}),
			"upd h1/GPU-1:UTIL=1", "upd h3/GPU-3:UTIL=1", "upd h3/GPU-3:UTIL=2", "synced resumed")
		r.expect(r.subscribe(live.Options{From: token, Filter: live.Filter{GPUs: []events.GPUID{"GPU-1", "GPU-2"}}}), "upd h1/GPU-1:UTIL=1", "synced resumed")
		r.expect(r.subscribe(live.Options{From: r.hub.State().Token()}), "synced resumed")
	})
}

func TestEveryTokenResumes(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: time.Second}, func(r *rig) {
		r.start()
		for _, mode := range bothModes {
			sub := r.subscribe(live.Options{Mode: mode, Snapshot: true, Hz: 20})
			known := mirror{}
			for i := range 20 {
				r.set("h1", fmt.Sprintf("GPU-%d", i%4), i%4, int64(i))
				time.Sleep(400 * time.Millisecond)
				for _, m := range r.all(sub) {
					known.apply(m)
					if m.Token == "" {
						continue
					}
					again := mirror{}
					for id, parts := range known {
						again[id] = parts
					}
					other := r.subscribe(live.Options{Mode: mode, From: m.Token})
					for _, missed := range r.all(other) {
						if missed.Kind == live.Reset {
							t.Errorf("%s: token of %s refused: %s", mode, m.Kind, missed.Reason)
						}
						again.apply(missed)
					}
					other.Close()
					r.sameAsView(again, live.Filter{})
				}
			}
		}
	})
}

func TestTokensThatCannotBeResumed(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: time.Hour, Ring: 3}, func(r *rig) {
		r.set("h1", "GPU-a", 0, 1)
		r.start()
		old := r.begin(r.subscribe(live.Options{}))
		stranger := otherLog(t)
		for name, c := range map[string]struct {
			token  live.Token
			reason string
		}{
			"no token":    {"what is this?", "epoch"},
			"garbage":     {"AAAA", "epoch"},
			"another log": {stranger, "epoch"},
		} {
			for _, mode := range bothModes {
				all := r.all(r.subscribe(live.Options{From: c.token, Mode: mode}))
				if got, want := brief(all), "reset "+c.reason+" | snap h1/GPU-a:UTIL=1 | synced"; got != want {
					t.Errorf("%s, %s: got %s, want %s", name, mode, got, want)
				}
			}
		}
		for i := range 4 {
			r.set("h1", "GPU-a", 0, int64(10+i))
		}
		synctest.Wait()
		r.expect(r.subscribe(live.Options{From: old, Mode: live.EventsMode}), "reset compacted", "snap h1/GPU-a:UTIL=13", "synced")
		r.expect(r.subscribe(live.Options{From: old}), "upd h1/GPU-a:UTIL=13", "synced resumed")
	})
}

// otherLog returns a token of another log's hub.
func otherLog(t *testing.T) live.Token {
	t.Helper()
	facts := livetest.Facts()
	facts.Epoch++
	hub, err := live.New(live.Config{}, livetest.New(facts), nil, facts, nil)
	if err != nil {
		t.Fatal(err)
	}
	return hub.State().Token()
}

func TestTokenFromBeforeTheProcess(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: time.Hour}, func(r *rig) {
		r.set("h1", "GPU-a", 0, 1)
		r.start()
		token := r.begin(r.subscribe(live.Options{}))
		again := r.another(livetest.Facts())
		sub, err := again.Subscribe(live.Options{From: token})
		if err != nil {
			t.Fatal(err)
		}
		r.expect(sub, "synced resumed") // nothing happened since: the very position is loaded
		r.set("h1", "GPU-a", 0, 2)
		third := r.another(livetest.Facts())
		sub, err = third.Subscribe(live.Options{From: token})
		if err != nil {
			t.Fatal(err)
		}
		r.expect(sub, "reset compacted", "snap h1/GPU-a:UTIL=2", "synced")
	})
}

func TestTokenFromAheadOfThisProcess(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: 10 * time.Second}, func(r *rig) {
		r.set("h1", "GPU-a", 0, 1)
		r.start()
		r.src.Fail(errDown) // this process is cut off from etcd for a while
		synctest.Wait()
		r.set("h1", "GPU-a", 0, 2)
		r.set("h1", "GPU-a", 0, 3)
		r.src.Fail(nil)
		ahead := r.another(livetest.Facts())
		r.src.Fail(errDown)
		token := ahead.State().Token()
		if ahead.State().At().Number <= r.hub.State().At().Number {
			t.Fatalf("the other process is at %d, want it ahead of %d", ahead.State().At().Number, r.hub.State().At().Number)
		}
		subs := []*live.Subscription{r.subscribe(live.Options{From: token}), r.subscribe(live.Options{From: token, Mode: live.EventsMode})}
		for _, sub := range subs {
			if all := r.expect(sub, "synced resumed"); all[0].Token != token {
				t.Error("synced with a position before the one the reader has")
			}
		}
		r.src.Fail(nil)
		time.Sleep(time.Minute)
		r.set("h1", "GPU-a", 0, 4)
		for _, sub := range subs {
			all := r.all(sub)
			for _, m := range all {
				if m.At.Number < ahead.State().At().Number && m.Kind != live.Heartbeat {
					t.Errorf("%s at %d, before the reader's position", m.Kind, m.At.Number)
				}
			}
			known := mirror{}
			for _, m := range all {
				known.apply(m)
			}
			r.sameAsView(known, live.Filter{})
		}
	})
}

// A reader comes from a server that serves the next generation already. This one has not seen that yet, and does not
// take the reader back to before it.
func TestTokenOfAGenerationThatThisProcessDoesNotServeYet(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: 10 * time.Second}, func(r *rig) {
		r.set("h1", "GPU-a", 0, 1)
		r.start()
		r.src.Fail(errDown)
		synctest.Wait()
		r.set("h1", "GPU-a", 0, 2)
		r.src.Store(g2, r.fleet.Stored("h1"))
		r.src.Activate(g2)
		r.src.Fail(nil)
		ahead := r.another(livetest.Facts())
		r.src.Fail(errDown)
		if ahead.State().Generation() != g2 || r.hub.State().Generation() != g1 || ahead.State().At().Number <= r.hub.State().At().Number {
			t.Fatalf("the other process serves %s at %d, this one %s at %d; want it ahead in another generation",
				ahead.State().Generation(), ahead.State().At().Number, r.hub.State().Generation(), r.hub.State().At().Number)
		}
		subs := []*live.Subscription{
			r.subscribe(live.Options{From: ahead.State().Token()}), r.subscribe(live.Options{From: ahead.State().Token(), Mode: live.EventsMode}),
		}
		for _, sub := range subs {
			r.expect(sub)
		}
		r.src.Fail(nil)
		time.Sleep(time.Minute)
		for _, sub := range subs {
			for _, m := range r.all(sub) {
				if m.Kind == live.Reset || m.At.Number < ahead.State().At().Number {
					t.Errorf("%s at %d, where the reader was at %d", m.Kind, m.At.Number, ahead.State().At().Number)
				}
			}
		}
	})
}
