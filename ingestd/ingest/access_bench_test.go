package ingest

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"telemetry-pipeline/events/access"
	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
)

// BenchmarkUploadWithAccess measures uploads in open mode and of a principal of everything, in turns, over connections that are
// kept, without the log. The metrics are the medians' nanoseconds of one upload of each, and the cost of access in percent.
func BenchmarkUploadWithAccess(b *testing.B) {
	log := pipelinetest.NewRecorder()
	g := guardOf(b, access.Config{}, principals{"a": {"ingest", "*"}})
	cfg := Config{Rates: Rates{PerSecond: 1e9, Burst: 1e9}}
	open := startServer(b, cfg, instantLog{log}, log)
	cfg.Guard = g.Guard
	guarded := startServer(b, cfg, instantLog{log}, log)
	for _, size := range []int{8, 500, 100_000} {
		b.Run(fmt.Sprintf("rows=%d", size), func(b *testing.B) {
			file := pipelinetest.DCGMFile(size, 31)
			sides := [2]*benchedSide{newBenchedSide(b, open, ""), newBenchedSide(b, guarded, g.header("a")+"\r\n")}
			for i := 0; b.Loop(); i++ {
				sides[i%2].upload(b, file)
				sides[1-i%2].upload(b, file)
			}
			without, with := sides[0].median(), sides[1].median()
			b.ReportMetric(float64(without), "open-ns")
			b.ReportMetric(float64(with), "access-ns")
			b.ReportMetric(100*(float64(with)/float64(without)-1), "cost-%")
		})
	}
}

// benchedSide is a kept connection to one of the servers that are compared.
type benchedSide struct {
	conn    net.Conn
	answers *bufio.Reader
	headers string
	took    []time.Duration
}

func newBenchedSide(b *testing.B, s *Server, headers string) *benchedSide {
	b.Helper()
	c := dialServer(b, s)
	return &benchedSide{conn: c, answers: bufio.NewReader(c), headers: headers}
}

// upload sends a file and waits for its answer.
func (s *benchedSide) upload(b *testing.B, file []byte) {
	var request bytes.Buffer
	fmt.Fprintf(&request, "%s %s HTTP/1.1\r\nHost: localhost\r\n%sContent-Type: text/csv\r\nContent-Length: %d\r\n\r\n%s", http.MethodPut, uploadPath, s.headers, len(file), file)
	began := time.Now()
	if _, err := s.conn.Write(request.Bytes()); err != nil {
		b.Fatal(err)
	}
	readAccepted(b, s.answers)
	s.took = append(s.took, time.Since(began))
}

// median returns the median time of an upload.
func (s *benchedSide) median() time.Duration {
	slices.Sort(s.took)
	return s.took[len(s.took)/2]
}
