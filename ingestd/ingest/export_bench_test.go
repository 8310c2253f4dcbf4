package ingest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/events"
)

// dcgmExport is an export as DCGM's exporter gives it, with its labels again in a column of their own.
func dcgmExport(gpus, times int) []byte {
	var text bytes.Buffer
	text.WriteString("timestamp,metric_name,gpu_id,device,uuid,modelName,Hostname,container,pod,namespace,value,labels_raw\n")
	names := []string{"GPU_UTIL", "MEM_COPY_UTIL", "POWER_USAGE", "GPU_TEMP", "FB_USED", "FB_FREE", "DEC_UTIL", "ENC_UTIL", "SM_CLOCK", "MEM_CLOCK"}
	start := time.Date(2025, 7, 18, 20, 42, 34, 0, time.UTC)
	for i := range times {
		at := start.Add(time.Duration(i) * 15 * time.Second).Format(time.RFC3339)
		for _, name := range names {
			for gpu := range gpus {
				fmt.Fprintf(&text, `"%s","DCGM_FI_DEV_%s","%d","nvidia%d","GPU-5fd4f087-86f3-7a43-b711-%012d","NVIDIA H100 80GB HBM3","rack1-dgx1-hgpu-%03d","","","","%d.%03d","DCGM_FI_DRIVER_VERSION=""535.129.03"",Hostname=""rack1-dgx1-hgpu-%03d"",UUID=""GPU-5fd4f087-86f3-7a43-b711-%012d"",__name__=""DCGM_FI_DEV_%s"",device=""nvidia%d"",gpu=""%d"",instance=""rack1-dgx1-hgpu-%03d:9400"",job=""dgx_dcgm_exporter"",modelName=""NVIDIA H100 80GB HBM3"""`+"\n",
					at, name, gpu%8, gpu%8, gpu, gpu/8, (gpu*7+i)%100, gpu%1000, gpu/8, gpu, name, gpu%8, gpu%8, gpu/8)
			}
		}
	}
	return text.Bytes()
}

// BenchmarkExport tells how long a large export takes from its bytes to events that are ready to append.
func BenchmarkExport(b *testing.B) {
	text := dcgmExport(247, 100)
	b.SetBytes(int64(len(text)))
	var records int64
	for b.Loop() {
		log := newRecorderOf(events.CutRules{})
		s, err := New(Config{MaxUploadSize: 1 << 40}, forgetful{log}, log, nil)
		if err != nil {
			b.Fatal(err)
		}
		p, err := parseParameters(nil, "UTC", time.Now())
		if err != nil {
			b.Fatal(err)
		}
		rec := newReceipt()
		body := &body{deadline: func(time.Time) error { return nil }}
		if _, err := s.take(b.Context(), newFile("", bytes.NewReader(text), body.stop), p, rec); err != nil {
			b.Fatal(err)
		}
		records += rec.RecordCount
	}
	b.ReportMetric(float64(records)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkStream tells the peak of the heap while 2 GB come in over HTTP, over what it is before, in each of the ways
// to send a file; more than 64 MiB fail it.
func BenchmarkStream(b *testing.B) {
	const size, most = 2_000_000_000, 64 << 20
	block := dcgmFile(20_000, 31)
	form := func(content io.Reader) (body io.Reader, kind string) {
		head := fmt.Sprintf("--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.csv\"\r\n\r\n", boundary)
		return io.MultiReader(strings.NewReader(head), content, strings.NewReader("\r\n--"+boundary+"--\r\n")), "multipart/form-data; boundary=" + boundary
	}
	for _, way := range []string{"raw", "form", "chunks"} {
		b.Run(way, func(b *testing.B) {
			log := newRecorderOf(events.CutRules{})
			s := serve(b, Config{MaxUploadSize: 3_000_000_000}, forgetful{log}, log)
			b.SetBytes(size)
			for b.Loop() {
				content, kind := io.Reader(&endless{block: block, left: size}), "text/csv"
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
				idle := heap()
				var got response
				peak := watchHeap(func() {
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
