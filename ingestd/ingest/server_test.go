package ingest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
)

// multipartOf returns the body of an upload.
func multipartOf(file []byte) []byte {
	head := fmt.Sprintf("--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.csv\"\r\n\r\n", boundary)
	return append(append([]byte(head), file...), "\r\n--"+boundary+"--\r\n"...)
}

// beginUpload starts an upload whose body does not end yet, and waits until it is being served.
func beginUpload(t *testing.T, s *Server, sent []byte) net.Conn {
	t.Helper()
	before := s.totals.inFlight.Load()
	c := dialServer(t, s)
	fmt.Fprintf(c, "POST /api/v1/csv/upload HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=%s\r\nTransfer-Encoding: chunked\r\n\r\n", boundary)
	fmt.Fprintf(c, "%x\r\n%s\r\n", len(sent), sent)
	waitFor(t, "upload under way", func() bool { return s.totals.inFlight.Load() > before })
	return c
}

// endUpload sends the rest of a body that beginUpload started, and returns the answer.
func endUpload(t *testing.T, c net.Conn, rest []byte) response {
	t.Helper()
	fmt.Fprintf(c, "%x\r\n%s\r\n0\r\n\r\n", len(rest), rest)
	return readResponse(t, bufio.NewReader(c))
}

func postFile(t testing.TB, s *Server, query string, file []byte) response {
	t.Helper()
	resp, err := http.Post("http://"+s.Addr().String()+"/api/v1/csv/upload"+query, "multipart/form-data; boundary="+boundary, bytes.NewReader(multipartOf(file)))
	if err != nil {
		t.Fatal(err)
	}
	return responseOf(t, resp)
}

func getPath(t *testing.T, s *Server, path string) response {
	t.Helper()
	resp, err := http.Get("http://" + s.Addr().String() + path)
	if err != nil {
		t.Fatal(err)
	}
	return responseOf(t, resp)
}

func TestUploadsBeyondTheBoundAreAnsweredBusy(t *testing.T) {
	t.Parallel()
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{Uploads: 1, QueueTimeout: time.Second}, log, log)
	body := multipartOf(pipelinetest.DCGMFile(10, 2))
	c := beginUpload(t, s, body[:100])
	compareResponse(t, "second upload", postFile(t, s, "", largeFile()), `503
Retry-After: 1
{"success": false, "code": "too_many_uploads", "error": "*"}`)
	compareResponse(t, "first upload", endUpload(t, c, body[100:]), `200
{"success": true, "accepted": 10}`)
	compareResponse(t, "third upload", postFile(t, s, "", largeFile()), `200
{"success": true}`)
}

func TestUploadsBeyondTheBoundWaitForTheirTurn(t *testing.T) {
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{Uploads: 1}, log, log)
	body := multipartOf(pipelinetest.DCGMFile(10, 2))
	first := beginUpload(t, s, body[:100])
	second := make(chan response, 1)
	go func() { second <- postFile(t, s, "", largeFile()) }()
	select {
	case r := <-second:
		t.Fatalf("answered %+v while another upload had the only place", r)
	case <-time.After(100 * time.Millisecond):
	}
	compareResponse(t, "first upload", endUpload(t, first, body[100:]), `200
{"success": true, "accepted": 10}`)
	compareResponse(t, "second upload", <-second, `200
{"success": true}`)
}

func TestTakenPortSaysHowToChangeIt(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	for _, host := range []string{"", "127.0.0.1"} {
		s, err := New(Config{Host: host, Port: Port(port)}, pipelinetest.NewRecorder(), pipelinetest.NewRecorder(), nil)
		if err != nil {
			t.Fatal(err)
		}
		err = s.Run(t.Context())
		for _, want := range []string{fmt.Sprint(port), "is taken", "http.port", "HTTP_PORT"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("host %q: got error %v, want one that names %s", host, err, want)
			}
		}
	}
}

// A client that writes all of its body before it reads must still get the answer that came in the middle of it.
func TestRefusalInTheMiddleOfABodyReachesTheClient(t *testing.T) {
	t.Parallel()
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{MaxUploadSize: 1 << 20}, log, log)
	for range 5 {
		c := dialServer(t, s)
		body := multipartOf(bytes.Repeat([]byte("x"), 12<<20))
		fmt.Fprintf(c, "POST /api/v1/csv/upload HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=%s\r\nContent-Length: %d\r\n\r\n", boundary, len(body))
		if _, err := c.Write(body); err != nil {
			t.Fatalf("sending the body: %v", err)
		}
		compareResponse(t, "too large", readResponse(t, bufio.NewReader(c)), `413
Connection: close
{"success": false, "code": "file_too_large"}`)
	}
}

func TestPanicEndsOneRequestAndKeepsItsSecret(t *testing.T) {
	log := pipelinetest.NewRecorder()
	cases := []struct {
		name   string
		server *Server
		query  string
	}{
		{"in a stage", startServer(t, Config{}, pipelinetest.PanickingLog{Recorder: log}, log), ""},
		{"in the handler", startServer(t, Config{}, log, pipelinetest.PanickingLog{Recorder: log}), "?wait=true"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for range 2 {
				got := postFile(t, c.server, c.query, pipelinetest.DCGMFile(10, 2))
				compareResponse(t, "panic", got, `500
{"success": false, "code": "internal", "error": "/^the server failed on this request; its log says why/"}`)
				if strings.Contains(got.body, "secret") {
					t.Errorf("the answer tells %s", got.body)
				}
			}
			if got := c.server.totals.inFlight.Load(); got != 0 {
				t.Errorf("%d uploads are in flight after the panics, want 0", got)
			}
		})
	}
}

