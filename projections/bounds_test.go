package projections

import (
	"fmt"
	"testing"

	"telemetry-pipeline/events"
)

// A value that comes again is no further value, however often it does.
func TestRecurringValuesAreCountedOnce(t *testing.T) {
	h := Host{}
	send := func(hour int, device string) Effect {
		r := record{&events.Identity{UUID: "GPU-a", Device: device}, "m", "m", Window(hour).Start(), events.Value{}, 0}
		return h.ApplyWithin(event("node-1", []record{r}), Bounds{Values: 4})
	}
	for hour := range 20 {
		send(hour, fmt.Sprint("d", hour%2))
	}
	if effect := send(21, "d2"); effect.Refused.Records != 0 {
		t.Errorf("the fourth value was refused: %s", effect.Refused.Reason)
	}
	if effect := send(22, "d3"); effect.Refused.Records != 1 {
		t.Error("the fifth value was folded")
	}
}

// TestRecordsBeyondABoundAreRefusedAlone folds events of which one GPU's records are all beyond a bound, and another's are not.
func TestRecordsBeyondABoundAreRefusedAlone(t *testing.T) {
	full, other := &events.Identity{UUID: "GPU-a", Index: "0"}, &events.Identity{UUID: "GPU-b", Index: "1"}
	for name, c := range map[string]struct {
		bounds Bounds
		more   func(i int) *events.Identity
		metric func(i int) string
	}{
		"metrics": {Bounds{Metrics: 4}, func(int) *events.Identity { return full }, func(i int) string { return fmt.Sprint("m", i) }},
		"values": {Bounds{Values: 4}, func(i int) *events.Identity {
			return &events.Identity{UUID: "GPU-a", Index: "0", Device: fmt.Sprint("d", i)}
		},
			func(int) string { return "m" }},
		"parts": {Bounds{Parts: 4}, func(i int) *events.Identity {
			return &events.Identity{UUID: "GPU-a", Index: "0", Part: fmt.Sprint("nvlink:", i)}
		},
			func(int) string { return "m" }},
		"GPUs": {Bounds{GPUs: 4}, func(i int) *events.Identity { return &events.Identity{UUID: fmt.Sprint("GPU-c", i)} },
			func(int) string { return "m" }},
	} {
		h := Host{}
		at := events.Timestamp(1)
		one := func(id *events.Identity, metric string) record {
			return record{id, metric, metric, at, events.Value{}, 0}
		}
		h.ApplyWithin(event("node-1", []record{one(full, "m0"), one(other, "m0")}), c.bounds)
		for i := range 10 {
			at++
			h.ApplyWithin(event("node-1", []record{one(c.more(i), c.metric(i))}), c.bounds)
		}
		at++
		effect := h.ApplyWithin(event("node-1", []record{one(c.more(100), c.metric(100)), one(c.more(101), c.metric(101)), one(other, "m0")}), c.bounds)
		if effect.Refused.Records != 2 || effect.Refused.Reason == "" || !effect.Live {
			t.Errorf("%s: %d records refused (%s), live changed %v; want the two beyond the bound, and the other folded", name, effect.Refused.Records, effect.Refused.Reason, effect.Live)
		}
		i, _ := h.Live.findEntity(events.Entity{GPU: "GPU-b"})
		if h.Live.Entities[i].SeenAt != at {
			t.Errorf("%s: the other GPU was seen at %d, want %d", name, h.Live.Entities[i].SeenAt, at)
		}
		if err := h.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
