package live_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/queryd/live"
	"telemetry-pipeline/queryd/live/livetest"
)

func TestSnapshotThenChanges(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: time.Hour}, func(r *rig) {
		r.set("h2", "GPU-c", 0, 3)
		r.set("h1", "GPU-b", 1, 2)
		r.set("h1", "GPU-a", 0, 1)
		r.start()
		for _, mode := range []live.Mode{live.LatestMode, live.EventsMode} {
			sub := r.subscribe(live.Options{Mode: mode, Snapshot: true})
			all := r.expect(sub, "snap h1/GPU-a:UTIL=1 h1/GPU-b:UTIL=2 h2/GPU-c:UTIL=3", "synced")
			if all[1].Token != r.hub.State().Token() || all[0].More {
				t.Errorf("%s: snapshot of one part: more %v, synced at %q, want the view's %q", mode, all[0].More, all[1].Token, r.hub.State().Token())
			}
			r.set("h1", "GPU-b", 1, 20)
			r.expect(sub, "upd h1/GPU-b:UTIL=20")
			r.set("h1", "GPU-b", 1, 2)
			time.Sleep(time.Second)
			r.expect(sub, "upd h1/GPU-b:UTIL=2")
			sub.Close()
			if _, err := sub.Next(r.Context()); !errors.Is(err, live.ErrClosed) {
				t.Errorf("Next after Close: %v, want ErrClosed", err)
			}
		}
	})
}

func TestSnapshotInParts(t *testing.T) {
	inBubble(t, live.Config{}, func(r *rig) {
		for i := range 1300 {
			r.set(events.HostID(fmt.Sprintf("h%04d", i)), fmt.Sprintf("GPU-%04d", i), 0, int64(i))
		}
		r.start()
		all := r.all(r.subscribe(live.Options{Snapshot: true}))
		items := 0
		for i, m := range all[:len(all)-1] {
			last := i == len(all)-2
			if m.Kind != live.Snapshot || m.Part != i || m.More == last || (m.Token != "") != last {
				t.Errorf("part %d: kind %s, part %d, more %v, token %q; want only the last without more and with a token", i, m.Kind, m.Part, m.More, m.Token)
			}
			items += len(m.Items)
		}
		if items != 1300 {
			t.Errorf("parts hold %d items, want 1300", items)
		}
	})
}

func TestSubscribeBeforeTheFirstLoad(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: time.Minute}, func(r *rig) {
		if err := r.hub.Ready(); !errors.Is(err, live.ErrLoading) {
			t.Errorf("Ready before the first load: %v, want ErrLoading", err)
		}
		if s := r.hub.State(); len(s.GPUs()) != 0 || len(s.Hosts()) != 0 {
			t.Errorf("view before the first load holds %d GPUs, want none", len(s.GPUs()))
		}
		sub := r.subscribe(live.Options{Snapshot: true})
		r.expect(sub)
		r.set("h1", "GPU-a", 0, 1)
		r.start()
		r.expect(sub, "snap h1/GPU-a:UTIL=1", "synced")
	})
}

func TestOnlyChangesWithoutSnapshot(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: time.Hour}, func(r *rig) {
		r.set("h1", "GPU-a", 0, 1)
		r.start()
		sub := r.subscribe(live.Options{})
		r.set("h1", "GPU-b", 1, 2) // before the first read, after Subscribe
		r.expect(sub, "synced", "upd h1/GPU-b:UTIL=2")
	})
}

func TestNothingIsPushedWhenNothingChanged(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: time.Hour}, func(r *rig) {
		r.set("h1", "GPU-a", 0, 1)
		r.start()
		latest, every := r.subscribe(live.Options{}), r.subscribe(live.Options{Mode: live.EventsMode})
		r.begin(latest)
		r.begin(every)
		before := r.hub.State()
		r.src.Store(g1, r.fleet.Stored("h1"))
		r.src.Fold(g1, 7)
		r.expect(latest)
		r.expect(every)
		after := r.hub.State()
		if before.GPUs()[0] != after.GPUs()[0] {
			t.Error("a GPU that did not change was replaced")
		}
		if after.At().Number <= before.At().Number || after.Folded().Number != 7 {
			t.Errorf("view at %d folded %d, want a later position than %d and folded 7", after.At().Number, after.Folded().Number, before.At().Number)
		}
	})
}

func TestOnlyChangedReadingsAreGiven(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: time.Hour}, func(r *rig) {
		reading := func(part, metric string, value int64, absent events.Reason) livetest.Reading {
			r.clock++
			return livetest.Reading{Host: "h1", UUID: "GPU-a", Part: part, Metric: metric, At: r.clock, Value: value, Absent: absent}
		}
		r.src.Store(g1, r.fleet.Report(reading("", util, 1, 0), reading("", temp, 50, 0), reading("mig:1", util, 2, 0)))
		r.start()
		sub, onlyTemp := r.subscribe(live.Options{}), r.subscribe(live.Options{Filter: live.Filter{Metrics: []string{temp}}, Snapshot: true})
		r.begin(sub)
		r.expect(onlyTemp, "snap h1/GPU-a:TEMP=50", "synced")
		r.src.Store(g1, r.fleet.Report(reading("mig:1", util, 3, 0)))
		r.expect(sub, "upd h1/GPU-a/mig:1:UTIL=3")
		r.src.Store(g1, r.fleet.Report(reading("", temp, 0, events.Lost)))
		time.Sleep(time.Second)
		r.expect(sub, "upd h1/GPU-a:TEMP="+events.Lost.String())
		r.expect(onlyTemp, "upd h1/GPU-a:TEMP="+events.Lost.String())
	})
}

