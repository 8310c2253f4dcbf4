package ingest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
)

// A client whose connection is cut anywhere (in the header, in the file, after its last byte, before the answer) and
// that then sends the file again ends with exactly the file's records. Now and then the log loses answers, too.
func TestUploadCutAnywhereAndSentAgainLeavesExactlyTheFile(t *testing.T) {
	t.Parallel()
	file := pipelinetest.DCGMFile(4000, 7)
	form := multipartOf(file)
	for kind, body := range map[string][]byte{"multipart/form-data; boundary=" + boundary: form, "text/csv": file} {
		request := fmt.Appendf(nil, "POST /api/v1/csv/upload HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", kind, len(body))
		t.Run(kind, func(t *testing.T) { cutAnywhere(t, file, append(request, body...), len(request)) })
	}
}

// cutAnywhere sends a request with a file, cut at many places, and each time all of the file after it. head is where the
// request's body begins.
func cutAnywhere(t *testing.T, file, request []byte, head int) {
	whole := pipelinetest.NewRecorder()
	ingestFile(t, whole, file)
	want := whole.StoredEvents(t)
	rng := rand.New(rand.NewPCG(3, 14))
	cuts := []int{0, 1, head - 1, head, head + 50, len(request) - 1, len(request)}
	for range 12 {
		cuts = append(cuts, rng.IntN(len(request)))
	}
	for i, at := range cuts {
		log := pipelinetest.NewRecorder()
		flaky := &answerLosingLog{Recorder: log, rng: rand.New(rand.NewPCG(uint64(i), 1)), often: i % 3}
		s := startServer(t, Config{}, flaky, log)
		c := dialServer(t, s).(*net.TCPConn)
		if _, err := c.Write(request[:at]); err != nil {
			t.Fatalf("cut at %d: %v", at, err)
		}
		if i%2 == 0 {
			_ = c.SetLinger(0) // an unclean end
		}
		c.Close()
		if i%5 > 0 { // else the repeat overtakes the rest of the first
			waitFor(t, "the server is done with it", func() bool { return s.totals.inFlight.Load() == 0 })
		}
		answer := postFile(t, s, "", file)
		for tries := 0; answer.status == http.StatusServiceUnavailable && tries < 50; tries++ {
			answer = postFile(t, s, "", file)
		}
		if answer.status != http.StatusOK || !strings.Contains(answer.body, `"record_count":4000`) {
			t.Fatalf("cut at %d, sent again: %d %s", at, answer.status, answer.body)
		}
		if diff := cmp.Diff(want, log.StoredEvents(t)); diff != "" {
			t.Fatalf("cut at %d of %d, sent again: the log is not the file (-want +got):\n%s", at, len(request), diff)
		}
	}
}

// A cut is an error wherever it is: a last row that it makes shorter could be a wrong reading.
func TestBodiesThatEndTooEarlyAreErrors(t *testing.T) {
	for _, rows := range []int{10, 100, 1000, 5000} {
		file := []byte("timestamp,hostname,gpu_id,temperature_c\n")
		for i := range rows {
			file = fmt.Appendf(file, "2025-07-18T20:%02d:%02dZ,host-1,0,41\n", i/60%60, i%60)
		}
		for _, cut := range []int{1, 2, len(file) / 2} { // behind the last row, in its reading, anywhere
			for _, chunked := range []bool{false, true} {
				log := pipelinetest.NewRecorder()
				s := startServer(t, Config{}, log, log)
				r := request{head: "PUT /api/v1/csv/upload", headers: []string{"Content-Type: text/csv"}, body: file, cut: cut, chunked: chunked}
				compareResponse(t, fmt.Sprintf("%d rows without %d bytes, chunked %v", rows, cut, chunked), r.sendRequest(t, s.Addr().String()), `400
{"success": false, "code": "truncated_body"}`)
				for _, e := range log.StoredEvents(t) {
					for _, c := range e.Columns {
						for _, v := range c.All() {
							if v.Number.Mantissa != 41 {
								t.Fatalf("%d rows without %d bytes, chunked %v: a reading is %+v", rows, cut, chunked, v)
							}
						}
					}
				}
			}
		}
	}
}

// answerLosingLog is a log that takes events and now and then reports a failure all the same.
type answerLosingLog struct {
	*pipelinetest.Recorder
	often int // of eight appends

	mu  sync.Mutex // guards rng
	rng *rand.Rand
}

func (f *answerLosingLog) Append(ctx context.Context, evs []events.Event) ([]eventlog.Appended, error) {
	results, err := f.Recorder.Append(ctx, evs)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil && f.rng.IntN(8) < f.often {
		return nil, errors.New("the answer was lost")
	}
	return results, err
}

// A client that sends its header a byte at a time costs one connection, and that only for a while.
func TestHeaderThatNeverEndsIsLetGo(t *testing.T) {
	t.Parallel()
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{HeaderTimeout: 2 * time.Second}, log, log)
	c := dialServer(t, s)
	began := time.Now()
	go func() {
		for {
			if _, err := fmt.Fprint(c, "G"); err != nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	compareResponse(t, "another client meanwhile", postFile(t, s, "", pipelinetest.DCGMFile(10, 2)), `200
{"success": true}`)
	_, err := io.Copy(io.Discard, c)
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		t.Errorf("the connection was still open after %s", time.Since(began))
	}
}

// A bounded number of connections is served, the others are answered at once, and after the flood all is as before.
func TestFloodOfConnectionsIsBoundedAndPasses(t *testing.T) {
	cases := []struct {
		name   string
		cfg    Config
		status int
	}{
		{"in all", Config{Connections: 8}, http.StatusServiceUnavailable},
		{"of one address", Config{ConnectionsPerIP: 8}, http.StatusTooManyRequests},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			log := pipelinetest.NewRecorder()
			s := startServer(t, c.cfg, log, log)
			served := dialServer(t, s)
			fmt.Fprint(served, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
			answers := bufio.NewReader(served)
			if got := readResponse(t, answers); got.status != http.StatusOK {
				t.Fatalf("the first connection: %+v", got)
			}
			var crowd []net.Conn
			for range 100 {
				crowd = append(crowd, dialServer(t, s))
			}
			var answered atomic.Int64
			for _, conn := range crowd {
				go func() { // the accepted ones are not answered until the flood ends
					if line, err := bufio.NewReader(conn).ReadString('\n'); err == nil && strings.Contains(line, fmt.Sprint(c.status)) {
						answered.Add(1)
					}
				}()
			}
			waitFor(t, "all but 8 of 100 are refused", func() bool { return answered.Load() >= 92 })
			fmt.Fprint(served, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
			if got := readResponse(t, answers); got.status != http.StatusOK {
				t.Errorf("who was there before the crowd: %+v", got)
			}
			for _, conn := range crowd {
				conn.Close()
			}
			waitFor(t, "uploads are taken as before", func() bool {
				conn, err := net.Dial("tcp", s.Addr().String())
				if err != nil {
					return false
				}
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(testTimeout))
				fmt.Fprint(conn, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
				resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
				return err == nil && resp.StatusCode == http.StatusOK
			})
			compareResponse(t, "an upload after the crowd", postFile(t, s, "", pipelinetest.DCGMFile(10, 2)), `200
{"success": true, "accepted": 10}`)
		})
	}
}
