package live_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live"
	"telemetry-pipeline/queryd/live/livetest"
)

// another runs one more hub on the same source until the test's bubble ends.
func (r *rig) another(facts events.Facts) *live.Hub {
	r.Helper()
	hub, err := live.New(live.Config{Heartbeat: time.Hour}, r.src, nil, facts, nil)
	if err != nil {
		r.Fatal(err)
	}
	ctx, cancel := context.WithCancel(r.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = hub.Run(ctx) }()
	r.Cleanup(func() { cancel(); <-done })
	synctest.Wait()
	return hub
}

// sameAsView compares a client's state with the view.
func (r *rig) sameAsView(got mirror, f live.Filter) {
	r.Helper()
	if diff := cmp.Diff(mirrorOf(r.hub.State(), f), got); diff != "" {
		r.Errorf("client differs from the view (-view +client):\n%s", diff)
	}
}

func TestReloadPublishesOnlyTheDifference(t *testing.T) {
	for _, cause := range []error{events.ErrCompacted, events.ErrOverflow, events.ErrForeign} {
		inBubble(t, live.Config{Heartbeat: time.Hour}, func(r *rig) {
			r.set("h1", "GPU-a", 0, 1)
			r.set("h2", "GPU-b", 0, 2)
			r.start()
			latest, every := r.subscribe(live.Options{Snapshot: true}), r.subscribe(live.Options{Mode: live.EventsMode})
			token := r.begin(latest)
			r.begin(every)
			r.src.Fail(errDown)
			synctest.Wait()
			r.set("h2", "GPU-b", 0, 20)
			r.set("h3", "GPU-c", 0, 3)
			r.src.Store(g1, r.fleet.Remove("h1"))
			r.src.Break(cause)
			r.src.Fail(nil)
			if !errors.Is(cause, events.ErrCompacted) {
				r.src.Break(events.ErrCompacted) // the history is gone either way
			}
			time.Sleep(time.Minute)
			want := "upd -GPU-a h2/GPU-b:UTIL=20 h3/GPU-c:UTIL=3"
			r.expect(latest, want)
			r.expect(every, want)
			if r.src.Loads() < 2 {
				t.Errorf("loaded %d times, want a second load after %v", r.src.Loads(), cause)
			}
			r.expect(r.subscribe(live.Options{From: token}), want, "synced resumed")
			r.expect(r.subscribe(live.Options{From: token, Mode: live.EventsMode}), want, "synced resumed")
		})
	}
}

func TestReloadWithoutDifferenceIsSilent(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: time.Hour}, func(r *rig) {
		r.set("h1", "GPU-a", 0, 1)
		r.start()
		sub := r.subscribe(live.Options{Mode: live.EventsMode})
		r.begin(sub)
		before := r.hub.State().GPUs()[0]
		for range 3 {
			r.src.Break(events.ErrOverflow)
			time.Sleep(time.Minute)
		}
		r.expect(sub)
		if r.hub.State().GPUs()[0] != before {
			t.Error("a GPU that did not change was replaced by a reload")
		}
		if r.src.Loads() != 4 {
			t.Errorf("loaded %d times, want 4", r.src.Loads())
		}
	})
}

func TestEtcdAway(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: 1000 * time.Hour}, func(r *rig) {
		r.src.Fail(errDown)
		r.src.Activate(g1)
		time.Sleep(time.Minute) // more than one failed try
		if err := r.hub.Ready(); !errors.Is(err, live.ErrLoading) || !errors.Is(err, errDown) {
			t.Errorf("Ready while etcd was never there: %v, want loading and why", err)
		}
		r.src.Fail(nil)
		r.set("h1", "GPU-a", 0, 1)
		time.Sleep(10 * time.Second)
		if err := errors.Join(r.hub.Ready(), r.hub.Degraded()); err != nil {
			t.Errorf("etcd is back: %v, want ready and not degraded", err)
		}
		sub := r.subscribe(live.Options{Mode: live.EventsMode})
		r.begin(sub)

		for range 2 {
			before := r.hub.State().AsOf()
			r.src.Fail(errDown)
			time.Sleep(time.Hour)
			if err := r.hub.Degraded(); !errors.Is(err, errDown) || r.hub.Ready() != nil {
				t.Errorf("etcd away: degraded %v, ready %v; want degraded by etcd and still ready", err, r.hub.Ready())
			}
			if s := r.hub.State(); !s.AsOf().Equal(before) || len(s.GPUs()) != 1 {
				t.Errorf("view as of %v with %d GPUs, want it as it was at %v", s.AsOf(), len(s.GPUs()), before)
			}
			r.set("h1", "GPU-a", 0, time.Now().Unix())
			r.src.Fail(nil)
			time.Sleep(6 * time.Second)
			if err := r.hub.Degraded(); err != nil {
				t.Errorf("etcd is back: still degraded: %v", err)
			}
			if all := r.all(sub); len(all) != 1 || all[0].Kind != live.Update {
				t.Errorf("etcd is back: got %s, want the one change", brief(all))
			}
		}
	})
}

