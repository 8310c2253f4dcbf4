package live_test

import (
	"slices"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/queryd/live"
)

// A subscription by "host:index" follows the slot: the GPU that lost it is removed, the GPU that has it now comes whole, also
// when it was known for long, and a reader that was away meanwhile gets the same.
func TestASubscriptionByIndexFollowsTheSlot(t *testing.T) {
	for _, mode := range bothModes {
		t.Run(string(mode), func(t *testing.T) {
			inBubble(t, live.Config{Heartbeat: time.Hour}, func(r *rig) {
				r.set("h1", "GPU-a", 0, 1)
				r.set("h1", "GPU-b", 1, 2)
				r.start()
				options := live.Options{Filter: live.Filter{GPUs: []events.GPUID{"h1:0"}}, Mode: mode, Snapshot: true}
				sub := r.subscribe(options)
				all := r.expect(sub, "snap h1/GPU-a:UTIL=1", "synced")
				options.From = all[len(all)-1].Token
				r.set("h1", "GPU-b", 0, 3) // before any record that GPU-a is elsewhere
				time.Sleep(time.Second)
				r.expect(sub, "upd -GPU-a h1/GPU-b:UTIL=3")
				r.set("h1", "GPU-a", 1, 4)
				time.Sleep(time.Second)
				r.expect(sub)
				r.set("h1", "GPU-b", 0, 5)
				time.Sleep(time.Second)
				r.expect(sub, "upd h1/GPU-b:UTIL=5")
				back := mirror{"GPU-a": {}}
				for _, m := range r.all(r.subscribe(options)) {
					if m.Kind == live.Reset {
						t.Errorf("reset %s of a reader that came back, want the changes", m.Reason)
					}
					back.apply(m)
				}
				r.sameAsView(back, options.Filter)
				r.expect(r.subscribe(live.Options{Filter: options.Filter, Snapshot: true, Mode: mode}), "snap h1/GPU-b:UTIL=5", "synced")
			})
		})
	}
}

// A host reports a GPU by index alone at first; its UUID comes later. Readers by either name follow.
func TestASubscriptionByIndexSeesTheUUIDCome(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: time.Hour}, func(r *rig) {
		r.set("h1", "", 3, 1)
		r.start()
		slot := r.subscribe(live.Options{Filter: live.Filter{GPUs: []events.GPUID{"h1:3"}}, Mode: live.EventsMode, Snapshot: true})
		gpu := r.subscribe(live.Options{Filter: live.Filter{GPUs: []events.GPUID{"GPU-a"}}, Mode: live.EventsMode, Snapshot: true})
		r.expect(slot, "snap h1/h1:3:UTIL=1", "synced")
		r.expect(gpu, "snap", "synced")
		r.set("h1", "GPU-a", 3, 2)
		r.expect(slot, "upd -h1:3 h1/GPU-a:UTIL=2")
		r.expect(gpu, "upd h1/GPU-a:UTIL=2")
		r.set("h1", "", 3, 3) // again by index alone
		r.expect(slot, "upd h1/GPU-a:UTIL=3")
		r.expect(gpu, "upd h1/GPU-a:UTIL=3")
	})
}

// A GPU moves to another host, and the log by index alone goes on at the host where it was: the readings are the slot's, and
// readers of either see that.
func TestReadingsByIndexStayWhereTheGPUWas(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: time.Hour}, func(r *rig) {
		r.set("h1", "GPU-a", 0, 1)
		r.set("h1", "", 0, 2)
		r.start()
		slot := r.subscribe(live.Options{Filter: live.Filter{GPUs: []events.GPUID{"h1:0"}}, Mode: live.EventsMode, Snapshot: true})
		gpu := r.subscribe(live.Options{Filter: live.Filter{GPUs: []events.GPUID{"GPU-a"}}, Mode: live.EventsMode, Snapshot: true})
		r.expect(slot, "snap h1/GPU-a:UTIL=2", "synced")
		r.expect(gpu, "snap h1/GPU-a:UTIL=2", "synced")
		r.set("h2", "GPU-a", 5, 3)
		r.clock += events.Timestamp(10 * time.Minute)
		r.set("h1", "", 0, 4)
		r.all(slot)
		r.all(gpu)
		r.set("h2", "GPU-a", 5, 5)
		r.expect(slot, "upd -GPU-a h1/h1:0:UTIL=4")
		r.expect(gpu, "upd -h2:GPU-a h2/GPU-a:UTIL=5")
		r.set("h1", "", 0, 6)
		r.expect(slot, "upd h1/h1:0:UTIL=6")
		r.expect(gpu)
	})
}

func TestAFilterByUUIDSelectsTheGPUOfEveryHostThatReportsIt(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: time.Hour}, func(r *rig) {
		r.set("h1", "GPU-a", 0, 1)
		r.set("h2", "GPU-a", 5, 2)
		r.start()
		for _, c := range []struct {
			filter live.Filter
			want   string
		}{
			{live.Filter{GPUs: []events.GPUID{"GPU-a"}}, "snap h1/GPU-a:UTIL=1 h2/h2:GPU-a:UTIL=2"},
			{live.Filter{GPUs: []events.GPUID{"GPU-a"}, Hosts: []string{"h2"}}, "snap h2/h2:GPU-a:UTIL=2"},
			{live.Filter{GPUs: []events.GPUID{"h1:GPU-a"}}, "snap h1/GPU-a:UTIL=1"},
			{live.Filter{GPUs: []events.GPUID{"h2:GPU-a"}}, "snap h2/h2:GPU-a:UTIL=2"},
			{live.Filter{GPUs: []events.GPUID{"h2:5"}}, "snap h2/h2:GPU-a:UTIL=2"},
		} {
			r.expect(r.subscribe(live.Options{Filter: c.filter, Snapshot: true}), c.want, "synced")
		}
		s := r.hub.State()
		if g, ok := s.GPU("GPU-a"); !ok || g.Host != "h1" || !slices.Equal(g.Conflict, []events.HostID{"h2"}) {
			t.Errorf("GPU-a is %+v, want the one of h1, where it was first, and the conflict with h2", g)
		}
		if got, want := s.HostsNaming("GPU-a"), []events.HostID{"h1", "h2"}; !slices.Equal(got, want) {
			t.Errorf("GPU-a is of the hosts %v, want %v", got, want)
		}
		for name, want := range map[events.GPUID]int{"GPU-a": 2, "h1:GPU-a": 1, "h2:GPU-a": 1, "h2:5": 1, "h2:0": 0, "GPU-b": 0} {
			if got := s.NamedGPUs(name); len(got) != want {
				t.Errorf("%s names %d GPUs, want %d", name, len(got), want)
			}
		}
	})
}
