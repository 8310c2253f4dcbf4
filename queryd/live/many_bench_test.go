package live

import (
	"fmt"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live/livetest"
)

// BenchmarkManyIDs loads a host with 60,000 GPU ids, and then changes one of its GPUs at a time.
func BenchmarkManyIDs(b *testing.B) {
	const ids = 60_000
	at := events.TimestampOf(time.Date(2025, 7, 18, 20, 0, 0, 0, time.UTC))
	ev := events.Event{Host: "node-1", AppendedAt: at}
	for n := range ids {
		ev.Identities = append(ev.Identities, events.Identity{UUID: fmt.Sprintf("GPU-%08x-86f3-7a43-b711-77f8d5b9f1a4", uint32(n)*2654435761), Index: fmt.Sprint(n % 8)})
		c := events.Column{Metric: "power_draw", Source: "power.draw [W]", Identity: n}
		c.Add(at, events.Value{Number: events.Int(int64(n % 700))})
		c.Canonical()
		ev.Columns = append(ev.Columns, c)
	}
	h := projections.Host{ID: "node-1"}
	h.ApplyWithin(&ev, projections.Bounds{GPUs: ids + 8})
	load := func() *view {
		v := newView(livetest.Facts(), "g", access.Everything())
		v.applyBatch(loadOf([]projections.Stored{storedHost(b, &h)}), time.Now())
		v.continueFrom(newView(livetest.Facts(), "", access.Everything()).state, time.Now())
		return v
	}
	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			load()
		}
	})
	b.Run("update", func(b *testing.B) {
		v := load()
		for i := 0; b.Loop(); i++ {
			one := events.Event{Host: "node-1", AppendedAt: at, Identities: ev.Identities[:1], Columns: []events.Column{{Metric: "power_draw", Source: "power.draw [W]"}}}
			one.Columns[0].Add(at+events.Timestamp(i+1), events.Value{Number: events.Int(1)})
			h.ApplyWithin(&one, projections.Bounds{GPUs: ids + 8})
			next := storedHost(b, &h)
			next.Identity = nil
			position := v.state.at
			position.Number++
			v.applyBatch(projections.Batch{At: position, Hosts: []projections.Stored{next}}, time.Now())
		}
	})
	// Eight more names of the host's GPUs, by index alone: each was the index of 7,500 of them.
	b.Run("aliases", func(b *testing.B) {
		alias := events.Event{Host: "node-1", AppendedAt: at}
		for n := range 8 {
			alias.Identities = append(alias.Identities, events.Identity{Index: fmt.Sprint(n)})
			c := events.Column{Metric: "sm_clock_mhz", Source: "sm_clock_mhz", Identity: n}
			c.Add(at, events.Value{Number: events.Int(1)})
			alias.Columns = append(alias.Columns, c)
		}
		h.ApplyWithin(&alias, projections.Bounds{GPUs: ids + 8})
		for b.Loop() {
			load()
		}
	})
}
