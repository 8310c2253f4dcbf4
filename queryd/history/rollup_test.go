package history

import (
	"testing"
	"time"

	"telemetry-pipeline/events"
)

// TestSumsOfOneHourInTwoEntriesAreAdded asks for averages of an hour whose halves are in two entries: their times show that they
// share no record, and no record is read.
func TestSumsOfOneHourInTwoEntriesAreAdded(t *testing.T) {
	f, shelf := newFleet(), newFakeArchive(t)
	p := events.PartitionOf("a", f.facts.Partitions)
	id := gpuIdentity(1, 0)
	number := int64(0)
	for half := range 2 {
		cut := events.NewCutter(f.facts.Cut, "", "")
		var evs []events.Event
		for minute := range 30 {
			row := newReading("power", int64(100*half+minute))
			row.Identity, row.Source, row.At = &id, "power", start+events.Timestamp(time.Duration(30*half+minute)*time.Minute)
			row.Text = row.Value.Number.Append(nil)
			evs = append(evs, cut.Row("a", 100, []events.Record{row})...)
		}
		evs = append(evs, cut.Flush()...)
		for i := range evs {
			number++
			evs[i] = loggedEvent(evs[i], number, f)
			f.foldTo(evs[i], false)
		}
		shelf.addEntry(t, p, evs)
		shelf.mergeEntries(t, p, half, half+1)
	}
	h := New(f, nil)
	h.ReadArchive(shelf)
	for _, aggregates := range [][]Aggregate{{Avg}, {Count, Avg}, {Avg, Max}} {
		plan := new(Plan)
		q := Query{Limit: MaxLimit, HasFrom: true, From: start, HasTo: true, To: start + events.Timestamp(time.Hour-1), Step: time.Hour, Aggregates: aggregates, Plan: plan}
		page, err := h.Buckets(t.Context(), f.viewState(t), q)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Buckets) != 1 || page.Buckets[0].Metrics[0].Count != 60 || page.Buckets[0].Metrics[0].Sum != 3870 {
			t.Errorf("%v: got %+v, want one bucket of 60 readings with the sum 3870", aggregates, page.Buckets)
		}
		if plan.Recorded.Load() != 0 || plan.Repeated.Load() != 0 || plan.Rolled.Load() != 1 {
			t.Errorf("%v: %d windows from records, %d with repeated sums, %d from sums; want 0, 0 and 1",
				aggregates, plan.Recorded.Load(), plan.Repeated.Load(), plan.Rolled.Load())
		}
	}
}
