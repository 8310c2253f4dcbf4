package ingest

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
)

// BenchmarkStream measures the growth of the heap's peak while 2 GB come in over HTTP, in each of the ways to send a
// file; more than 64 MiB fail it.
func BenchmarkStream(b *testing.B) {
	const size, most = 2_000_000_000, 64 << 20
	block := pipelinetest.DCGMFile(20_000, 31)
	form := func(content io.Reader) (body io.Reader, kind string) {
		head := fmt.Sprintf("--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.csv\"\r\n\r\n", boundary)
		return io.MultiReader(strings.NewReader(head), content, strings.NewReader("\r\n--"+boundary+"--\r\n")), "multipart/form-data; boundary=" + boundary
	}
	for _, way := range []string{"raw", "form", "chunks"} {
		b.Run(way, func(b *testing.B) {
			log := pipelinetest.NewRecorderOf(events.CutRules{})
			s := startServer(b, Config{MaxUploadSize: 3_000_000_000}, pipelinetest.DiscardingLog{Recorder: log}, log)
			b.SetBytes(size)
			for b.Loop() {
				content, kind := io.Reader(&pipelinetest.EndlessFile{Block: block, Left: size}), "text/csv"
				if way == "form" {
					content, kind = form(content)
				}
				req, err := http.NewRequestWithContext(b.Context(), http.MethodPut, "http://"+s.Addr().String()+"/api/v1/csv/upload", content)
				if err != nil {
					b.Fatal(err)
				}
				req.Header.Set("Content-Type", kind)
				if way == "raw" {
					req.ContentLength = size
				}
				runtime.GC()
				idle := heapBytes()
				var got response
				peak := pipelinetest.PeakHeap(func() {
					resp, err := http.DefaultClient.Do(req)
					if err != nil {
						b.Fatal(err)
					}
					got = responseOf(b, resp)
				})
				if got.status != http.StatusOK {
					b.Fatalf("got %d %.300s", got.status, got.body)
				}
				if peak > idle+most {
					b.Errorf("the heap grew by %d MiB, want at most %d", (peak-idle)>>20, most>>20)
				}
				b.ReportMetric(float64(peak-idle)/(1<<20), "MiB-over-idle")
			}
		})
	}
}
