package eventlog_test

import (
	"fmt"
	"testing"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventstest"
)

// Constant readings take almost no bytes. A transaction holds a bounded number of records all the same, since all
// records of one revision are read, archived and folded together.
func TestATransactionHoldsABoundedNumberOfRecords(t *testing.T) {
	const each = 100_000
	log := eventstest.OpenLog(t, eventstest.Config(t))
	var evs []events.Event
	for i := range 12 {
		c := events.NewCutter(events.CutRules{EventRecords: 2 * each, EventBytes: 1 << 30, OpenRecords: 2 * each}, "", "")
		gpu := &events.Identity{Index: fmt.Sprint(i)}
		for at := range each {
			c.Row("host", 1, []events.Record{{Identity: gpu, Metric: "m", Source: "m", At: events.Timestamp(at) * 1e9, Text: []byte("1")}})
		}
		evs = append(evs, c.Flush()...)
	}
	appended, err := log.Append(t.Context(), evs)
	if err != nil {
		t.Fatal(err)
	}
	records := map[int64]int{}
	for i, a := range appended {
		records[a.Revision.Number] += evs[i].Records()
	}
	for revision, n := range records {
		if n > 500_000 {
			t.Errorf("%d records are of revision %d", n, revision)
		}
	}
	if len(records) < 3 || len(records) > 4 {
		t.Errorf("%d records are in %d transactions, want 3 or 4", len(evs)*each, len(records))
	}
}
