package live

import (
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// TestAllocations holds the allocations of frequent work to the recorded numbers in fleets of any size.
func TestAllocations(t *testing.T) {
	for _, hosts := range []int{50, 600} {
		v, batch := fleetOf(t, hosts)
		batches := make([]projections.Batch, 60)
		for i := range batches {
			batches[i] = batch(i)
		}
		next := 0
		if got := testing.AllocsPerRun(50, func() {
			b := batches[next]
			next++
			v.applyBatch(b, time.Now())
		}); got > 150 {
			t.Errorf("%d hosts: a change of one host's 8 GPUs makes %v allocations, recorded are 150", hosts, got)
		}
		if got := testing.AllocsPerRun(50, func() { v.state.Totals(events.Timestamp(time.Hour)) }); got > 30 {
			t.Errorf("%d hosts: totals make %v allocations, recorded are 30", hosts, got)
		}
	}
}

// An update for readers of everything visits the hosts that changed, not the fleet.
func TestUpdatesVisitChangedHostsOnly(t *testing.T) {
	v, batch := fleetOf(t, 40)
	before := v.state.at.Number
	v.applyBatch(batch(0), time.Now())
	v.applyBatch(batch(1), time.Now())
	for _, f := range []*filter{{}, {metrics: []string{"DCGM_FI_DEV_METRIC_1"}}, {hosts: []string{"host-*"}, globs: true}} {
		visited := 0
		for range f.selectEntries(v.state, before) {
			visited++
		}
		if visited != 16 {
			t.Errorf("filter %+v visits %d GPUs, want the 16 of two hosts", f, visited)
		}
	}
}
