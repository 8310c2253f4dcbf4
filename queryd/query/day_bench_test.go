package query

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

// BenchmarkDay asks a server over HTTP for one GPU's raw day: a reading of ten metrics every ten seconds, on a host
// of eight GPUs, all of it in etcd; for its sums by the hour, and by GraphQL for its series.
func BenchmarkDay(b *testing.B) {
	c := newCluster(b)
	begin := time.Date(2025, 7, 18, 0, 0, 0, 0, time.UTC)
	h := &projections.Host{ID: "a"}
	series := make(map[projections.Window]projections.HostWindow)
	cut := events.NewCutter(c.log.Facts().Cut, "", "")
	for tick := range 8640 {
		for g := range 8 {
			id := events.Identity{UUID: fmt.Sprintf("GPU-%d", g), Index: fmt.Sprint(g), Model: "NVIDIA H100 80GB HBM3", Device: fmt.Sprintf("nvidia%d", g)}
			var rows []events.Record
			for m := range 10 {
				v := events.Value{Number: events.Int(int64((tick*m + g) % 1000))}
				name := fmt.Sprintf("metric_%d", m)
				rows = append(rows, events.Record{
					Identity: &id, Metric: name, Source: name, At: events.TimestampOf(begin.Add(time.Duration(tick) * 10 * time.Second)), Value: v, Text: v.Number.Append(nil),
				})
			}
			for _, ev := range cut.Row("a", 100, rows) {
				mergeEffect(series, h.Apply(&ev))
			}
		}
	}
	for _, ev := range cut.Flush() {
		mergeEffect(series, h.Apply(&ev))
	}
	for w, s := range series {
		c.commitPartition(events.PartitionOf("a", c.log.Facts().Partitions), snapshot.Commit{
			Live: map[events.HostID]*projections.Live{"a": &h.Live}, Identity: map[events.HostID]*projections.Identity{"a": &h.Identity},
			Chunks: []snapshot.Chunk{{Host: "a", Window: w, Series: s}},
		})
	}
	rev, err := c.log.Head(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	c.markFolded(rev)
	s, err := New(Config{Host: "127.0.0.1", Port: FreePort}, c.store, c.log, nil)
	if err != nil {
		b.Fatal(err)
	}
	base, stop := startServer(b, s)
	for name, query := range map[string]url.Values{
		"one metric":         {"metric": {"metric_3"}},
		"ten metrics":        {},
		"ten metrics as CSV": {"format": {"csv"}},
		"by the hour":        {"step": {"1h"}},
		"ten as series":      {"query": {`{telemetry(gpu: ["GPU-3"], limit: 10000) {series}}`}},
	} {
		path := "/api/v1/gpus/GPU-3/telemetry?"
		switch {
		case query.Has("query"):
			path = "/graphql?"
		case !query.Has("format"):
			query.Set("limit", "10000")
		}
		target := base + path + query.Encode()
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				resp, err := http.Get(target)
				if err != nil {
					b.Fatal(err)
				}
				n, err := io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != 200 || n < 1000 {
					b.Fatalf("%d, %d bytes, %v", resp.StatusCode, n, err)
				}
				b.SetBytes(n)
			}
		})
	}
	if err := stop(); err != nil {
		b.Fatal(err)
	}
}

// mergeEffect adds the effect of an event to the windows.
func mergeEffect(series map[projections.Window]projections.HostWindow, effect projections.Effect) {
	for _, part := range []map[projections.Window]projections.HostWindow{effect.Fresh, effect.Late} {
		for w, s := range part {
			stored := series[w]
			stored.Add(s)
			series[w] = stored
		}
	}
}
