package projections

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"telemetry-pipeline/events"
)

// TestCheckFindsBrokenModels breaks one invariant at a time.
func TestCheckFindsBrokenModels(t *testing.T) {
	for _, c := range []struct {
		want string
		harm func(h *Host)
	}{
		{"entities are not in order", func(h *Host) { slices.Reverse(h.Live.Entities) }},
		{"entities are not in order", func(h *Host) { h.Live.Entities = append(h.Live.Entities, h.Live.Entities[len(h.Live.Entities)-1]) }},
		{"has no readings", func(h *Host) { h.Live.Entities[0].Latest = nil }},
		{"metrics are not in order", func(h *Host) { slices.Reverse(h.Live.Entities[0].Latest) }},
		{"that is not the time of the newest reading", func(h *Host) { h.Live.Entities[0].SeenAt++ }},
		{"fields are not in order", func(h *Host) { h.Live.Entities[0].Said = []Said{{Field: FieldModel}, {Field: FieldIndex}} }},
		{"its GPU is not known", func(h *Host) { h.Live.Entities[0].Entity.GPU = "GPU-" }},
		{"readings ahead are not in order", func(h *Host) {
			h.Live.Entities[0].Ahead = []Latest{{Metric: "y"}, {Metric: "x"}}
		}},
		{"is not ahead of the latest", func(h *Host) { h.Live.Entities[0].Ahead = h.Live.Entities[0].Latest[:1] }},
		{"implausible reading is the latest", func(h *Host) {
			h.Live.Entities[0].Latest[0].Value = events.Value{Absent: events.Implausible}
		}},
		{"absent reading with a number", func(h *Host) {
			h.Live.Entities[0].Latest[0].Value = events.Value{Absent: events.Blank, Number: events.Int(1)}
		}},
		{"present reading with the text", func(h *Host) { h.Live.Entities[0].Latest[0].Value = events.Value{Raw: "x"} }},
		{"not normalised", func(h *Host) {
			h.Live.Entities[0].Latest[0].Value = events.Value{Number: events.Number{Mantissa: 10}}
		}},
		{"in no known window", func(h *Host) {
			h.Identity.Windows, h.Identity.GPUs = nil, slices.DeleteFunc(h.Identity.GPUs, func(k KnownGPU) bool { return k.Name != h.Live.Entities[0].Entity.GPU })
			h.Identity.GPUs[0].Windows = nil
			h.Identity.GPUs[0].FirstSeen = minTime
			h.Identity.GPUs[0].Windows = []WindowRange{{WindowOf(minTime), WindowOf(minTime)}}
			h.Identity.Windows = h.Identity.GPUs[0].Windows
		}},
		{"its host has none", func(h *Host) { h.Identity.Windows = nil }},
		{"in no window of it", func(h *Host) { h.Identity.GPUs[0].Windows = nil }},
		{"GPUs are not in order", func(h *Host) { h.Identity.GPUs = append(h.Identity.GPUs, h.Identity.GPUs[0]) }},
		{"runs are not in order", func(h *Host) {
			h.Identity.GPUs[0].Runs = append([]Run{{Field: FieldMIG}}, h.Identity.GPUs[0].Runs...)
		}},
		{"touches the one before", func(h *Host) {
			k := &h.Identity.GPUs[0]
			k.Runs = []Run{{Field: FieldUUID, First: 0, Last: 0}, {Field: FieldUUID, First: Window(1).Start(), Last: 1}}
		}},
		{"ends in window", func(h *Host) { h.Identity.GPUs[0].Runs = []Run{{First: 0, Last: -1}} }},
		{"parts are not in order", func(h *Host) { h.Identity.GPUs[0].Parts = []KnownPart{{Name: "b"}, {Name: "a"}} }},
		{"are no span", func(h *Host) { h.Identity.Windows[0].Last += 1 << 40 }},
		{"touch the span before", func(h *Host) {
			h.Identity.Windows = append(h.Identity.Windows, h.Identity.Windows[len(h.Identity.Windows)-1])
		}},
		{"but its GPU first at", func(h *Host) {
			i, _ := findKnown(h.Identity.GPUs, h.Live.Entities[0].Entity.GPU)
			h.Identity.GPUs[i].FirstSeen = h.Live.Entities[0].SeenAt + 1
			h.Identity.GPUs[i].Windows = []WindowRange{{WindowOf(h.Live.Entities[0].SeenAt + 1), WindowOf(h.Live.Entities[0].SeenAt + 1)}}
			h.Identity.Windows = []WindowRange{{-1000, 1000}}
		}},
	} {
		var h Host
		h.Apply(event("node-1", onlyFirst(randomRecords(rand.New(rand.NewPCG(7, 7)), 60))))
		if err := h.Check(); err != nil {
			t.Fatal(err)
		}
		h = reload(t, &h)
		c.harm(&h)
		if err := h.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want an error with %q", err, c.want)
		}
	}
}

// onlyFirst puts a part first, so that harm to the first entity is harm to one with a Part.
func onlyFirst(records []record) []record {
	part := &events.Identity{UUID: "GPU-0a", Part: "mig:1"}
	at := records[0].at
	return append(records, record{part, "a", "a", at, events.Value{}, 0}, record{part, "b", "b", at, events.Value{}, 0})
}

func TestSeriesCheckFindsBrokenSeries(t *testing.T) {
	id := &events.Identity{Index: "0"}
	for _, c := range []struct {
		want string
		harm func(s *HostWindow)
	}{
		{"columns are not in order", func(s *HostWindow) { slices.Reverse(s.Columns) }},
		{"no readings", func(s *HostWindow) { s.Columns[0].Samples = events.Samples{} }},
		{"not all of window", func(s *HostWindow) { s.Columns[0].Times[1] = Window(1).Start() }},
		{"implausible", func(s *HostWindow) { s.Columns[1].Absent[0].Reason = events.Implausible }},
		{"is not there", func(s *HostWindow) { s.Identities = nil }},
		{"hashes to", func(s *HostWindow) { s.Identities[0].Identity = &events.Identity{Index: "1"} }},
		{"identities are not in order", func(s *HostWindow) { s.Identities = append(s.Identities, s.Identities[0]) }},
		{"order", func(s *HostWindow) { s.Columns[0].Times[1] = s.Columns[0].Times[0] - 1 }},
	} {
		s := seriesOf(event("node-1", []record{
			{id, "a", "a", 5, events.Value{}, 0}, {id, "a", "a", 6, events.Value{}, 0}, {id, "b", "b", 5, events.Value{Absent: events.Blank}, 0},
		}))[0]
		if err := s.Check(0); err != nil {
			t.Fatal(err)
		}
		c.harm(&s)
		if err := s.Check(0); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want an error with %q", err, c.want)
		}
	}
}
