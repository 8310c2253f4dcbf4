package ingest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
	"telemetry-pipeline/ingestd/spool"
	"telemetry-pipeline/ingestd/uploads"
)

func TestUploadsAreListedAndFiltered(t *testing.T) {
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{}, log, log)
	var paths []string
	for _, file := range [][]byte{pipelinetest.DCGMFile(1, 1), []byte("buy milk\n"), pipelinetest.DCGMFile(2, 1)} {
		paths = append(paths, postAsync(t, s, "", file))
		awaitFinal(t, s, paths[len(paths)-1])
	}
	id := func(i int) string { return strings.TrimPrefix(paths[i], uploadsPath) }
	compareResponse(t, "all", getPath(t, s, "/api/v1/uploads"), fmt.Sprintf(`200
{"success": true, "count": 3, "total": 3, "data": [{"id": %q, "state": "done", "receipt": null}, {"id": %q, "state": "failed", "error": "*"}, {"id": %q}]}`, id(2), id(1), id(0)))
	compareResponse(t, "some", getPath(t, s, "/api/v1/uploads?state=done,queued&limit=1"), fmt.Sprintf(`200
{"success": true, "count": 1, "total": 2, "data": [{"id": %q}]}`, id(2)))
	for _, query := range []string{"?state=gone", "?limit=0", "?limit=x", "?page=2"} {
		compareResponse(t, query, getPath(t, s, "/api/v1/uploads"+query), `400
{"success": false, "code": "bad_parameter"}`)
	}
}

func TestProgressIsStreamedUntilTheEnd(t *testing.T) {
	t.Parallel()
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{}, log, log)
	release := log.HoldAppends()
	path := postAsync(t, s, "", pipelinetest.DCGMFile(3000, 20))
	resp, err := http.Get("http://" + s.Addr().String() + path + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || got != "text/event-stream" {
		t.Fatalf("the stream is %d %s", resp.StatusCode, got)
	}
	var names []string
	var last uploadView
	id := ""
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		field, value, _ := strings.Cut(lines.Text(), ": ")
		switch field {
		case "id":
			id = value
		case "event":
			names = append(names, value)
		case "data":
			if err := json.Unmarshal([]byte(value), &last); err != nil {
				t.Fatal(err)
			}
			if last.State == uploads.Processing {
				release()
			}
		}
	}
	if n := len(names); n < 2 || names[0] != "progress" || names[n-1] != "done" || last.State != uploads.Done || last.Rows != 3000 {
		t.Errorf("the stream gave %v, at last %+v", names, last)
	}
	for lastID, want := range map[string]int{id: http.StatusNoContent, "": http.StatusOK, "other": http.StatusOK} {
		req, err := http.NewRequest(http.MethodGet, "http://"+s.Addr().String()+path+"/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Last-Event-ID", lastID)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if r := responseOf(t, resp); r.status != want || want == http.StatusOK && strings.Count(r.body, "event: done") != 1 {
			t.Errorf("again after %q: %d %s", lastID, r.status, r.body)
		}
	}
	compareResponse(t, "stream of nothing", getPath(t, s, uploadsPath+"nothing/events"), `404
{"success": false, "code": "unknown_upload"}`)
}

func TestStopEndsStreamsOfProgress(t *testing.T) {
	log, dir := pipelinetest.NewRecorder(), t.TempDir()
	release := log.HoldAppends()
	defer release()
	s, stop := serveUntil(t, Config{Spool: spool.Config{Dir: dir}, DrainTimeout: time.Minute}, log)
	path := postAsync(t, s, "", pipelinetest.DCGMFile(100, 1))
	resp, err := http.Get("http://" + s.Addr().String() + path + "/events")
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	stop()
	if r := responseOf(t, resp); !strings.Contains(r.body, "event: progress") {
		t.Errorf("the stream gave %s", r.body)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("stopping took %s", took)
	}
}

// heldLog is a log to which nothing is appended while it is held.
type heldLog struct {
	*eventlog.Log
	held atomic.Bool
}

func (l *heldLog) Append(ctx context.Context, evs []events.Event) ([]eventlog.Appended, error) {
	if l.held.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return l.Log.Append(ctx, evs)
}

// Two servers with a spool each share the states of uploads: a request to either has the same answer.
func TestEveryServerReportsEveryUpload(t *testing.T) {
	t.Parallel()
	server := eventstest.NewServer(t, nil)
	store := server.Config(t)
	log := &heldLog{Log: eventstest.OpenLog(t, store)}
	folded := pipelinetest.NewRecorder()
	one := startServer(t, Config{AppendTimeout: 500 * time.Millisecond, States: uploads.New(server.Client(t), store, nil)}, log, folded)
	two := startServer(t, Config{AppendTimeout: 500 * time.Millisecond, States: uploads.New(server.Client(t), store, nil)}, log, folded)
	path := postAsync(t, one, "", pipelinetest.DCGMFile(500, 5))
	if u := awaitFinal(t, two, path); u.State != uploads.Done || receiptOf(t, u).RecordCount != 500 { // a slow etcd makes it repeat the upload
		t.Errorf("the other server tells of %+v", u)
	}
	compareResponse(t, "the other server's list", getPath(t, two, "/api/v1/uploads"), `200
{"success": true, "count": 1}`)

	server.Stop()
	log.held.Store(true) // so that the upload does not end before it is cancelled
	held := postAsync(t, one, "", pipelinetest.DCGMFile(600, 5))
	waitFor(t, "it waits for etcd", func() bool { return stateOf(t, one, held).Waiting != "" })
	server.Start(t)
	waitFor(t, "the other server knows of it", func() bool { return getPath(t, two, held).status == http.StatusOK })
	compareResponse(t, "cancelled by way of the other server", deleteUpload(t, two, held), `200
{"success": true, "data": {"state": "cancelled"}}`)
	if u := stateOf(t, one, held); u.State != uploads.Cancelled {
		t.Errorf("its own server tells of %+v", u)
	}
}
