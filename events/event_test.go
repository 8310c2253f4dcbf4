package events

import (
	"slices"
	"testing"
)

func TestIdentityEntity(t *testing.T) {
	tests := []struct {
		id   Identity
		want Entity
	}{
		{Identity{UUID: "GPU-5fd4f087-86f3-7a43-b711-4771313afc50", Index: "0"}, Entity{GPU: "GPU-5fd4f087-86f3-7a43-b711-4771313afc50"}},
		{Identity{UUID: "GPU-00000001", Index: "0"}, Entity{GPU: "GPU-00000001"}},
		{Identity{UUID: "GPU-00000000-0000-0000-0000-000000000000", Index: "3", PCI: "x"}, Entity{GPU: "h:3"}},
		{Identity{UUID: "MIG-GPU-0000", Index: "3"}, Entity{GPU: "h:3"}},
		{Identity{UUID: "[N/A]", Index: "3", Part: "mig:1", MIG: "1"}, Entity{GPU: "h:3", Part: "mig:1"}},
		{Identity{UUID: "n/a", PCI: "00000000:0f:00.0"}, Entity{GPU: "h:00000000:0f:00.0"}},
		{Identity{Part: "cpu:0"}, Entity{Part: "cpu:0"}},
	}
	for _, tt := range tests {
		if got := tt.id.Entity("h"); got != tt.want {
			t.Errorf("%+v: got entity %+v, want %+v", tt.id, got, tt.want)
		}
	}
}

// Compare and ID depend on every field, and no field can be mistaken for another.
func TestIdentityContent(t *testing.T) {
	ids := []Identity{{}, {Labels: []Label{{"", ""}}}, {Labels: []Label{{"x", ""}}}, {Labels: []Label{{"", "x"}}}, {Labels: []Label{{"x", "y"}, {"x", "z"}}}}
	for i := range identityFields {
		var id Identity
		*id.fieldPointers()[i] = "x"
		ids = append(ids, id)
	}
	for i := range ids {
		for j := range ids {
			if same := ids[i].Compare(&ids[j]) == 0; same != (i == j) || (ids[i].ID() == ids[j].ID()) != (i == j) {
				t.Errorf("%+v and %+v: same content %v, same id %v", ids[i], ids[j], same, ids[i].ID() == ids[j].ID())
			}
		}
	}
}

func TestEventCheck(t *testing.T) {
	event := func() *Event {
		ev := cutRows(CutRules{}, dcgmRows(t, 1, 3))[0]
		return &ev
	}
	if err := event().Check(); err != nil {
		t.Fatal(err)
	}
	for name, breaks := range map[string]func(*Event){
		"no host":               func(e *Event) { e.Host = "" },
		"no columns":            func(e *Event) { e.Columns = nil },
		"identity twice":        func(e *Event) { e.Identities[1] = e.Identities[0] },
		"labels out of order":   func(e *Event) { slices.Reverse(e.Identities[0].Labels) },
		"identity not used":     func(e *Event) { e.Identities = append(e.Identities, Identity{UUID: "x"}) },
		"identity out of range": func(e *Event) { e.Columns[len(e.Columns)-1].Identity = 8 },
		"columns out of order":  func(e *Event) { slices.Reverse(e.Columns) },
		"column twice":          func(e *Event) { e.Columns[1] = e.Columns[0] },
		"empty column":          func(e *Event) { e.Columns[0].Samples = Samples{} },
		"times out of order":    func(e *Event) { slices.Reverse(e.Columns[0].Times) },
		"mantissas missing":     func(e *Event) { e.Columns[0].Mantissas = e.Columns[0].Mantissas[1:] },
		"exponents missing":     func(e *Event) { e.Columns[0].Exponents = []int16{1} },
		"not the exponent":      func(e *Event) { e.Columns[0].Mantissas, e.Columns[0].Exponent = []int64{10, 20, 30}, -1 },
		"absent row of none":    func(e *Event) { e.Columns[0].Absent = []Absence{{Row: 3, Reason: Blank}} },
		"absent without reason": func(e *Event) { e.Columns[0].Absent = []Absence{{Row: 0}} },
		"absent with a number": func(e *Event) {
			e.Columns[0].Mantissas, e.Columns[0].Absent = []int64{1, 2, 3}, []Absence{{Row: 0, Reason: Blank}}
		},
	} {
		ev := event()
		breaks(ev)
		if err := ev.Check(); err == nil {
			t.Errorf("%s: Check returned no error", name)
		}
	}
}

func TestEventFirst(t *testing.T) {
	ev := cutRows(CutRules{}, dcgmRows(t, 1, 3))[0]
	if got := ev.First(); got != testStart {
		t.Errorf("got first record at %v, want %v", got, testStart)
	}
	if got := ev.Records(); got != 240 {
		t.Errorf("got %d records, want 240", got)
	}
	ev.Columns = ev.Columns[:1]
	ev.Columns[0].Times = []Timestamp{-5, 0, 5}
	if got := ev.First(); got != -5 {
		t.Errorf("got first record at %d, want -5", got)
	}
}
