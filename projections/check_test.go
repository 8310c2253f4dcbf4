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
		{"but the newest reading is of", func(h *Host) { h.Live.Entities[0].SeenAt++ }},
		{"is not known", func(h *Host) { h.Live.Entities[0].Identity++ }},
		{"is of", func(h *Host) { h.Live.Entities[0].Entity.Part = "" }},
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
		{"in no known window", func(h *Host) { h.Identity.Windows = nil }},
		{"identities are not in order", func(h *Host) { slices.Reverse(h.Identity.Known) }},
		{"hashes to", func(h *Host) { h.Identity.Known[0].Identity.Model = "other" }},
		{"are no span", func(h *Host) { h.Identity.Windows[0].Last += 1 << 40 }},
		{"touch the span before", func(h *Host) {
			h.Identity.Windows = append(h.Identity.Windows, h.Identity.Windows[len(h.Identity.Windows)-1])
		}},
		{"but its identity first at", func(h *Host) {
			i, _ := h.Identity.findKnown(h.Live.Entities[0].Identity)
			h.Identity.Known[i].FirstSeen = h.Live.Entities[0].SeenAt + 1
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
	part := &events.Identity{UUID: "GPU-0", Part: "mig:1"}
	at := records[0].at
	return append(records, record{part, "a", "a", at, events.Value{}}, record{part, "b", "b", at, events.Value{}})
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
		{"order", func(s *HostWindow) { s.Columns[0].Times[1] = s.Columns[0].Times[0] - 1 }},
	} {
		s := seriesOf(event("node-1", []record{
			{id, "a", "a", 5, events.Value{}}, {id, "a", "a", 6, events.Value{}}, {id, "b", "b", 5, events.Value{Absent: events.Blank}},
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
