package main

import (
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// stream is the history of two cells: watts changed at 10, 20 and 30, degrees at 20.
func stream() (watts, degrees cell, view reference) {
	watts, degrees = cell{"GPU-1", "watts"}, cell{"GPU-1", "degrees"}
	return watts, degrees, reference{
		watts:   {{10, "1"}, {20, "2"}, {30, "3"}},
		degrees: {{20, "40"}},
	}
}

func TestAStreamWithAGapIsNoticed(t *testing.T) {
	watts, degrees, view := stream()
	has := func(c cell, v string) []cellValue { return []cellValue{{c, v}} }
	start := []step{{kind: "hello", rev: 99}, {kind: "ack", rev: 12}, {kind: "snap", rev: 12, cells: has(watts, "1")}, {kind: "synced", rev: 12}}
	second := step{kind: "upd", rev: 20, cells: []cellValue{{watts, "2"}, {degrees, "40"}}}
	for name, c := range map[string]struct {
		steps []step
		why   string
	}{
		"whole":                    {append(start, second, step{kind: "hb", rev: 25}, step{kind: "upd", rev: 30, cells: has(watts, "3")}), ""},
		"slow, but not wrong":      {append(start, step{kind: "upd", rev: 33, cells: []cellValue{{watts, "3"}, {degrees, "40"}}}), ""},
		"half of a revision":       {append(start, step{kind: "upd", rev: 20, cells: has(watts, "2")}), "degrees of GPU-1: has , stored is 40"},
		"a heartbeat over a gap":   {append(start, step{kind: "hb", rev: 20}), "hb at revision 20: 2 readings differ"},
		"of later than it says":    {append(start, step{kind: "upd", rev: 20, cells: []cellValue{{watts, "3"}, {degrees, "40"}}}), "has 3, stored is 2"},
		"back":                     {append(start, second, step{kind: "hb", rev: 19}), "hb at revision 19 after 20"},
		"back over connections":    {append(start, second, step{conn: 1, kind: "ack"}, step{conn: 1, kind: "snap", rev: 15, cells: has(watts, "1")}), "snap at revision 15 after 20"},
		"resumed":                  {append(start, step{conn: 1, kind: "ack", rev: 12, resumed: true}, second), ""},
		"resumed elsewhere":        {append(start, second, step{conn: 1, kind: "ack", rev: 12, resumed: true}), "resumed at 12, not at 20"},
		"resumed with a gap":       {append(start, step{conn: 1, kind: "ack", rev: 12, resumed: true}, step{conn: 1, kind: "synced", rev: 30}), "synced at revision 30: 2 readings differ"},
		"a reading nobody stored":  {append(start, step{kind: "upd", rev: 12, cells: has(cell{"GPU-1", "volts"}, "5")}), "never stored"},
		"a GPU that was taken out": {append(start, step{kind: "upd", rev: 12, removed: []string{"GPU-1"}}), "has , stored is 1"},
		"a refusal":                {append(start, step{kind: "err: bad_option"}), "got err: bad_option"},
		"reset, with a snapshot":   {append(start, step{kind: "reset"}, step{kind: "snap", rev: 20, cells: second.cells}), ""},
		"in two parts":             {[]step{{kind: "ack"}, {kind: "snap", cells: has(watts, "2")}, {kind: "snap", part: 1, rev: 20, cells: has(degrees, "40")}}, ""},
		"without its second part":  {[]step{{kind: "ack"}, {kind: "snap", rev: 20, cells: has(watts, "2")}}, "has , stored is 40"},
	} {
		t.Run(name, func(t *testing.T) {
			v := streamVerdict()
			checkStream("latest on queryd-0", c.steps, view, &v)
			expect(t, v, c.why)
		})
	}
}

func TestWhatASubscriberEndsWithIsHeldAgainstREST(t *testing.T) {
	watts, degrees, _ := stream()
	gpus := []newest{{ID: "GPU-1", Absent: map[string]string{"watts": "blank"}, Times: map[string]time.Time{"watts": noon}}}
	for why, cells := range map[string]map[cell]string{
		"": {watts: "absent:blank"}, `is "1", REST says absent:blank`: {watts: "1"}, `is "", REST says`: {}, "is not in REST": {watts: "absent:blank", degrees: "40"},
	} {
		v := verdict{promise: why}
		checkEnds("s", cells, gpus, &v)
		expect(t, v, why)
	}
}

func TestRevisionsOfTokens(t *testing.T) {
	const token = "ZTUzOGM3NDQxOTQwZWExYS04OTI2Nzg3YjIxYzc0OGQ5LTcgZ2E5OGE1NjRj" // as docs/WALKTHROUGH.md has it
	if got := revisionOf(token); got != 7 {
		t.Errorf("got revision %d, want 7", got)
	}
	for _, other := range []string{"", "x", "Zm9v"} {
		if got := revisionOf(other); got != 0 {
			t.Errorf("%q: got revision %d, want none", other, got)
		}
	}
}

func TestAStoredReadingThatBecomesOlderIsNoticed(t *testing.T) {
	live := func(at events.Timestamp) *projections.Live {
		return &projections.Live{Entities: []projections.LiveEntity{{Entity: events.Entity{GPU: "GPU-1"}, Latest: []projections.Latest{{Metric: "watts", At: at}}}}}
	}
	stored := newestStored{}
	for _, at := range []events.Timestamp{5, 5, 7} {
		expect(t, checkNewer(stored.addStored(int64(at), live(at)), len(stored)), "")
	}
	expect(t, checkNewer(stored.addStored(9, live(6)), len(stored)), "watts of GPU-1 went from 1970-01-01T00:00:00.000000007Z to")
}
