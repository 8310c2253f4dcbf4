package live

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live/livetest"
)

// fleetOf stores a fleet of hosts with 8 GPUs and 10 metrics each. batch returns the stored change for new readings
// of a host's 8 GPUs.
func fleetOf(b testing.TB, hosts int) (v *view, batch func(n int) projections.Batch) {
	b.Helper()
	facts := livetest.Facts()
	v = newView(facts, "g", access.Everything())
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
	v.continueFrom(newView(facts, "", access.Everything()).state, time.Now())
	return v, func(n int) projections.Batch {
		at := load.At
		at.Number += int64(n) + 1
		return projections.Batch{At: at, Hosts: []projections.Stored{report(n%hosts, events.Timestamp(n+2))}}
	}
}

// BenchmarkApply folds one host's new readings into a view of 10,000 and of 50,000 GPUs, and makes the update for readers of
// everything.
func BenchmarkApply(b *testing.B) {
	for _, hosts := range []int{1250, 6250} {
		v, batch := fleetOf(b, hosts)
		i := 0
		apply := func(b *testing.B) {
			b.StopTimer()
			next := batch(i)
			i++
			b.StartTimer()
			v.applyBatch(next, time.Now())
		}
		b.Run(fmt.Sprintf("%d", 8*hosts), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				apply(b)
			}
		})
		b.Run(fmt.Sprintf("%d/update", 8*hosts), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				before := v.state.readerPosition()
				apply(b)
				if m := newGroupSnapshot(v.state, &filter{}).updateSince(before); m == nil {
					b.Fatal("there is no update")
				}
			}
		})
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

// storedHosts returns hosts with one GPU and five metrics each, as a store reads them: parsed from their bytes.
func storedHosts(b *testing.B, hosts int) []projections.Stored {
	b.Helper()
	from := events.TimestampOf(time.Date(2025, 7, 18, 20, 0, 0, 0, time.UTC))
	all := make([]projections.Stored, hosts)
	for n := range all {
		h := projections.Host{ID: events.HostID(fmt.Sprintf("gpu-node-%06d.cluster.example", n))}
		ev := events.Event{Host: h.ID, AppendedAt: from, Identities: []events.Identity{{
			UUID: fmt.Sprintf("GPU-5fd4f087-86f3-7a43-b711-%012x", n), Index: "0", PCI: "00000000:07:00.0", Device: "nvidia0",
			Model: "NVIDIA H100 80GB HBM3", Driver: "535.129.03", Labels: []events.Label{{Name: "instance", Value: string(h.ID) + ":9400"}, {Name: "job", Value: "dcgm"}},
		}}}
		for m, metric := range [...]string{"gpu_utilization", "memory_used_mb", "temperature", "power_draw", "sm_clock_mhz"} {
			c := events.Column{Metric: metric, Source: "DCGM_FI_DEV_" + metric}
			c.Add(from, events.Value{Number: events.NumberOf(int64(n+m)%100, 0)})
			c.Canonical()
			ev.Columns = append(ev.Columns, c)
		}
		h.Apply(&ev)
		all[n] = storedHost(b, &h)
	}
	return all
}

// storedHost returns a host's models, parsed from their bytes.
func storedHost(b *testing.B, h *projections.Host) projections.Stored {
	b.Helper()
	live, err := projections.ParseLive(projections.AppendLive(nil, &h.Live))
	if err != nil {
		b.Fatal(err)
	}
	identity, err := projections.ParseIdentity(projections.AppendIdentity(nil, &h.Identity))
	if err != nil {
		b.Fatal(err)
	}
	return projections.Stored{Host: h.ID, Live: &live, Identity: &identity}
}

// BenchmarkHosts loads many hosts of one GPU, and then changes one of them at a time.
func BenchmarkHosts(b *testing.B) {
	for _, hosts := range []int{20_000, 200_000} {
		b.Run(fmt.Sprintf("load/%d", hosts), func(b *testing.B) {
			for b.Loop() {
				before := heapBytes()
				v := newView(livetest.Facts(), "g", access.Everything())
				v.applyBatch(loadOf(storedHosts(b, hosts)), time.Now())
				v.continueFrom(newView(livetest.Facts(), "", access.Everything()).state, time.Now())
				b.ReportMetric(float64(heapBytes()-before)/float64(hosts), "B/host")
				runtime.KeepAlive(v)
			}
		})
		b.Run(fmt.Sprintf("update/%d", hosts), func(b *testing.B) {
			all := storedHosts(b, hosts)
			v := newView(livetest.Facts(), "g", access.Everything())
			v.applyBatch(loadOf(all), time.Now())
			v.continueFrom(newView(livetest.Facts(), "", access.Everything()).state, time.Now())
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				next := all[i%hosts]
				live := *next.Live
				live.Appended += events.Timestamp(i + 1)
				next.Live, next.Identity = &live, nil
				at := v.state.at
				at.Number++
				v.applyBatch(projections.Batch{At: at, Hosts: []projections.Stored{next}}, time.Now())
			}
		})
	}
}

// loadOf returns the batch that loads hosts.
func loadOf(hosts []projections.Stored) projections.Batch {
	facts := livetest.Facts()
	return projections.Batch{At: events.Revision{Epoch: facts.Epoch, Cluster: facts.Cluster, Number: 1}, Hosts: hosts}
}

// heapBytes returns the bytes of the reachable objects.
func heapBytes() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkScopes makes the view of half of a fleet of 10,000 GPUs, and passes a change of another host to such a view.
func BenchmarkScopes(b *testing.B) {
	whole, batch := fleetOf(b, 1250)
	scope, err := access.ParseScope("host=host-000*,host=host-001*,host=host-002*,host=host-003*,host=host-004*,host=host-005*")
	if err != nil {
		b.Fatal(err)
	}
	b.Run("new", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			whole.within(scope)
		}
	})
	part, foreign := whole.within(scope), batch(1000)
	b.Run("other host", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			foreign.At.Number++
			part.applyBatch(foreign, time.Now())
		}
	})
}