func TestGenerationSwitch(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: time.Hour}, func(r *rig) {
		r.set("h1", "GPU-a", 0, 1)
		r.set("h2", "GPU-b", 0, 2)
		r.src.Fold(g1, 50)
		r.start()
		latest, every := r.subscribe(live.Options{Snapshot: true}), r.subscribe(live.Options{Mode: live.EventsMode})
		token := r.begin(latest)
		r.begin(every)

		// The new generation has another value of GPU-b, and has not folded all of the log yet.
		rebuilt := livetest.NewFleet(livetest.Facts())
		r.src.Store(g2, r.fleet.Stored("h1"), rebuilt.Report(livetest.Reading{Host: "h2", UUID: "GPU-b", Metric: util, At: r.clock + 1, Value: 22}))
		r.src.Fold(g2, 40)
		r.src.Activate(g2)
		time.Sleep(time.Minute)
		r.expect(latest)
		if s := r.hub.State(); s.Generation() != g1 || r.hub.Degraded() == nil {
			t.Errorf("serving %s, degraded %v; want g1, and degraded until g2 has reached it", s.Generation(), r.hub.Degraded())
		}
		// Changes of a generation that is no longer active are not published.
		r.src.Store(g1, r.fleet.Remove("h1"))
		r.expect(latest)

		r.src.Fold(g2, 50)
		r.expect(latest, "upd h2/GPU-b:UTIL=22")
		r.expect(every, "upd h2/GPU-b:UTIL=22")
		s := r.hub.State()
		if s.Generation() != g2 || s.Folded().Number != 50 || r.hub.Degraded() != nil {
			t.Errorf("serving %s folded %d, degraded %v; want g2, 50, nil", s.Generation(), s.Folded().Number, r.hub.Degraded())
		}
		for _, mode := range bothModes {
			r.expect(r.subscribe(live.Options{From: token, Mode: mode}), "reset generation", "snap h1/GPU-a:UTIL=1 h2/GPU-b:UTIL=22", "synced")
			r.expect(r.subscribe(live.Options{From: s.Token(), Mode: mode}), "synced resumed")
		}
		r.src.Store(g2, rebuilt.Report(livetest.Reading{Host: "h2", UUID: "GPU-b", Metric: util, At: r.clock + 2, Value: 23}))
		time.Sleep(time.Second)
		r.expect(latest, "upd h2/GPU-b:UTIL=23")
		r.expect(every, "upd h2/GPU-b:UTIL=23")
	})
}

func TestGenerationSwitchThatLosesReadings(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: time.Hour}, func(r *rig) {
		r.clock = 5
		r.src.Store(g1, r.fleet.Report(
			livetest.Reading{Host: "h1", UUID: "GPU-a", Metric: util, At: 5, Value: 1},
			livetest.Reading{Host: "h1", UUID: "GPU-a", Metric: temp, At: 5, Value: 2},
			livetest.Reading{Host: "h1", UUID: "GPU-a", Part: "mig:1", Metric: temp, At: 5, Value: 3}))
		r.start()
		sub := r.subscribe(live.Options{})
		r.begin(sub)
		r.src.Store(g2, livetest.NewFleet(livetest.Facts()).Report(livetest.Reading{Host: "h1", UUID: "GPU-a", Metric: util, At: 5, Value: 1}))
		r.src.Activate(g2)
		r.expect(sub, "upd -GPU-a h1/GPU-a:UTIL=1")
		r.src.Activate(g1)
		r.expect(sub)
		time.Sleep(time.Second)
		r.expect(sub, "upd h1/GPU-a:TEMP=2 h1/GPU-a/mig:1:TEMP=3")
	})
}

func TestWait(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: time.Hour}, func(r *rig) {
		r.start()
		at := r.hub.State().At()
		at.Number = 10
		waited := make(chan error, 2)
		wait := func(ctx context.Context) {
			s, err := r.hub.Wait(ctx, at)
			if err == nil && s.Folded().Number < 10 {
				t.Errorf("Wait gave a view folded up to %d, want 10", s.Folded().Number)
			}
			waited <- err
		}
		go wait(r.Context())
		ctx, cancel := context.WithCancelCause(r.Context())
		go wait(ctx)
		for p := range events.Partition(3) {
			r.src.Offset(g1, p, 100, 100)
		}
		r.src.Offset(g1, 3, 100, 9)
		synctest.Wait()
		cancel(errDown)
		if err := <-waited; !errors.Is(err, errDown) {
			t.Errorf("Wait whose context ended: %v, want its cause", err)
		}
		if len(waited) > 0 {
			t.Fatal("Wait returned although a partition's series is folded only up to 9")
		}
		r.src.Offset(g1, 3, 100, 10)
		if err := <-waited; err != nil {
			t.Errorf("Wait: %v", err)
		}
		if _, err := r.hub.Wait(r.Context(), events.Revision{}); err != nil {
			t.Errorf("Wait for the beginning: %v", err)
		}
		at.Epoch++
		if _, err := r.hub.Wait(r.Context(), at); !errors.Is(err, events.ErrForeign) {
			t.Errorf("Wait for another log's revision: %v, want ErrForeign", err)
		}
	})
}

