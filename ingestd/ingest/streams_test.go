package ingest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/intake"
	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
)

// openStream begins a live stream, as curl -T - does.
func openStream(t *testing.T, s *Server) *liveStream {
	t.Helper()
	c := dialServer(t, s)
	fmt.Fprint(c, "PUT /api/v1/csv/upload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
	return &liveStream{c}
}

type liveStream struct{ net.Conn }

func (l *liveStream) sendText(t *testing.T, text string) {
	t.Helper()
	if _, err := fmt.Fprintf(l, "%x\r\n%s\r\n", len(text), text); err != nil {
		t.Fatal(err)
	}
}

func (l *liveStream) endStream(t *testing.T) response {
	t.Helper()
	if _, err := fmt.Fprint(l, "0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	return readResponse(t, bufio.NewReader(l))
}

func recordsIn(t *testing.T, log *pipelinetest.Recorder) (n, evs int) {
	t.Helper()
	for _, e := range log.StoredEvents(t) {
		n += e.Records()
		evs++
	}
	return n, evs
}

func awaitRecords(t *testing.T, log *pipelinetest.Recorder, want int) {
	t.Helper()
	waitFor(t, fmt.Sprintf("%d records in the log", want), func() bool {
		n, _ := recordsIn(t, log)
		return n >= want
	})
}

// fileRows returns the rows from one number to another of the file that pipelinetest.DCGMFile makes.
func fileRows(from, to int) string {
	all := strings.SplitAfter(string(pipelinetest.DCGMFile(to, 1)), "\n")
	return strings.Join(all[1+from:1+to], "")
}

func TestRowsOfALiveStreamAreInTheLogWhileItGoesOn(t *testing.T) {
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{Streams: intake.Streams{Interval: 50 * time.Millisecond}}, log, log)
	l := openStream(t, s)
	l.sendText(t, pipelinetest.DCGMHeader+fileRows(0, 3))
	awaitRecords(t, log, 3)
	half := fileRows(3, 4)
	l.sendText(t, half[:20])
	l.sendText(t, half[20:]+fileRows(4, 5))
	awaitRecords(t, log, 5)
	l.sendText(t, fileRows(5, 6))
	compareResponse(t, "the end", l.endStream(t), `200
{"success": true, "accepted": 6, "record_count": 6, "dialect": "dcgm-long", "content_hash": "*"}`)
}

func TestALiveStreamIsCutWhenItsSenderPausesBehindABatch(t *testing.T) {
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{Streams: intake.Streams{Interval: time.Hour, BatchSize: 10}}, log, log)
	l := openStream(t, s)
	l.sendText(t, pipelinetest.DCGMHeader+fileRows(0, 10))
	awaitRecords(t, log, 10)
	l.sendText(t, fileRows(10, 19))
	compareResponse(t, "the end", l.endStream(t), `200
{"success": true, "accepted": 19, "events": {"appended": 2}}`)
}

// A whole file that comes in chunks is cut as any file.
func TestAFileThatComesAsAStreamIsNotCutSmall(t *testing.T) {
	file := pipelinetest.DCGMFile(200_000, 4)
	log := pipelinetest.NewRecorderOf(events.CutRules{})
	s := startServer(t, Config{Streams: intake.Streams{Interval: 100 * time.Millisecond}}, log, log)
	answer := putBody(t, s, "", io.MultiReader(bytes.NewReader(file))) // no length
	compareResponse(t, "the stream", answer, `200
{"success": true, "accepted": 200000}`)
	if _, n := recordsIn(t, log); n > 200 { // each time that this process does not run for 10 ms adds 4
		t.Errorf("200,000 rows gave %d events, want about the 100 of any file", n)
	}
}

// awaitUnderWay waits until the server has one upload.
func awaitUnderWay(t *testing.T, s *Server) {
	t.Helper()
	waitFor(t, "the upload is under way", func() bool { return s.totals.inFlight.Load() == 1 })
}

