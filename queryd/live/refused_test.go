package live_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live"
	"telemetry-pipeline/queryd/live/livetest"
)

var errVersion = errors.New("of another model version")

func TestAGenerationThatCannotBeReadIsWaitedOut(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: time.Second}, func(r *rig) {
		r.src.Refuse("other", errVersion)
		time.Sleep(time.Minute)
		if err := r.hub.Ready(); !errors.Is(err, live.ErrLoading) || !errors.Is(err, errVersion) {
			t.Errorf("Ready: %v, want loading and the refusal", err)
		}
		r.set("h1", "GPU-a", 0, 1)
		r.src.Activate(g1)
		synctest.Wait()
		if err := errors.Join(r.hub.Ready(), r.hub.Degraded()); err != nil {
			t.Fatalf("a readable generation is active: %v, want ready", err)
		}
		sub := r.subscribe(live.Options{Mode: live.EventsMode})
		r.begin(sub)

		r.src.Refuse("other", errVersion)
		synctest.Wait()
		before := r.hub.State().AsOf()
		r.src.Store(g1, r.fleet.Remove("h1")) // by its removal
		time.Sleep(time.Minute)
		s := r.hub.State()
		if err := r.hub.Degraded(); !errors.Is(err, errVersion) || r.hub.Ready() != nil {
			t.Errorf("degraded %v, ready %v; want degraded by the refusal and still ready", err, r.hub.Ready())
		}
		if !s.AsOf().Equal(before) || len(s.GPUs()) != 1 || s.Generation() != g1 {
			t.Errorf("view of %s as of %v with %d GPUs, want the one of %s as it was at %v", s.Generation(), s.AsOf(), len(s.GPUs()), g1, before)
		}

		r.src.Store(g2, r.fleet.Report(livetest.Reading{Host: "h2", UUID: "GPU-b", Metric: util, At: r.clock, Value: 2}))
		r.src.Activate(g2)
		synctest.Wait()
		if s := r.hub.State(); s.Generation() != g2 || r.hub.Degraded() != nil {
			t.Errorf("serving %s, degraded %v; want %s", s.Generation(), r.hub.Degraded(), g2)
		}
		for _, m := range r.all(sub) {
			if m.Kind != live.Heartbeat && brief([]*live.Message{m}) != "upd -GPU-a h2/GPU-b:UTIL=2" {
				t.Errorf("got %s, want heartbeats and the difference", brief([]*live.Message{m}))
			}
		}
	})
}

// An event of the time after the switch may have left the log for the archive before this process sees it again: that there
// is no unread event does not mean that the view has it.
func TestAViewWithoutAGenerationToFollowDoesNotAdvance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logOf{head: 40}
		src := livetest.New(livetest.Facts())
		hub, err := live.New(live.Config{}, src, log, livetest.Facts(), nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- hub.Run(ctx) }()
		src.Activate(g1)
		time.Sleep(time.Minute) // some heartbeats
		src.Refuse("other", errVersion)
		synctest.Wait()
		log.append(50, 0)
		time.Sleep(time.Minute)
		if got := hub.State().Folded().Number; got != 40 {
			t.Errorf("folded up to %d, want 40, the head at the switch", got)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func spoiled(host events.HostID, kind string) projections.Unreadable {
	return projections.Unreadable{Key: kind + "/" + string(host), Kind: kind, Partition: events.PartitionOf(host, livetest.Facts().Partitions), Host: host, Err: errors.New("garbage")}
}

func TestUnreadableValuesAreNamed(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: time.Hour}, func(r *rig) {
		r.set("h1", "GPU-a", 0, 1)
		r.set("h2", "GPU-b", 0, 2)
		r.src.Spoil(g1, spoiled("h2", "live"))
		r.start()
		names := func(want ...string) {
			t.Helper()
			synctest.Wait()
			err := r.hub.Incomplete()
			if (err == nil) != (len(want) == 0) {
				t.Fatalf("incomplete: %v, want %q", err, want)
			}
			for _, w := range want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("incomplete: %v, want %q named", err, w)
				}
			}
		}
		names("live model", `"h2"`, "garbage", ": 1")
		r.src.Spoil(g1, spoiled("h1", "identity")) // while it is followed
		names(`"h2"`, "identity model", `"h1"`, ": 2")
		if s := r.hub.State(); len(s.Hosts()) != 2 {
			t.Errorf("%d hosts, want both: one is known from before", len(s.Hosts()))
		}
		r.set("h2", "GPU-b", 0, 3)
		names(`"h1"`, ": 1")
		r.src.Store(g1, r.fleet.Remove("h1"))
		names()
		for p := range events.Partition(4) {
			r.src.Spoil(g1, projections.Unreadable{Key: "offsets/" + p.String(), Kind: "offsets", Partition: p, Err: errors.New("garbage")})
		}
		names(": 4", "offsets of partition 0", "and 1 more")
		r.src.Fold(g1, 50)
		names()
	})
}

// An empty view would look like an empty fleet.
func TestAGenerationOfWhichNothingCanBeReadIsNotServed(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: time.Hour}, func(r *rig) {
		r.src.Spoil(g1, spoiled("h1", "live"))
		r.src.Activate(g1)
		time.Sleep(time.Minute)
		if err := r.hub.Ready(); err == nil || !strings.Contains(err.Error(), "nothing of generation g1 can be read") || !strings.Contains(err.Error(), `"h1"`) {
			t.Errorf("Ready: %v, want the value that cannot be read", err)
		}
		r.set("h1", "GPU-a", 0, 1)
		synctest.Wait()
		if err := errors.Join(r.hub.Ready(), r.hub.Degraded(), r.hub.Incomplete()); err != nil {
			t.Errorf("it can be read: %v", err)
		}
	})
}
