package collect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"telemetry-pipeline/collectd/partition"
	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

// fleetRows returns the events of a fleet's export: 8 GPUs of each host with ten metrics every 30 s.
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

// bench is a log with many records that a collector has folded.
type bench struct {
	*testing.B
	server  *eventstest.Server
	cfg     eventlog.Config
	log     *eventlog.Log
	store   *snapshot.Store
	records int
}

func newBench(b *testing.B, hosts, times, rounds int) *bench {
	server := eventstest.NewServer(b, nil)
	cfg := server.Config(b)
	r := &bench{B: b, server: server, cfg: cfg, log: eventstest.OpenLog(b, cfg)}
	for round := range rounds {
		evs := fleetRows(hosts, times, round)
		for some := range slices.Chunk(evs, 64) {
			if _, err := r.log.Append(b.Context(), some); err != nil {
				b.Fatal(err)
			}
			for i := range some {
				r.records += some[i].Records()
			}
		}
	}
	r.store = snapshot.New(server.Client(b), cfg, r.log.Facts(), nil)
	c, err := Open(Config{Sharing: partition.Config{DataDir: b.TempDir()}, RemovalGrace: time.Millisecond}, cfg, r.log, nil)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ended, c.Close()); err != nil {
			b.Error(err)
		}
	})
	awaitCondition(b, "the active generation is folded", func() bool { return c.Ready() == nil })
	awaitHead(b, r.log, r.store)
	return r
}

// rebuild creates a generation and waits until it is complete.
func (r *bench) rebuild() projections.Generation {
	all, err := r.store.Generations(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	g, err := r.store.Create(r.Context(), all, snapshot.ModelVersion, false)
	if err != nil {
		r.Fatal(err)
	}
	for all, err := range r.store.WatchGenerations(r.Context()) {
		if err != nil {
			r.Fatal(err)
		}
		if all.All[g].State == snapshot.Complete {
			break
		}
	}
	return g
}

// drop removes a rebuilt generation.
func (r *bench) drop(g projections.Generation) {
	all, err := r.store.Generations(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	if err := r.store.Retire(r.Context(), g, all.All[g], evictOf(r.cfg)); err != nil {
		r.Fatal(err)
	}
	awaitCondition(r, "the rebuilt generation is removed", func() bool {
		all, err := r.store.Generations(r.Context())
		return err == nil && len(all.All) == 1
	})
	r.server.Compact(r)
}

// BenchmarkRebuild folds a log of five million records into a new generation: from the creation of its record until
// all of it is stored, everything real but the disk.
func BenchmarkRebuild(b *testing.B) {
	for name, fleet := range map[string]struct{ hosts, times, rounds int }{
		"250 hosts for two hours": {250, 125, 2}, "5000 hosts for six minutes": {5000, 6, 2},
	} {
		b.Run(name, func(b *testing.B) {
			r := newBench(b, fleet.hosts, fleet.times, fleet.rounds)
			for b.Loop() {
				g := r.rebuild()
				b.StopTimer()
				if got := recordsOf(b, r.store, r.log, g); got != r.records {
					b.Fatalf("the new generation has %d records, want %d", got, r.records)
				}
				r.drop(g)
				b.StartTimer()
			}
			b.ReportMetric(float64(r.records*b.N)/b.Elapsed().Seconds(), "records/s")
			b.ReportMetric(float64(r.records), "records")
		})
	}
}

// BenchmarkLiveBesideRebuild measures the time from the append of a host's scrape until its live model is stored,
// alone and while a generation is built continually.
func BenchmarkLiveBesideRebuild(b *testing.B) {
	for name, rebuilds := range map[string]bool{"alone": false, "beside a rebuild": true} {
		b.Run(name, func(b *testing.B) {
			r := newBench(b, 250, 125, 2)
			active, err := r.store.Active(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(b.Context())
			var rebuilding sync.WaitGroup
			defer rebuilding.Wait()
			defer cancel()
			built := 0
			if rebuilds {
				rebuilding.Go(func() {
					for ctx.Err() == nil {
						r.drop(r.rebuild())
						built++
					}
				})
			}
			stored := make(chan events.HostID, 1)
			start, err := r.store.Load(b.Context(), active)
			if err != nil {
				b.Fatal(err)
			}
			go func() {
				for batch, err := range r.store.Watch(ctx, active, start.At) {
					if err != nil {
						return
					}
					for _, h := range batch.Hosts {
						if h.Live != nil {
							stored <- h.Host
						}
					}
				}
			}()
			var took []time.Duration
			for i := 0; b.Loop(); i++ {
				host := events.HostID(fmt.Sprint("scraped-", i%50))
				began := time.Now()
				if _, err := r.log.Append(b.Context(), []events.Event{eventstest.Event(host, i)}); err != nil {
					b.Fatal(err)
				}
				for got := range stored {
					if got == host {
						break
					}
				}
				took = append(took, time.Since(began))
				b.StopTimer()
				time.Sleep(2 * time.Millisecond)
				b.StartTimer()
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
			cancel()
			rebuilding.Wait()
			b.ReportMetric(float64(built), "rebuilds")
		})
	}
}

// recordsOf counts the records in the stored history of a generation.
func recordsOf(tb testing.TB, store *snapshot.Store, log *eventlog.Log, g projections.Generation) (n int) {
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
func awaitHead(tb testing.TB, log *eventlog.Log, store *snapshot.Store) {
	tb.Helper()
	head, err := log.Head(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	all := map[events.Partition]events.Revision{}
	for p := range events.Partition(log.Facts().Partitions) {
		all[p] = events.Revision{}
	}
	awaitCondition(tb, "everything is folded", func() bool {
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
			after[p] = earlierRevision(offsets[p].Live, offsets[p].Series)
		}
		unread, err := log.UnreadPartitions(tb.Context(), after, head)
		return err == nil && len(unread) == 0
	})
}

func awaitCondition(tb testing.TB, what string, condition func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(4 * time.Minute); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatalf("not in time: %s", what)
		}
	}
}
