package query

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"testing"

	"github.com/valyala/fasthttp"
)

// serveCells starts a gateway of clusters, each of its own fleet in memory, and returns the bytes of memory that they take.
func serveCells(b *testing.B, cells, hosts int) (base string, taken int64) {
	b.Helper()
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	var sources []Source
	for i := range cells {
		sources = append(sources, Source{Name: fmt.Sprintf("cell-%02d", i)})
	}
	g, err := NewGateway(Config{Host: "127.0.0.1", Port: FreePort}, sources, nil)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	before := heap()
	done := make(chan error, cells+1)
	for _, c := range g.cells {
		own, err := newServices(g.cfg, newFleetStore(hosts), eventless{}, slog.New(slog.DiscardHandler))
		if err != nil {
			b.Fatal(err)
		}
		own.api.InCluster(c.source.Name)
		c.current.Store(own)
		go func() { done <- own.hub.Run(ctx) }()
	}
	go func() { done <- g.serve(ctx, func(ctx context.Context) error { <-ctx.Done(); return nil }) }()
	b.Cleanup(func() {
		cancel()
		for range cells + 1 {
			<-done
		}
	})
	waitUntil(b, "gateway is ready", func() bool { return g.Ready() == nil })
	return "http://" + g.Addr().String(), heap() - before
}

// BenchmarkCells asks a gateway of several clusters for all of them. Its memory holds the stored models of the fleets too.
func BenchmarkCells(b *testing.B) {
	for _, size := range []struct{ cells, hosts int }{{1, 1250}, {8, 1250}, {4, 10_000}} {
		base, taken := serveCells(b, size.cells, size.hosts)
		for _, c := range []struct{ name, path string }{
			{"clusters", "/api/v1/clusters"},
			{"totals", "/api/v1/cluster"},
			{"hosts", "/api/v1/hosts"},
			{"100 hosts", "/api/v1/hosts?limit=100"},
			{"a host", "/api/v1/hosts/gpu-node-00001?cluster=cell-00"},
			{"GraphQL totals", "/graphql?query=%7Bcluster%7BgpuCount%20powerDraw%7D%7D"},
		} {
			b.Run(fmt.Sprintf("%dx%d/%s", size.cells, size.hosts, c.name), func(b *testing.B) {
				var client fasthttp.Client
				client.MaxResponseBodySize = 1 << 30
				var body []byte
				for b.Loop() {
					status, text, err := client.Get(body[:0], base+c.path)
					if err != nil || status != fasthttp.StatusOK {
						b.Fatalf("%d, %v, %.200s", status, err, text)
					}
					body = text
				}
				b.ReportMetric(float64(len(body)), "bytes")
				b.ReportMetric(float64(taken)/float64(size.cells*size.hosts*8), "heap-B/gpu")
			})
		}
	}
}
