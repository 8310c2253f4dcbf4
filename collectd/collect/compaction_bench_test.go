package collect

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/collectd/partition"
	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/projections/snapshot"
)

// BenchmarkSteadyStream measures the cost in etcd of a steady stream, with the chunks of an hour merged and without:
// two hosts of 8 GPUs with ten metrics, a scrape every 30 s for four hours, each committed alone. Merging is
// throttled, so the time means little.
func BenchmarkSteadyStream(b *testing.B) {
	const hosts, times = 2, 4 * 120
	for name, merge := range map[string]bool{"appended": false, "merged": true} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				r := newStream(b, merge)
				for h := range hosts {
					cutter, last := events.NewCutter(events.CutRules{}, "bench", ""), [8][10]int64{}
					for i := range times {
						evs := scrapeOf(cutter, h, i, &last)
						if _, err := r.log.Append(b.Context(), evs); err != nil {
							b.Fatal(err)
						}
						r.records += evs[0].Records()
					}
				}
				awaitHead(b, r.log, r.store)
				if merge { // four windows are sealed, and 85 scrapes belong to one that is not
					awaitCondition(b, "sealed windows are merged", func() bool { n, _ := r.storedChunks(); return n <= hosts*(4+85) })
				}
				chunks, bytes := r.storedChunks()
				b.ReportMetric(float64(bytes)/float64(r.records), "kept-B/record")
				b.ReportMetric(r.writtenBytes()/float64(r.records), "written-B/record")
				b.ReportMetric(float64(chunks), "chunks")
				b.ReportMetric(float64(r.records), "records")
			}
		})
	}
}

// stream is a log whose events are folded one by one.
type stream struct {
	bench
	registry *prometheus.Registry
}

func newStream(b *testing.B, merge bool) *stream {
	server := eventstest.NewServer(b, nil)
	cfg := server.Config(b)
	r := &stream{bench{B: b, server: server, cfg: cfg, log: eventstest.OpenLog(b, cfg)}, prometheus.NewRegistry()}
	r.store = snapshot.New(server.Client(b), cfg, r.log.Facts(), nil)
	c, err := Open(Config{Sharing: partition.Config{DataDir: b.TempDir()}}, cfg, r.log, nil)
	if err != nil {
		b.Fatal(err)
	}
	if compactSoon(c); !merge {
		c.merger = nil
	}
	if err := c.Metrics(r.registry); err != nil {
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
	return r
}

// storedChunks returns the number of stored chunks, and the bytes of the chunks with their keys.
func (r *stream) storedChunks() (chunks int, bytes int) {
	resp, err := r.server.Client(r).Get(r.Context(), r.cfg.Prefix("projections"), clientv3.WithPrefix())
	if err != nil {
		r.Fatal(err)
	}
	for _, kv := range resp.Kvs {
		if strings.Contains(string(kv.Key), "/series/") {
			chunks++
			bytes += len(kv.Key) + len(kv.Value)
		}
	}
	return chunks, bytes
}

// writtenBytes returns all bytes of projections that were written.
func (r *stream) writtenBytes() (bytes float64) {
	all, err := r.registry.Gather()
	if err != nil {
		r.Fatal(err)
	}
	for _, of := range all {
		if of.GetName() == "snapshot_written_bytes_total" {
			bytes = of.GetMetric()[0].GetCounter().GetValue()
		}
	}
	return bytes
}

// scrapeOf returns scrape i of a host: a random walk.
func scrapeOf(c *events.Cutter, h, i int, last *[8][10]int64) []events.Event {
	rng := rand.New(rand.NewPCG(uint64(h), uint64(i)))
	var evs []events.Event
	for g := range last {
		gpu := &events.Identity{Index: fmt.Sprint(g), UUID: fmt.Sprintf("GPU-%04d-%d", h, g), Model: "NVIDIA H100 80GB HBM3"}
		for m := range last[g] {
			if last[g][m] += rng.Int64N(7) - 3; i == 0 {
				last[g][m] = 500
			}
			v := last[g][m]
			name := fmt.Sprintf("DCGM_FI_DEV_%d", m)
			evs = append(evs, c.Row(events.HostID(fmt.Sprintf("node-%04d", h)), 100, []events.Record{{Identity: gpu, Metric: name, Source: name,
				At: events.Timestamp(1_752_871_354e9 + int64(i)*30e9), Value: events.Value{Number: events.Int(v)}, Text: fmt.Append(nil, v)}})...)
		}
	}
	return append(evs, c.Flush()...)
}
