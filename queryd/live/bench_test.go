package live

import (
	"fmt"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live/livetest"
)

// fleetOf stores a fleet of hosts with 8 GPUs and 10 metrics each. batch returns the stored change for new readings
// of a host's 8 GPUs.
func fleetOf(b *testing.B, hosts int) (v *view, batch func(n int) projections.Batch) {
	b.Helper()
	facts := livetest.Facts()
	v = newView(facts, "g")
	fleet := livetest.NewFleet(facts)
	report := func(host int, at events.Timestamp) projections.Stored {
		var all []livetest.Reading
		for g := range 8 {
			for m := range 10 {
				all = append(all, livetest.Reading{Host: events.HostID(fmt.Sprintf("host-%05d", host)), UUID: fmt.Sprintf("GPU-%05d-%d", host, g), Index: g,
					Metric: fmt.Sprintf("DCGM_FI_DEV_METRIC_%d", m), At: at, Value: int64(at)})
			}
		}
		return fleet.Report(all...)
	}
	load := projections.Batch{At: events.Revision{Epoch: facts.Epoch, Cluster: facts.Cluster, Number: 1}}
	for h := range hosts {
		load.Hosts = append(load.Hosts, report(h, 1))
	}
	v.applyBatch(load, time.Now())
	v.continueFrom(newView(facts, "").state, time.Now())
	return v, func(n int) projections.Batch {
		at := load.At
		at.Number += int64(n) + 1
		return projections.Batch{At: at, Hosts: []projections.Stored{report(n%hosts, events.Timestamp(n+2))}}
	}
}

// BenchmarkApply folds one host's new readings into a view of 10,000 GPUs.
func BenchmarkApply(b *testing.B) {
	v, batch := fleetOf(b, 1250)
	batches := make([]projections.Batch, 1000)
	for i := range batches {
		batches[i] = batch(i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		next := batches[i%len(batches)]
		next.At.Number = v.state.at.Number + 1
		v.applyBatch(next, time.Now())
	}
}

// BenchmarkFanOut publishes a change of 8 GPUs of 10,000 to 10,000 subscribers without a filter, and reads each of
// them.
func BenchmarkFanOut(b *testing.B) {
	v, batch := fleetOf(b, 1250)
	facts := livetest.Facts()
	h, err := New(Config{}, livetest.New(facts), nil, facts, nil)
	if err != nil {
		b.Fatal(err)
	}
	h.publishState(v.state, &change{streamPosition: v.state.streamPosition}, true)
	subs := make([]*Subscription, 10_000)
	for i := range subs {
		if subs[i], err = h.Subscribe(Options{Hz: 20}); err != nil {
			b.Fatal(err)
		}
		if _, err := subs[i].Poll(); err != nil { // synced
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c := v.applyBatch(batch(i), time.Now())
		h.publishState(v.state, c, false)
		h.publishDueGroups(time.Now().Add(time.Duration(i+1) * time.Hour)) // later than any group's period
		for _, sub := range subs {
			if m, err := sub.Poll(); err != nil || m == nil {
				b.Fatalf("got %v, %v; want the update", m, err)
			}
		}
	}
}