func TestWaitEndsWithTheHub(t *testing.T) {
	ended := make(chan error, 1)
	inBubble(t, live.Config{}, func(r *rig) {
		r.start()
		at := r.hub.State().At()
		at.Number = 1000
		hub, parent := r.hub, context.WithoutCancel(r.Context())
		go func() { _, err := hub.Wait(parent, at); ended <- err }()
		synctest.Wait()
	})
	if err := <-ended; !errors.Is(err, live.ErrClosed) {
		t.Errorf("Wait on a hub that stopped: %v, want ErrClosed", err)
	}
}

func TestViewOfTheFleet(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: time.Hour}, func(r *rig) {
		for _, g := range []struct {
			host  events.HostID
			uuid  string
			index int
		}{{"b", "GPU-10", 10}, {"b", "GPU-2", 2}, {"a", "GPU-9", 0}, {"b", "", 3}, {"b", "GPU-old", 1}} {
			r.set(g.host, g.uuid, g.index, 1)
		}
		r.set("b", "GPU-new", 1, 1) // another card in the same slot
		r.start()
		var got []string
		for _, g := range r.hub.State().GPUs() {
			got = append(got, string(g.Host)+"/"+g.Identity.Index+"/"+string(g.ID))
		}
		want := "a/0/GPU-9 b/1/GPU-new b/1/GPU-old b/2/GPU-2 b/3/b:3 b/10/GPU-10"
		if strings.Join(got, " ") != want {
			t.Errorf("GPUs\n %s\nwant\n %s", strings.Join(got, " "), want)
		}
		s := r.hub.State()
		for id, want := range map[events.GPUID]events.GPUID{"GPU-2": "GPU-2", "b:1": "GPU-new", "b:3": "b:3", "a:0": "GPU-9", "a:1": "", "c:0": "", "x": ""} {
			g, ok := s.GPU(id)
			if ok != (want != "") || ok && g.ID != want {
				t.Errorf("GPU(%q) = %v, %v; want %q", id, g, ok, want)
			}
		}
		h, ok := s.Host("b")
		if !ok || len(h.GPUs) != 5 || h.LastSeen != r.clock || h.Partition != events.PartitionOf("b", 4) {
			t.Errorf("host b: %v, %v; want 5 GPUs, last seen %v", h, ok, r.clock)
		}
		if _, ok := s.Host("c"); ok {
			t.Error("found host c, which does not exist")
		}
	})
}

func TestGPUThatMovesBetweenHosts(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: time.Hour}, func(r *rig) {
		r.set("h1", "GPU-a", 0, 1)
		r.set("h1", "GPU-b", 1, 1)
		r.start()
		all := r.subscribe(live.Options{})
		from, to := r.subscribe(live.Options{Filter: live.Filter{Hosts: []string{"h1"}}}), r.subscribe(live.Options{Filter: live.Filter{Hosts: []string{"h2*"}}, Mode: live.EventsMode})
		r.begin(all)
		token := r.begin(from)
		r.begin(to)
		r.clock += events.Timestamp(projections.StaleAfter) + 1
		r.src.Store(g1, r.fleet.Report(livetest.Reading{Host: "h2", UUID: "GPU-a", Index: 3, Metric: temp, At: r.clock, Value: 40}))
		r.expect(all, "upd h2/GPU-a:TEMP=40,UTIL=1") // all of it: a reader of h2 alone knew nothing
		r.expect(from, "upd -GPU-a")
		r.expect(to, "upd h2/GPU-a:TEMP=40,UTIL=1")
		r.expect(r.subscribe(live.Options{From: token, Filter: live.Filter{Hosts: []string{"h1"}}}), "upd -GPU-a", "synced resumed")
		g, _ := r.hub.State().GPU("GPU-a")
		h1, _ := r.hub.State().Host("h1")
		h2, _ := r.hub.State().Host("h2")
		if len(g.Hosts) != 2 || g.Host != "h2" || len(h1.GPUs) != 1 || len(h2.GPUs) != 1 || h2.GPUs[0] != g {
			t.Errorf("GPU-a of hosts %v is at %s; h1 lists %d GPUs, h2 %d; want it at h2 alone", g.Hosts, g.Host, len(h1.GPUs), len(h2.GPUs))
		}
		r.src.Store(g1, r.fleet.Remove("h2"))
		time.Sleep(time.Second)
		r.expect(to, "upd -GPU-a")
		r.expect(all, "upd -GPU-a h1/GPU-a:UTIL=1") // h1 still knows its old reading
		r.expect(from, "upd h1/GPU-a:UTIL=1")
	})
}
