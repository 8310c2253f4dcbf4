package projections

import (
	"testing"
	"time"

	"telemetry-pipeline/events"
)

// reading returns a record of a GPU of node-1 at a time, in an event appended at that time.
func reading(uuid string, at time.Duration) record {
	when := events.Timestamp(time.Date(2025, 7, 18, 20, 0, 0, 0, time.UTC).Add(at).UnixNano())
	return record{&events.Identity{UUID: uuid, Index: "0"}, "m", "m", when, events.Value{Number: events.Int(1)}, when}
}

func TestAGPULeavesWhileItsHostGoesOn(t *testing.T) {
	var h Host
	bounds := Bounds{GoneAfter: 30 * 24 * time.Hour}
	apply := func(r record) Effect { return h.ApplyWithin(event("node-1", []record{r}), bounds) }
	const day = 24 * time.Hour
	apply(reading("GPU-a", 0))
	for d := range 31 {
		apply(reading("GPU-b", time.Duration(d)*day))
		if d == 30 && len(h.Live.Entities) != 2 {
			t.Errorf("after %d days %d GPUs are left, want both", d, len(h.Live.Entities))
		}
	}
	if e := apply(reading("GPU-b", 31*day)); !e.Live || len(h.Live.Entities) != 1 || h.Live.Entities[0].Entity.GPU != "GPU-b" {
		t.Errorf("after 31 days: %d GPUs are left, want GPU-b alone", len(h.Live.Entities))
	}
	if _, ok := h.Identity.Find("GPU-a"); !ok {
		t.Error("GPU-a is not known any more, but its history stays")
	}
	again := apply(reading("GPU-a", 0))
	if len(again.Late) != 1 || len(again.Fresh) != 0 {
		t.Errorf("its old record again: fresh %v, late %v; want it to be late, since it is in a chunk", again.Fresh, again.Late)
	}
	if apply(reading("GPU-a", 32*day)); len(h.Live.Entities) != 2 {
		t.Errorf("after its next record there are %d GPUs, want both", len(h.Live.Entities))
	}
	if err := h.Check(); err != nil {
		t.Error(err)
	}
}

func TestAHostLeavesUnlessSomethingWasAppendedSince(t *testing.T) {
	var h Host
	first := reading("GPU-a", 0)
	h.Apply(event("node-1", []record{first}))
	early := events.LeftEvent("node-1", first.appended-1)
	if e := h.Apply(&early); e.Live || len(h.Live.Entities) != 1 {
		t.Errorf("an event of before the last append: live changed %v, %d GPUs", e.Live, len(h.Live.Entities))
	}
	left := events.LeftEvent("node-1", first.appended)
	left.AppendedAt = first.appended + events.Timestamp(time.Hour)
	if e := h.Apply(&left); !e.Live || e.Identity || len(h.Live.Entities) != 0 || h.Live.Appended != first.appended {
		t.Errorf("live changed %v, identity changed %v, %d GPUs, appended at %s; want the live model alone without GPUs", e.Live, e.Identity, len(h.Live.Entities), h.Live.Appended)
	}
	if len(h.Apply(&left).Fresh) != 0 || len(h.Identity.GPUs) != 1 {
		t.Errorf("the event has records, or the host's GPUs are %+v", h.Identity.GPUs)
	}
	if h.Apply(event("node-1", []record{reading("GPU-a", 2*time.Hour)})); len(h.Live.Entities) != 1 {
		t.Error("the host did not come back with its next record")
	}
}

func TestRecordsOfAJoinedHostAreItsNodes(t *testing.T) {
	pod, later := Host{}, reading("GPU-a", time.Hour)
	pod.Apply(event("pod-7", []record{reading("GPU-a", 0), reading("GPU-b", time.Minute)}))
	join := events.Join{Node: "node-1", At: reading("GPU-b", time.Minute).at}.Event("pod-7")
	if e := pod.Apply(&join); !e.Live || !e.Identity || len(e.Fresh)+len(e.Late) != 0 {
		t.Errorf("the join changed live %v, identity %v, and has %d records; want both, and none", e.Live, e.Identity, len(e.Fresh)+len(e.Late))
	}
	if len(pod.Live.Entities)+len(pod.Identity.GPUs)+len(pod.Identity.Windows) != 0 || pod.Identity.Joined.Node != "node-1" {
		t.Errorf("the joined host still has %+v and %+v", pod.Live, pod.Identity)
	}
	if e := pod.Apply(event("pod-7", []record{reading("GPU-b", 0)})); e.Live || e.Identity || len(e.Fresh)+len(e.Late) != 0 {
		t.Errorf("a record of before the join has effect %+v", e)
	}
	if e := pod.Apply(event("pod-7", []record{later})); !e.Live || len(e.Fresh) != 1 || len(pod.Identity.GPUs) != 1 {
		t.Errorf("a record of after the join has effect %+v, and the host %d GPUs; want it to count", e, len(pod.Identity.GPUs))
	}
	if again := reload(t, &pod); again.Identity.Joined != pod.Identity.Joined {
		t.Errorf("stored as %+v", again.Identity.Joined)
	}
	if err := pod.Check(); err != nil {
		t.Error(err)
	}
}