// An early end of a stream leaves all its complete rows in the log, and an answer that says so.
func TestEndsOfALiveStream(t *testing.T) {
	cases := []struct {
		name string
		cfg  Config
		end  func(t *testing.T, s *Server, l *liveStream)
		want string
	}{
		{"silence", Config{Streams: intake.Streams{Idle: 100 * time.Millisecond}}, func(*testing.T, *Server, *liveStream) {}, `408
{"code": "upload_stalled", "error": "/nothing of the stream.*3 of its records are stored/", "status": "partial", "accepted": 3}`},
		{"too long", Config{Streams: intake.Streams{Size: 1000}}, func(t *testing.T, s *Server, l *liveStream) {
			awaitUnderWay(t, s)
			l.sendText(t, strings.Repeat("x", 1000))
		}, `413
{"code": "file_too_large", "error": "/ingest.stream-size/", "accepted": 3}`},
		{"the connection half closed", Config{}, func(t *testing.T, s *Server, l *liveStream) {
			awaitUnderWay(t, s)
			if err := l.Conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
		}, `400
{"code": "truncated_body", "accepted": 3}`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			log := pipelinetest.NewRecorder()
			s := startServer(t, c.cfg, log, log)
			l := openStream(t, s)
			l.sendText(t, pipelinetest.DCGMHeader+fileRows(0, 3)+"half a line")
			c.end(t, s, l)
			compareResponse(t, "answer", readResponse(t, bufio.NewReader(l)), c.want)
			if n, _ := recordsIn(t, log); n != 3 {
				t.Errorf("%d records are stored, want 3", n)
			}
		})
	}
}

// A stop does not wait for streams, which would never end by themselves.
func TestStopEndsLiveStreamsWithWhatWasStored(t *testing.T) {
	t.Parallel()
	log := pipelinetest.NewRecorder()
	s, err := New(Config{Host: "127.0.0.1", Port: FreePort, DrainTimeout: time.Minute}, log, log, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	waitFor(t, "ready", func() bool { return s.Ready() == nil })
	l := openStream(t, s)
	l.sendText(t, pipelinetest.DCGMHeader+fileRows(0, 3))
	awaitRecords(t, log, 3)
	l.sendText(t, fileRows(3, 5))
	cancel()
	got := readResponse(t, bufio.NewReader(l))
	compareResponse(t, "the stream", got, `503
Retry-After: 5
{"code": "stopping", "status": "partial", "error": "/are stored already/"}`)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Streams have slots of their own: with any number of them open, files are taken.
func TestLiveStreamsKeepNoPlaceOfAnUpload(t *testing.T) {
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{Uploads: 1, QueueTimeout: 50 * time.Millisecond, Streams: intake.Streams{MaxStreams: 2}}, log, log)
	var open []*liveStream
	for range 2 {
		l := openStream(t, s)
		l.sendText(t, pipelinetest.DCGMHeader)
		open = append(open, l)
	}
	waitFor(t, "both are served", func() bool { return s.totals.inFlight.Load() == 2 })
	compareResponse(t, "a file", postFile(t, s, "", pipelinetest.DCGMFile(3, 1)), `200
{"success": true}`)
	third := openStream(t, s)
	compareResponse(t, "a third stream", readResponse(t, bufio.NewReader(third)), `503
Retry-After: 1
{"code": "too_many_uploads", "error": "/live streams/"}`)
	for _, l := range open {
		l.sendText(t, fileRows(0, 1))
		compareResponse(t, "the end", l.endStream(t), `200
{"success": true}`)
	}
}

// A stage that fails ends the stream, though its sender says nothing.
func TestRefusedLiveStreamIsAnsweredAtOnce(t *testing.T) {
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{}, log, log)
	l := openStream(t, s)
	l.sendText(t, "buy milk\n")
	compareResponse(t, "no telemetry", readResponse(t, bufio.NewReader(l)), `422
Connection: close
{"code": "not_telemetry"}`)
	log.SetDown(true)
	l = openStream(t, s)
	l.sendText(t, pipelinetest.DCGMHeader+fileRows(0, 200))
	compareResponse(t, "log down", readResponse(t, bufio.NewReader(l)), `503
Retry-After: 5
{"code": "log_unavailable"}`)
}

