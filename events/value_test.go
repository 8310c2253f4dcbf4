package events

import (
	"slices"
	"testing"
)

func TestValueCompare(t *testing.T) {
	ascending := []Value{
		{Absent: Blank},
		{Absent: Blank, Raw: "null"},
		{Absent: NotSupported, Raw: "N/A"},
		{Absent: NotSupported, Raw: "[N/A]"},
		{Number: Int(-500)},
		{Number: Int(-3)},
		{Number: Int(0)},
		{Number: Int(55)},
		{Number: Int(600)},
		{Number: Int(631)},
		{Number: Number{62739, -3}},
		{Number: Number{62741, -3}},
	}
	for i, v := range ascending {
		for j, w := range ascending {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := v.Compare(w); got != want {
				t.Errorf("(%v).Compare(%v) = %d, want %d", v, w, got, want)
			}
		}
	}
}

func TestReasonWords(t *testing.T) {
	want := []string{
		"present", "blank", "not_found", "not_supported", "not_permitted", "deprecated",
		"error", "lost", "reset_required", "implausible", "ambiguous",
	}
	var got []string
	for r := Present; r <= Ambiguous; r++ {
		got = append(got, r.String())
		if back, err := ParseReason(r.String()); err != nil || back != r {
			t.Errorf("ParseReason(%q) = %v, %v, want %v", r, back, err, r)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got words %q, want %q", got, want)
	}
	if _, err := ParseReason("nothing"); err == nil {
		t.Error("ParseReason of an unknown word returned no error")
	}
}
