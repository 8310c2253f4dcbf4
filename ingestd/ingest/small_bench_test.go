package ingest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
)

// instantLog is a log whose appends take no time and that keeps nothing.
type instantLog struct{ *pipelinetest.Recorder }

// Append returns that it created the events.
func (l instantLog) Append(_ context.Context, evs []events.Event) ([]eventlog.Appended, error) {
	out := make([]eventlog.Appended, len(evs))
	for i := range out {
		out[i] = eventlog.Appended{Created: true, Revision: events.Revision{Epoch: 1, Cluster: 1, Number: 1}}
	}
	return out, nil
}

// BenchmarkSmallUpload measures an upload of eight readings over a connection that is kept, without the log.
func BenchmarkSmallUpload(b *testing.B) {
	log := pipelinetest.NewRecorder()
	s := startServer(b, Config{}, instantLog{log}, log)
	c := dialServer(b, s)
	answers := bufio.NewReader(c)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		var file bytes.Buffer
		file.WriteString("timestamp,metric_name,gpu_id,uuid,Hostname,value\n")
		at := time.Unix(1752871354, int64(i)*1e6).UTC().Format(time.RFC3339Nano)
		for gpu := range 8 {
			fmt.Fprintf(&file, "%s,DCGM_FI_DEV_POWER_USAGE,%d,GPU-604ac76c-d9cf-fef3-62e9-%012d,node-%d,%d.5\n", at, gpu, gpu, i%100, i%700)
		}
		body := multipartOf(file.Bytes())
		fmt.Fprintf(c, "POST /api/v1/csv/upload HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=%s\r\nContent-Length: %d\r\n\r\n%s", boundary, len(body), body)
		readAccepted(b, answers)
	}
}

// BenchmarkSmallScrape measures the scrape of a host with eight GPUs and ten metrics over a connection that is kept, without
// the log.
func BenchmarkSmallScrape(b *testing.B) {
	log := pipelinetest.NewRecorder()
	s := startServer(b, Config{}, instantLog{log}, log)
	c := dialServer(b, s)
	answers := bufio.NewReader(c)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		var file bytes.Buffer
		for metric := range 10 {
			fmt.Fprintf(&file, "# TYPE DCGM_FI_DEV_METRIC_%d gauge\n", metric)
			for gpu := range 8 {
				fmt.Fprintf(&file, "DCGM_FI_DEV_METRIC_%d{gpu=\"%d\",UUID=\"GPU-604ac76c-d9cf-fef3-62e9-%012d\",device=\"nvidia%d\",modelName=\"NVIDIA H100 80GB HBM3\",Hostname=\"node-%d\"} %d.5 %d\n",
					metric, gpu, i%100*8+gpu, gpu, i%100, i%700, 1752871354000+i)
			}
		}
		fmt.Fprintf(c, "PUT /api/v1/csv/upload HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", file.Len(), file.Bytes())
		readAccepted(b, answers)
	}
}

// readAccepted reads the answer of an upload that must be accepted.
func readAccepted(b *testing.B, answers *bufio.Reader) {
	b.Helper()
	resp, err := http.ReadResponse(answers, nil)
	if err != nil {
		b.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		b.Fatalf("got %d %s, %v", resp.StatusCode, text, err)
	}
}