func TestClientsAboveTheirRateAreAnsweredRetryAfter(t *testing.T) {
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{Rates: Rates{PerSecond: 0.01, Burst: 2}}, log, log)
	send := func(token string) response {
		return putBody(t, s, "", bytes.NewReader(pipelinetest.DCGMFile(1, 1)), "Authorization: "+token)
	}
	compareResponse(t, "first", send(""), `200
RateLimit-Limit: 2
RateLimit-Remaining: 1
RateLimit-Reset: 100
{"success": true}`)
	compareResponse(t, "second", send(""), `200
RateLimit-Remaining: 0
{"success": true}`)
	compareResponse(t, "third", send(""), `429
Retry-After: /^(100|[6-9][0-9])$/
RateLimit-Limit: 2
RateLimit-Remaining: 0
RateLimit-Reset: /^(200|1[6-9][0-9])$/
{"success": false, "code": "too_many_requests", "error": "/0.01 uploads per second/"}`)
	for range 20 { // nobody verified these
		compareResponse(t, "a token made up", send("Bearer "+rand.Text()), `429
{"success": false, "code": "too_many_requests"}`)
	}
	unbound := startServer(t, Config{Rates: Rates{PerSecond: -1}}, log, log)
	compareResponse(t, "no bound", putBody(t, unbound, "", bytes.NewReader(pipelinetest.DCGMFile(1, 1))), `200
RateLimit-Limit:
{"success": true}`)
}

func TestLimiterForgetsTheOldestClients(t *testing.T) {
	l := newClientLimiter(Rates{PerSecond: 0.001, Burst: 1, Clients: 2}.withDefaults())
	now := time.Unix(1e9, 0)
	for _, step := range []struct {
		client string
		passes bool
	}{{"a", true}, {"a", false}, {"b", true}, {"a", false}, {"c", true}, {"a", false}, {"b", true}} {
		if _, _, wait := l.allowUpload(step.client, now); (wait == 0) != step.passes {
			t.Errorf("client %s: waits %s, want that it passes: %t", step.client, wait, step.passes)
		}
	}
}

func TestExpectIsAnsweredBeforeTheBody(t *testing.T) {
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{MaxUploadSize: 1000}, log, log)
	asking := func(s *Server, header string) response {
		c := dialServer(t, s)
		fmt.Fprintf(c, "PUT /api/v1/csv/upload HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n%s\r\n\r\n", header)
		return readResponse(t, bufio.NewReader(c))
	}
	ask := func(header string) response { return asking(s, header) }
	seldom := startServer(t, Config{Rates: Rates{PerSecond: 0.01, Burst: 1}}, log, log)
	for _, want := range []int{http.StatusContinue, http.StatusContinue} { // asking alone does not count
		if got := asking(seldom, "Content-Length: 10"); got.status != want {
			t.Errorf("a client that may: got %d, want %d", got.status, want)
		}
	}
	compareResponse(t, "the one that may come", putBody(t, seldom, "", bytes.NewReader(pipelinetest.DCGMFile(1, 1))), `200
{"success": true}`)
	compareResponse(t, "too often", asking(seldom, "Content-Length: 10"), `429
Retry-After: /^(100|[6-9][0-9])$/
{"code": "too_many_requests"}`)
	compareResponse(t, "too large", ask("Content-Length: 100000"), `413
Connection: close
Content-Type: application/json
{"success": false, "code": "file_too_large"}`)
	compareResponse(t, "an image", ask("Content-Type: image/png\r\nContent-Length: 10"), `415
{"code": "unsupported_content_type"}`)
	if got := ask("Content-Length: 10"); got.status != http.StatusContinue {
		t.Errorf("got %d, want 100", got.status)
	}
}

// TestExpectIsAnsweredAsTheUploadWouldBe: clients that ask first were refused dry runs and uploads in the background while
// etcd is full, which those that do not ask were not; and sent whole files for a parameter that is wrong.
func TestExpectIsAnsweredAsTheUploadWouldBe(t *testing.T) {
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{}, log, log)
	setCapacity(s, log, capacityOf(80, 85), nil)
	for query, want := range map[string]int{
		"": http.StatusServiceUnavailable, "?dry_run=true": http.StatusContinue, "?async=true": http.StatusContinue,
		"?tz=Mars": http.StatusBadRequest, "?dry_run=true&colour=red": http.StatusBadRequest,
	} {
		c := dialServer(t, s)
		fmt.Fprintf(c, "PUT /api/v1/csv/upload%s HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n", query)
		if got := readResponse(t, bufio.NewReader(c)); got.status != want {
			t.Errorf("%q: got %d, want %d", query, got.status, want)
		}
	}
}
