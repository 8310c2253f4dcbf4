package program

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"telemetry-pipeline/deploy/daemon"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/wait"
	"telemetry-pipeline/ingestd/ingest"
	"telemetry-pipeline/queryd/query"
)

// BenchmarkScrape measures a scrape of all parts in one process, by HTTP as Prometheus does it, once every partition is owned.
func BenchmarkScrape(b *testing.B) {
	s := &settings{
		dataDir: b.TempDir(), store: eventlog.Config{DialTimeout: time.Minute},
		intake:   ingest.Config{Host: "127.0.0.1", Port: ingest.FreePort},
		serving:  query.Config{Host: "127.0.0.1", Port: query.FreePort},
		announce: func(string, string, string) {},
	}
	ctx, cancel := context.WithCancel(context.Background())
	lg := slog.New(slog.DiscardHandler)
	entrance := openEntrance(b)
	parts, err := s.buildParts(ctx, entrance, lg)
	if err != nil {
		b.Fatal(err)
	}
	parts = append(parts, entrance.Part())
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, p := range parts {
		if p.Metrics != nil {
			if err := p.Metrics(reg); err != nil {
				b.Fatal(err)
			}
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- daemon.Run(ctx, parts, lg) }()
	defer func() { cancel(); <-ended }()
	for _, p := range parts {
		for p.Ready != nil && p.Ready() != nil {
			if !wait.Sleep(b.Context(), 20*time.Millisecond) {
				b.Fatal("not ready")
			}
		}
	}
	server := httptest.NewServer(promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	defer server.Close()
	size := int64(0)
	for b.Loop() {
		resp, err := http.Get(server.URL)
		if err != nil {
			b.Fatal(err)
		}
		if size, err = io.Copy(io.Discard, resp.Body); err != nil {
			b.Fatal(err)
		}
		resp.Body.Close()
	}
	families, err := reg.Gather()
	if err != nil {
		b.Fatal(err)
	}
	series := 0
	for _, f := range families {
		series += len(f.GetMetric())
	}
	b.ReportMetric(float64(series), "series")
	b.ReportMetric(float64(size), "bytes")
}
