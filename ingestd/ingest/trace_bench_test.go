package ingest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/trace"
	"telemetry-pipeline/events/trace/otlp"
	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
)

// tracedLog is a log whose appends take no time and are steps of traces, as they are of the log in etcd.
type tracedLog struct{ instantLog }

// Append returns that it created the events.
func (l tracedLog) Append(ctx context.Context, evs []events.Event) ([]eventlog.Appended, error) {
	ctx, span := trace.StartChild(ctx, "append")
	span.SetCount("telemetry.events", len(evs))
	defer span.End(nil)
	return l.instantLog.Append(ctx, evs)
}

// tracedServer is a server of one kind of BenchmarkTracedUpload.
type tracedServer struct {
	kind, header string
	conn         net.Conn
	answers      *bufio.Reader
	took         []time.Duration // of each upload
}

// median returns the median time of an upload.
func (s *tracedServer) median() time.Duration {
	slices.Sort(s.took)
	return s.took[len(s.took)/2]
}

func newTracedServer(b *testing.B, kind, header string, tracer *trace.Tracer) *tracedServer {
	b.Helper()
	log := pipelinetest.NewRecorder()
	c := dialServer(b, startServer(b, Config{Tracer: tracer}, tracedLog{instantLog{log}}, log))
	return &tracedServer{kind: kind, header: header, conn: c, answers: bufio.NewReader(c)}
}

func (s *tracedServer) upload(b *testing.B, file []byte) {
	b.Helper()
	body := multipartOf(file)
	began := time.Now()
	fmt.Fprintf(s.conn, "POST /api/v1/csv/upload HTTP/1.1\r\nHost: localhost\r\n%sContent-Type: multipart/form-data; boundary=%s\r\nContent-Length: %d\r\n\r\n%s", s.header, boundary, len(body), body)
	readAccepted(b, s.answers)
	s.took = append(s.took, time.Since(began))
}

// BenchmarkTracedUpload measures the upload of BenchmarkSmallUpload in turns: without a receiver of traces, with one and outside of a
// sampled trace, and in a sampled trace. Its times are medians, its ratios of medians; spans go to a receiver in this process that throws them away.
func BenchmarkTracedUpload(b *testing.B) {
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) { _, _ = io.Copy(io.Discard, req.Body) }))
	defer receiver.Close()
	provider, err := otlp.Open(b.Context(), otlp.Config{Endpoint: receiver.URL}, otlp.Service{Name: "ingestd"}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	sending, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- provider.Run(sending) }()
	defer func() { stop(); <-ended }()
	const header = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
	servers := []*tracedServer{
		newTracedServer(b, "off", header, nil), newTracedServer(b, "unsampled", strings.Replace(header, "-01", "-00", 1), provider.Tracer()), newTracedServer(b, "sampled", header, provider.Tracer()),
	}
	for i := 0; b.Loop(); i++ {
		var file bytes.Buffer
		file.WriteString("timestamp,metric_name,gpu_id,uuid,Hostname,value\n")
		at := time.Unix(1752871354, int64(i)*1e6).UTC().Format(time.RFC3339Nano)
		for gpu := range 8 {
			fmt.Fprintf(&file, "%s,DCGM_FI_DEV_POWER_USAGE,%d,GPU-604ac76c-d9cf-fef3-62e9-%012d,node-%d,%d.5\n", at, gpu, gpu, i%100, i%700)
		}
		for turn := range servers {
			servers[(i+turn)%len(servers)].upload(b, file.Bytes())
		}
	}
	for _, s := range servers {
		b.ReportMetric(float64(s.median().Nanoseconds()), "ns/"+s.kind)
		b.ReportMetric(float64(s.median())/float64(servers[0].median()), s.kind+"/off")
	}
}
