package deploy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
)

// logLine is a line of a daemon's log.
type logLine struct {
	Msg, Level, Process, Upload, Key, Route string
	Status                                  int
	Revision                                int64
	Request                                 string `json:"request_id"`
	Correlation                             string `json:"correlation_id"`
}

// lines returns the lines of a process's log that right selects. Each line is JSON.
func (p *process) lines(right func(l *logLine) bool) []logLine {
	p.t.Helper()
	text, err := os.ReadFile(p.log)
	if err != nil {
		p.t.Fatal(err)
	}
	text = text[:bytes.LastIndexByte(text, '\n')+1] // the last line may be incomplete
	var found []logLine
	for line := range bytes.Lines(text) {
		var l logLine
		if err := json.Unmarshal(line, &l); err != nil {
			p.t.Fatalf("%s wrote a line that is not JSON: %v: %s", p.name, err, line)
		}
		if l.Process == "" || l.Level == "" {
			p.t.Fatalf("%s wrote a line without process or level: %s", p.name, line)
		}
		if right(&l) {
			found = append(found, l)
		}
	}
	return found
}

// await waits until a process has written a line that right selects, and returns the first one.
func (p *process) await(what string, right func(l *logLine) bool) logLine {
	p.t.Helper()
	var found []logLine
	eventually(p.t, "line of "+p.name+" about "+what, func() (bool, string) {
		found = p.lines(right)
		return len(found) > 0, ""
	})
	return found[0]
}

// TestOneUploadIsFollowedThroughTheLogs follows an upload by its id from the request to the push, in the logs of three daemons at level DEBUG.
func TestOneUploadIsFollowedThroughTheLogs(t *testing.T) {
	t.Parallel()
	port := freePorts(t, 7)
	loopback := func(i int) string { return "http://127.0.0.1:" + port[i] }
	launchEtcd(t, loopback(0), loopback(1))
	env := func(admin int, more ...string) []string {
		return append(more, "LOG_LEVEL=DEBUG", "ADMIN_PORT="+port[admin], "ETCD_ENDPOINTS="+loopback(0))
	}
	collectd := launch(t, "collectd", "collectd", env(2, "PARTITION_DATA_DIR="+t.TempDir()))
	ingestd := launch(t, "ingestd", "ingestd", env(3, "HTTP_PORT="+port[4], "UPLOAD_DIR="+t.TempDir()))
	queryd := launch(t, "queryd", "queryd", env(5, "PORT="+port[6]))
	for _, admin := range []int{2, 3, 5} {
		isReady(t, loopback(admin))
	}
	subscribeToAll(t, "ws://127.0.0.1:"+port[6]+"/ws")

	const request, correlation = "request-7", "chain.8"
	header := http.Header{"Content-Type": {"text/csv"}, "X-Request-Id": {request}, "X-Correlation-Id": {correlation}}
	answered, text := exchangeWith(t, http.MethodPut, loopback(4)+"/api/v1/csv/upload/export.csv?wait=true", header, readingsFile(1))
	var receipt struct {
		UploadID string `json:"file_id"`
	}
	if err := json.Unmarshal([]byte(text), &receipt); err != nil || receipt.UploadID == "" || answered.Get("X-Request-Id") != request || answered.Get("X-Correlation-Id") != correlation {
		t.Fatalf("upload: %v %v %s", err, answered, text)
	}
	ofUpload := func(msg string) func(*logLine) bool {
		return func(l *logLine) bool { return l.Msg == msg && strings.HasPrefix(l.Upload, receipt.UploadID) }
	}
	for _, msg := range []string{"upload", "audit"} {
		if l := ingestd.await(msg, ofUpload(msg)); l.Request != request || l.Status != http.StatusOK {
			t.Errorf("line %q has the request %q and status %d", msg, l.Request, l.Status)
		}
	}
	if l := ingestd.await("the answer", func(l *logLine) bool { return l.Msg == "answered" && l.Request == request }); l.Correlation != correlation {
		t.Errorf("the line of the answer has the correlation id %q", l.Correlation)
	}
	folded := collectd.await("the fold", ofUpload("folded"))
	if folded.Key == "" || folded.Revision == 0 {
		t.Errorf("the line of the fold names the key %q and revision %d", folded.Key, folded.Revision)
	}
	queryd.await("the view", ofUpload("view changed"))
	changed := func() (revisions []int64) {
		for _, l := range queryd.lines(ofUpload("view changed")) {
			revisions = append(revisions, l.Revision)
		}
		return revisions
	}
	queryd.await("the push", func(l *logLine) bool { return l.Msg == "pushed" && slices.Contains(changed(), l.Revision) })

	for name, p := range map[string]*process{loopback(4): ingestd, loopback(6): queryd} {
		checkRequestIDs(t, p, name)
	}
}

// subscribeToAll follows every GPU until the test ends.
func subscribeToAll(t *testing.T, address string) {
	t.Helper()
	dialer := websocket.Dialer{HandshakeTimeout: time.Minute, Subprotocols: []string{"gpu.live.v1"}}
	ws, _, err := dialer.DialContext(t.Context(), address, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.Close() })
	if err := ws.WriteMessage(websocket.TextMessage, []byte(`{"op":"sub","id":"s","mode":"events"}`)); err != nil {
		t.Fatal(err)
	}
	for {
		_, frame, err := ws.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(frame, []byte("synced")) {
			break
		}
	}
	go func() {
		for {
			if _, _, err := ws.ReadMessage(); err != nil {
				return // the test has ended
			}
		}
	}()
}

// checkRequestIDs checks that the lines of requests with an id of the client, with none and with bad ones have the id that is answered.
func checkRequestIDs(t *testing.T, p *process, base string) {
	t.Helper()
	for i, sent := range []string{"", "own-id", "with space", strings.Repeat("x", 200), `"},{"msg":"forged"`} {
		header := http.Header{}
		if sent != "" {
			header.Set("X-Request-ID", sent)
		}
		answered, _ := exchangeWith(t, http.MethodGet, fmt.Sprintf("%s/nothing/%d", base, i), header, nil)
		id := answered.Get("X-Request-ID")
		if id == "" || (id == sent) != (sent == "own-id") {
			t.Errorf("%s: the id %q was answered with %q", p.name, sent, id)
		}
		if l := p.await("request "+id, func(l *logLine) bool { return l.Msg == "answered" && l.Request == id }); l.Status != http.StatusNotFound {
			t.Errorf("%s: the line of the request is %+v", p.name, l)
		}
	}
	if found := p.lines(func(l *logLine) bool { return l.Msg == "forged" }); len(found) > 0 {
		t.Errorf("%s: a client wrote a line of its own: %+v", p.name, found)
	}
}

// exchangeWith sends a request and returns the header and the body of its answer.
func exchangeWith(t *testing.T, method, address string, header http.Header, body []byte) (http.Header, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	resp, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.Header, string(text)
}