func TestSilentClientIsAnsweredAndLetGo(t *testing.T) {
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{ReadTimeout: 30 * time.Millisecond}, log, log)
	c := beginUpload(t, s, multipartOf(pipelinetest.DCGMFile(10, 2))[:300])
	compareResponse(t, "silent client", readResponse(t, bufio.NewReader(c)), `408
Connection: close
{"success": false, "code": "upload_stalled", "error": "/30ms.*nothing of it was stored/"}`)
}

func TestSlowClientIsAnsweredAndLetGo(t *testing.T) {
	t.Parallel()
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{ReadTimeout: time.Second, MinRate: 1 << 20}, log, log)
	c := beginUpload(t, s, multipartOf(pipelinetest.DCGMFile(1000, 2))[:300])
	go func() { // a byte at a time, never silent for long
		for {
			if _, err := fmt.Fprint(c, "1\r\nx\r\n"); err != nil {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	compareResponse(t, "slow client", readResponse(t, bufio.NewReader(c)), `408
{"success": false, "code": "upload_stalled", "error": "/slower than 1048576 bytes per second/"}`)
}

func TestLongHeaderAndGarbageAreAnsweredInTheEnvelope(t *testing.T) {
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{}, log, log)
	c := dialServer(t, s)
	fmt.Fprintf(c, "GET /health HTTP/1.1\r\nHost: localhost\r\nX-Long: %s\r\n\r\n", strings.Repeat("x", 20<<10))
	compareResponse(t, "long header", readResponse(t, bufio.NewReader(c)), `431
{"success": false, "code": "bad_request", "error": "*"}`)
}

func TestKeepAliveServesUploadAfterUpload(t *testing.T) {
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{}, log, log)
	c := dialServer(t, s)
	r := bufio.NewReader(c)
	for i := range 3 {
		body := multipartOf(pipelinetest.DCGMFile(1+i, 1))
		fmt.Fprintf(c, "POST /api/v1/csv/upload HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=%s\r\nContent-Length: %d\r\n\r\n%s", boundary, len(body), body)
		compareResponse(t, fmt.Sprintf("upload %d", i+1), readResponse(t, r), `200
{"success": true}`)
	}
}

func TestMetricsAndStatusAgree(t *testing.T) {
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{}, log, log)
	reg := prometheus.NewRegistry()
	if err := s.Metrics(reg); err != nil {
		t.Fatal(err)
	}
	postFile(t, s, "", pipelinetest.DCGMFile(10, 2))
	postFile(t, s, "", pipelinetest.DCGMFile(10, 2))
	postFile(t, s, "", []byte("name,age\n"))
	got := gatherMetrics(t, reg)
	want := map[string]float64{
		"ingest_uploads_total 200": 2, "ingest_uploads_total 422": 1, "ingest_uploads_in_flight": 0,
		"ingest_records_total accepted": 10, "ingest_records_total duplicate": 10, "ingest_records_total rejected": 0, "ingest_records_total absent": 0,
		"ingest_upload_seconds 2xx": 2, "ingest_upload_seconds 4xx": 1, "ingest_dialect_rows_total dcgm-long": 20,
		"ingest_bytes_total": float64(2*len(pipelinetest.DCGMFile(10, 2)) + len("name,age\n")),
	}
	for name, value := range want {
		if v, ok := got[name]; !ok || v != value {
			t.Errorf("%s is %v (there: %t), want %v", name, v, ok, value)
		}
	}
	if got["ingest_append_seconds"] < 2 {
		t.Errorf("appends observed: %v, want at least one for each upload", got["ingest_append_seconds"])
	}
	if err := s.Metrics(reg); err == nil {
		t.Error("registering twice gave no error")
	}
}

// gatherMetrics returns the metrics by name and label values: of a histogram, the number of observations.
func gatherMetrics(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				name += " " + l.GetValue()
			}
			all[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return all
}

// metricValue returns one of a server's metrics.
func metricValue(t *testing.T, s *Server, name string) float64 {
	t.Helper()
	reg := prometheus.NewRegistry()
	if err := s.Metrics(reg); err != nil {
		t.Fatal(err)
	}
	v, there := gatherMetrics(t, reg)[name]
	if !there {
		t.Errorf("there is no metric %s", name)
	}
	return v
}

// Older versions take the unread rest of a streamed body for the next request, and minimum version
// selection falls back to one silently when the line in go.mod is lost.
func TestFasthttpIsNewEnough(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Version}}", "github.com/valyala/fasthttp").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var major, minor int
	if _, err := fmt.Sscanf(string(out), "v%d.%d.", &major, &minor); err != nil || major != 1 || minor < 78 {
		t.Errorf("go.mod selects fasthttp %s (%v), want v1.78.0 or newer", out, err)
	}
}

// lockedBuffer is a log handler's output that tests read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *lockedBuffer) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *lockedBuffer) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

func TestLogLineCarriesTheUploadAndTheCause(t *testing.T) {
	var out lockedBuffer
	log := pipelinetest.NewRecorder()
	s := startLogged(t, Config{}, log, log, slog.New(slog.NewTextHandler(&out, nil)))
	log.SetDown(true)
	got := postFile(t, s, "", pipelinetest.DCGMFile(1, 1))
	for _, want := range []string{"upload=" + got.header.Get("X-Request-Id"), pipelinetest.ErrDown.Error(), "status=503"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, &out)
		}
	}
	if strings.Contains(got.body, pipelinetest.ErrDown.Error()) {
		t.Errorf("the answer shows an inner cause: %s", got.body)
	}
}

func TestHeadWithoutAnswerIsNotReady(t *testing.T) {
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{}, log, log)
	log.SetDown(true)
	if err := s.Ready(); !errors.Is(err, pipelinetest.ErrDown) {
		t.Errorf("Ready gave %v, want %v", err, pipelinetest.ErrDown)
	}
}
