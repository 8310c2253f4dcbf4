package projections

import (
	"fmt"
	"testing"
	"time"

	"telemetry-pipeline/events"
)

// manyIDs is an upload of one host whose every row names another GPU, as events of so many rows each.
func manyIDs(ids, rows int) []*events.Event {
	at := events.TimestampOf(time.Date(2025, 7, 18, 20, 0, 0, 0, time.UTC))
	var evs []*events.Event
	for n := 0; n < ids; {
		ev := &events.Event{Host: "node-1", AppendedAt: at}
		for ; n < ids && len(ev.Identities) < rows; n++ {
			ev.Identities = append(ev.Identities, events.Identity{UUID: fmt.Sprintf("GPU-%08x-86f3-7a43-b711-77f8d5b9f1a4", uint32(n)*2654435761), Index: fmt.Sprint(n % 8)})
			c := events.Column{Metric: "power_draw", Source: "power.draw [W]", Identity: len(ev.Identities) - 1}
			c.Add(at, events.Value{Number: events.Int(int64(n % 700))})
			c.Canonical()
			ev.Columns = append(ev.Columns, c)
		}
		evs = append(evs, ev)
	}
	return evs
}

// BenchmarkManyIDs folds an upload of 60,000 GPU ids of one host, writes and reads its models, and merges its GPUs.
func BenchmarkManyIDs(b *testing.B) {
	const ids = 60_000
	for _, rows := range []int{2000, ids} {
		evs := manyIDs(ids, rows)
		var h Host
		b.Run(fmt.Sprintf("apply/%d", rows), func(b *testing.B) {
			for b.Loop() {
				h = Host{}
				for _, ev := range evs {
					h.ApplyWithin(ev, Bounds{GPUs: ids})
				}
			}
		})
		if rows < ids {
			continue
		}
		live, identity := AppendLive(nil, &h.Live), AppendIdentity(nil, &h.Identity)
		b.Run("append", func(b *testing.B) {
			for b.Loop() {
				live, identity = AppendLive(live[:0], &h.Live), AppendIdentity(identity[:0], &h.Identity)
			}
			b.ReportMetric(float64(len(live)), "live-B")
			b.ReportMetric(float64(len(identity)), "identity-B")
		})
		b.Run("parse", func(b *testing.B) {
			for b.Loop() {
				if _, err := ParseLive(live); err != nil {
					b.Fatal(err)
				}
				if _, err := ParseIdentity(identity); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("merge", func(b *testing.B) {
			for b.Loop() {
				for id, f := range h.Fragments(h.Identity.Names(h.ID)) {
					MergeGPU(id, []Fragment{f})
				}
			}
		})
	}
}