func TestLatestModePaceAndNewestValues(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: time.Hour}, func(r *rig) {
		r.set("h1", "GPU-a", 0, 0)
		r.start()
		sub := r.subscribe(live.Options{Hz: 2})
		r.begin(sub)
		start := time.Now()
		var times []time.Duration
		var last string
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 5 {
				m, err := sub.Next(r.Context())
				if err != nil {
					t.Errorf("Next: %v", err)
					return
				}
				times = append(times, time.Since(start))
				last = brief([]*live.Message{m})
			}
		}()
		for i := range 200 { // a change every 10 ms for two seconds
			r.set("h1", "GPU-a", 0, int64(i))
			time.Sleep(10 * time.Millisecond)
		}
		<-done
		want := []time.Duration{0, 500 * time.Millisecond, time.Second, 1500 * time.Millisecond, 2 * time.Second}
		if !slices.Equal(times, want) {
			t.Errorf("frames came after %v, want %v: the first at once, then two a second", times, want)
		}
		if last != "upd h1/GPU-a:UTIL=199" {
			t.Errorf("last frame %q, want the newest value 199", last)
		}
		time.Sleep(time.Minute)
		r.set("h1", "GPU-a", 0, 1000)
		r.expect(sub, "upd h1/GPU-a:UTIL=1000") // idle again: at once
	})
}

func TestGroupSharesMessages(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: time.Hour}, func(r *rig) {
		r.set("h1", "GPU-a", 0, 1)
		r.start()
		for _, mode := range []live.Mode{live.LatestMode, live.EventsMode} {
			a := r.subscribe(live.Options{Mode: mode, Snapshot: true, Filter: live.Filter{Hosts: []string{"h1", "h2"}}})
			b := r.subscribe(live.Options{Mode: mode, Snapshot: true, Filter: live.Filter{Hosts: []string{"h2", "h1", "h1"}}})
			first, second := r.all(a), r.all(b)
			if first[0] != second[0] {
				t.Errorf("%s: two snapshots of one state for one filter are two messages, want one", mode)
			}
			time.Sleep(time.Minute)
			r.set("h1", "GPU-a", 0, int64(time.Now().Unix()))
			first, second = r.all(a), r.all(b)
			if len(first) != 1 || len(second) != 1 || first[0] != second[0] {
				t.Fatalf("%s: got %s and %s, want one and the same update", mode, brief(first), brief(second))
			}
			made := 0
			for range 3 {
				text := first[0].Encoded("test", func(m *live.Message) []byte { made++; return []byte(brief([]*live.Message{m})) })
				if string(text) != brief(first) {
					t.Errorf("Encoded gave %q", text)
				}
			}
			if made != 1 {
				t.Errorf("%s: encoded %d times, want once", mode, made)
			}
			a.Close()
			b.Close()
		}
	})
}

func TestSlowSubscriberInEventsMode(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: time.Hour, QueueBytes: 4096}, func(r *rig) {
		r.set("h1", "GPU-a", 0, 0)
		r.start()
		slow, fast := r.subscribe(live.Options{Mode: live.EventsMode}), r.subscribe(live.Options{Mode: live.EventsMode})
		token := r.begin(slow)
		r.begin(fast)
		lagged := false
		n := 0
		for ; n < 100; n++ {
			r.set("h1", "GPU-a", 0, int64(n+1))
			r.expect(fast, fmt.Sprintf("upd h1/GPU-a:UTIL=%d", n+1))
			if n == 12 { // more than half full
				m, err := slow.Poll()
				if err != nil || m == nil || m.Kind != live.Lag || m.Queued == 0 {
					t.Fatalf("got %v, %v; want a lag notice", m, err)
				}
				lagged = true
			}
		}
		if _, err := slow.Poll(); !errors.Is(err, live.ErrSlow) || !lagged {
			t.Errorf("after %d unread changes: %v, want ErrSlow", n, err)
		}
		again := r.subscribe(live.Options{Mode: live.EventsMode, From: token})
		all := r.all(again)
		if len(all) != 101 || all[100].Kind != live.Synced || !all[100].Resumed {
			t.Fatalf("came back with the token: %d messages, want all 100 changes and synced", len(all))
		}
		for i, m := range all[:100] {
			if got, want := brief([]*live.Message{m}), fmt.Sprintf("upd h1/GPU-a:UTIL=%d", i+1); got != want {
				t.Fatalf("change %d is %q, want %q", i, got, want)
			}
		}
	})
}

