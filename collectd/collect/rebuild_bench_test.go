package collect

import (
	"context"
	"fmt"
	"testing"
	"time"

	"telemetry-pipeline/collectd/partition"
	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

// fleetRows makes what an export of a fleet gives: 8 GPUs of each host with ten metrics every 30 s, cut into events.
func fleetRows(hosts, times, round int) []events.Event {
	c := events.NewCutter(events.CutRules{}, "bench", "")
	metrics := []string{"DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_MEM_COPY_UTIL", "DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_FB_FREE", "DCGM_FI_DEV_GPU_TEMP",
		"DCGM_FI_DEV_MEMORY_TEMP", "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_SM_CLOCK", "DCGM_FI_DEV_MEM_CLOCK", "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"}
	var evs []events.Event
	for h := range hosts {
		host := events.HostID(fmt.Sprintf("node-%04d", h))
		gpus := make([]*events.Identity, 8)
		for i := range gpus {
			gpus[i] = &events.Identity{Index: fmt.Sprint(i), UUID: fmt.Sprintf("GPU-%04d-%d", h, i), Model: "NVIDIA H100 80GB HBM3"}
		}
		for t := range times {
			at := events.Timestamp(1_752_871_354e9 + int64(round*times+t)*30e9)
			for g := range gpus {
				for m, name := range metrics {
					v := int64((h*31 + g*17 + m*101 + (t*t*7919+t*13)%97) % 1000)
					evs = append(evs, c.Row(host, 100, []events.Record{{Identity: gpus[g], Metric: name, Source: name, At: at,
						Value: events.Value{Number: events.Int(v)}, Text: fmt.Append(nil, v)}})...)
				}
			}
		}
	}
	return append(evs, c.Flush()...)
}

// BenchmarkRebuild folds a log of five million records into a new generation: from the making of its record until all
// of it is stored, everything real but the disk.
func BenchmarkRebuild(b *testing.B) {
	const hosts, times, rounds = 250, 125, 2
	server := eventstest.NewServer(b, nil)
	cfg := server.Config(b)
	log := eventstest.OpenLog(b, cfg)
	records := 0
	for round := range rounds {
		evs := fleetRows(hosts, times, round)
		for len(evs) > 0 {
			n := min(len(evs), 64)
			if _, err := log.Append(b.Context(), evs[:n]); err != nil {
				b.Fatal(err)
			}
			for i := range n {
				records += evs[i].Records()
			}
			evs = evs[n:]
		}
	}
	store := snapshot.New(server.Client(b), cfg, log.Facts(), nil)
	c, err := Open(Config{Sharing: partition.Config{DataDir: b.TempDir()}, RemovalGrace: time.Millisecond}, cfg, log, nil)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
		c.Close()
	}()
	until(b, "the active generation is folded", func() bool { return c.Ready() == nil })
	awaitHead(b, log, store)
	for b.Loop() {
		all, err := store.Generations(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		g, err := store.Create(b.Context(), all, snapshot.ModelVersion, false)
		if err != nil {
			b.Fatal(err)
		}
		for all, err := range store.WatchGenerations(b.Context()) {
			if err != nil {
				b.Fatal(err)
			}
			if all.All[g].State == snapshot.Complete {
				break
			}
		}
		b.StopTimer()
		if got := recordsOf(b, store, log, g); got != records {
			b.Fatalf("the new generation has %d records, want %d", got, records)
		}
		all, err = store.Generations(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if err := store.Retire(b.Context(), g, all.All[g], evictOf(cfg)); err != nil {
			b.Fatal(err)
		}
		until(b, "the rebuilt generation is removed", func() bool {
			all, err := store.Generations(b.Context())
			return err == nil && len(all.All) == 1
		})
		server.Compact(b)
		b.StartTimer()
	}
	b.ReportMetric(float64(records*b.N)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(records), "records")
}

// recordsOf counts the records in the stored history of a generation.
func recordsOf(tb testing.TB, store *snapshot.Store, log *events.Log, g projections.Generation) (n int) {
	tb.Helper()
	head, err := log.Head(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	for p := range events.Partition(log.Facts().Partitions) {
		for h, err := range store.HistoryAt(tb.Context(), g, p, head.Number) {
			if err != nil {
				tb.Fatal(err)
			}
			n += h.Series.Records()
		}
	}
	return n
}

// awaitHead waits until everything in the log is folded in the active generation.
func awaitHead(tb testing.TB, log *events.Log, store *snapshot.Store) {
	tb.Helper()
	head, err := log.Head(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	all := map[events.Partition]events.Revision{}
	for p := range events.Partition(log.Facts().Partitions) {
		all[p] = events.Revision{}
	}
	until(tb, "everything is folded", func() bool {
		g, err := store.Active(tb.Context())
		if err != nil {
			return false
		}
		offsets, err := store.Offsets(tb.Context(), g)
		if err != nil {
			return false
		}
		after := map[events.Partition]events.Revision{}
		for p := range all {
			after[p] = older(offsets[p].Live, offsets[p].Series)
		}
		unread, err := log.Unread(tb.Context(), after, head)
		return err == nil && len(unread) == 0
	})
}

func until(tb testing.TB, what string, condition func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatalf("not in time: %s", what)
		}
	}
}
