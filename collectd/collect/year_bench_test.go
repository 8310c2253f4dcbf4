package collect

import (
	"context"
	"flag"
	"fmt"
	"runtime"
	"testing"
	"time"

	"telemetry-pipeline/collectd/partition"
	"telemetry-pipeline/collectd/retain"
	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

var yearDays = flag.Int("year", 7, "days of BenchmarkYear")

// podDay returns a day of a host of 8 GPUs: every minute another pod takes each GPU.
func podDay(host events.HostID, from time.Time) []events.Event {
	c := events.NewCutter(events.CutRules{}, "bench", "")
	var evs []events.Event
	for minute := range 24 * 60 {
		at := from.Add(time.Duration(minute) * time.Minute)
		for gpu := range 8 {
			id := &events.Identity{
				UUID: fmt.Sprintf("GPU-5fd4f087-86f3-7a43-b711-00000000000%d", gpu), Index: fmt.Sprint(gpu), PCI: fmt.Sprintf("00000000:%02x:00.0", 7+gpu),
				Device: fmt.Sprint("nvidia", gpu), Model: "NVIDIA H100 80GB HBM3", Driver: "535.129.03",
				Pod: fmt.Sprintf("train-%d-%d", at.Unix()/60, gpu), Namespace: "ml", Container: "main",
				Labels: []events.Label{{Name: "instance", Value: string(host) + ":9400"}, {Name: "job", Value: "dcgm"}},
			}
			v := int64(100 + (minute*31+gpu*7)%500)
			evs = append(evs, c.Row(host, 200, []events.Record{{Identity: id, Metric: "DCGM_FI_DEV_POWER_USAGE", Source: "DCGM_FI_DEV_POWER_USAGE",
				At: events.TimestampOf(at), Value: events.Value{Number: events.Int(v)}, Text: fmt.Append(nil, v)}})...)
		}
	}
	return append(evs, c.Flush()...)
}

// BenchmarkYear folds days (flag -year) of one host at a pod per GPU and minute, in the real collector, and archives them at
// once. It reports the sizes of the host's models, the times of the first and of the last day until all is folded, the
// memory after a twelfth of the days and at the end, and the time of a restart until it is ready.
func BenchmarkYear(b *testing.B) {
	const host = "node-1"
	for b.Loop() {
		server := eventstest.NewServer(b, nil)
		cfg := server.Config(b)
		log := eventstest.OpenLog(b, cfg)
		store := snapshot.New(server.Client(b), cfg, log.Facts(), nil)
		cold, err := archive.Open(b.Context(), archiveDir(b))
		if err != nil {
			b.Fatal(err)
		}
		settings := Config{
			Sharing: partition.Config{DataDir: b.TempDir()}, Archive: cold,
			Retain: retain.Config{ArchiveInterval: time.Second, HotWindow: time.Millisecond, KeepReplaced: time.Second, Grace: time.Second, Pace: time.Microsecond, Look: 50 * time.Millisecond},
		}
		c, stop := runYear(b, settings, cfg, log)
		from := time.Now().Truncate(time.Hour).AddDate(0, 0, -*yearDays)
		var times []time.Duration
		early := *yearDays / 12
		for day := range *yearDays {
			evs := podDay(host, from.AddDate(0, 0, day))
			began := time.Now()
			if _, err := log.Append(b.Context(), evs); err != nil {
				b.Fatal(err)
			}
			awaitHead(b, log, store)
			if times = append(times, time.Since(began)); day == early {
				b.ReportMetric(float64(heapBytes())/(1<<20), "early-heap-MiB")
			}
		}
		b.ReportMetric(float64(heapBytes())/(1<<20), "heap-MiB")
		b.ReportMetric(float64(times[0].Milliseconds()), "first-day-ms")
		b.ReportMetric(float64(times[len(times)-1].Milliseconds()), "last-day-ms")
		if n := c.quarantined.records.Load(); n > 0 {
			b.Errorf("%d records are quarantined", n)
		}
		stop()
		began := time.Now()
		_, stop = runYear(b, settings, cfg, log)
		b.ReportMetric(float64(time.Since(began).Milliseconds()), "restart-ms")
		reportModels(b, store, log, host, podDay(host, from), podDay(host, from.AddDate(0, 0, *yearDays-1)))
		stop()
		cold.Close()
	}
}

// runYear starts a collector and waits until it is ready.
func runYear(b *testing.B, settings Config, cfg eventlog.Config, log *eventlog.Log) (c *Collector, stop func()) {
	c, err := Open(settings, cfg, log, nil)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	awaitCondition(b, "the active generation is folded", func() bool { return c.Ready() == nil })
	return c, func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
		if err := c.Close(); err != nil {
			b.Error(err)
		}
	}
}

// reportModels reports the sizes of a host's models, and the least time to fold a day into them and into an empty host.
func reportModels(b *testing.B, store *snapshot.Store, log *eventlog.Log, host events.HostID, first, last []events.Event) {
	g, err := store.Active(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	part, err := store.LoadPartition(b.Context(), g, events.PartitionOf(host, log.Facts().Partitions))
	if err != nil || len(part.Hosts) != 1 {
		b.Fatal(len(part.Hosts), err)
	}
	h := part.Hosts[0]
	b.ReportMetric(float64(len(projections.AppendLive(nil, &h.Live))), "live-B")
	b.ReportMetric(float64(len(projections.AppendIdentity(nil, &h.Identity))), "identity-B")
	firstDay, lastDay := time.Hour, time.Hour
	for range 20 { // in turn, since other load changes
		firstDay, lastDay = min(firstDay, foldTime(projections.Host{}, first)), min(lastDay, foldTime(h, last))
	}
	b.ReportMetric(float64(firstDay.Microseconds()), "first-day-fold-us")
	b.ReportMetric(float64(lastDay.Microseconds()), "last-day-fold-us")
}

// foldTime returns the time that folding events into a copy of a host takes.
func foldTime(h projections.Host, evs []events.Event) time.Duration {
	began := time.Now()
	for i := range evs {
		h.Apply(&evs[i])
	}
	return time.Since(began)
}

// heapBytes returns the bytes of the reachable objects.
func heapBytes() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