func TestLagIsSentOncePerBacklog(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: time.Hour, QueueBytes: 4096}, func(r *rig) {
		r.start()
		sub := r.subscribe(live.Options{Mode: live.EventsMode})
		r.begin(sub)
		for round := range 2 {
			for i := range 16 {
				r.set("h1", "GPU-a", 0, int64(100*round+i))
			}
			lags := 0
			for _, k := range kinds(r.all(sub)) {
				if k == live.Lag {
					lags++
				}
			}
			if lags != 1 {
				t.Errorf("round %d: received %d lags, want 1", round, lags)
			}
		}
	})
}

func TestHeartbeats(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: 10 * time.Second}, func(r *rig) {
		r.set("h1", "GPU-a", 0, 1)
		r.start()
		latest := r.subscribe(live.Options{Hz: 0.05})
		every := r.subscribe(live.Options{Mode: live.EventsMode})
		r.begin(latest)
		r.begin(every)
		r.src.Fold(g1, 5)
		time.Sleep(11 * time.Second)
		for _, sub := range []*live.Subscription{latest, every} {
			m := r.expect(sub, "hb")[0]
			if s := r.hub.State(); m.Token != s.Token() || m.Folded.Number != 5 || m.Time.IsZero() || m.AsOf.IsZero() {
				t.Errorf("heartbeat %+v, want the view's position %q and folded 5", m, s.Token())
			}
		}
		r.set("h1", "GPU-a", 0, 2)
		got := r.expect(latest, "upd h1/GPU-a:UTIL=2")[0]
		r.set("h1", "GPU-a", 0, 3) // waits for its time, 20 s after the last
		time.Sleep(10 * time.Second)
		if hb := r.expect(latest, "hb")[0]; hb.Token != got.Token {
			t.Errorf("heartbeat while a change waits has token of %v, want that of the last update at %v", hb.At.Number, got.At.Number)
		}
		r.expect(every, "upd h1/GPU-a:UTIL=2", "upd h1/GPU-a:UTIL=3", "hb")
		time.Sleep(11 * time.Second) // the heartbeat comes first, but is not read before the update that overtakes it
		if all := r.expect(latest, "upd h1/GPU-a:UTIL=3", "hb"); all[1].Token != all[0].Token {
			t.Errorf("overtaken heartbeat has position %d, want that of the update at %d", all[1].At.Number, all[0].At.Number)
		}
	})
}

func TestClosingTheHub(t *testing.T) {
	var sub, early *live.Subscription
	var hub *live.Hub
	inBubble(t, live.Config{}, func(r *rig) {
		early = r.subscribe(live.Options{})
		r.start()
		sub = r.subscribe(live.Options{})
		hub = r.hub
	})
	for _, s := range []*live.Subscription{sub, early} {
		if _, err := s.Poll(); !errors.Is(err, live.ErrClosed) {
			t.Errorf("Poll after the hub stopped: %v, want ErrClosed", err)
		}
	}
	if _, err := hub.Subscribe(live.Options{}); !errors.Is(err, live.ErrClosed) {
		t.Errorf("Subscribe after the hub stopped: %v, want ErrClosed", err)
	}
}

func TestBadOptions(t *testing.T) {
	inBubble(t, live.Config{}, func(r *rig) {
		r.start()
		for name, o := range map[string]live.Options{
			"mode":  {Mode: "all"},
			"fast":  {Hz: 21},
			"slow":  {Hz: -1},
			"never": {Hz: 1e-300},
			"empty": {Filter: live.Filter{Hosts: []string{""}}},
		} {
			if sub, err := r.hub.Subscribe(o); err == nil {
				t.Errorf("%s: Subscribe(%+v) succeeded, want an error", name, o)
				sub.Close()
			}
		}
	})
}

func TestSubscribersComeAndGo(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: time.Millisecond}, func(r *rig) {
		r.start()
		stop := make(chan struct{})
		done := make(chan struct{}, 8)
		for i := range 8 {
			go func() {
				defer func() { done <- struct{}{} }()
				for n := 0; ; n++ {
					select {
					case <-stop:
						return
					default:
					}
					o := live.Options{Snapshot: n%2 == 0, Hz: 20, Filter: live.Filter{Hosts: []string{fmt.Sprintf("h%d", i%3)}}}
					if i%2 == 0 {
						o.Mode = live.EventsMode
					}
					sub, err := r.hub.Subscribe(o)
					if err != nil {
						t.Errorf("Subscribe: %v", err)
						return
					}
					for range n % 4 {
						if _, err := sub.Next(r.Context()); err != nil && !errors.Is(err, live.ErrSlow) {
							t.Errorf("Next: %v", err)
						}
					}
					sub.Close()
				}
			}()
		}
		for i := range 300 {
			r.set(events.HostID(fmt.Sprintf("h%d", i%3)), fmt.Sprintf("GPU-%d", i%6), i%2, int64(i))
			time.Sleep(100 * time.Microsecond)
		}
		close(stop)
		for range 8 {
			<-done
		}
		synctest.Wait()
	})
}
