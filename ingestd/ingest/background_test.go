package ingest

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
	"telemetry-pipeline/ingestd/spool"
	"telemetry-pipeline/ingestd/uploads"
)

// A server that stops in the middle leaves the upload to the next one, which ends with the same log.
func TestTheNextServerGoesOn(t *testing.T) {
	log, dir := pipelinetest.NewRecorder(), t.TempDir()
	file := pipelinetest.DCGMFile(3000, 20)
	cfg := Config{Spool: spool.Config{Dir: dir}, Zone: "+05:00", Background: 1}
	release := log.HoldAppends()
	first, stop := serveUntil(t, cfg, log)
	path, waiting := postAsync(t, first, "", file), postAsync(t, first, "&strict=true", file)
	waitFor(t, "it is being processed", func() bool { return stateOf(t, first, path).Rows > 0 })
	if u := stateOf(t, first, waiting); u.State != uploads.Queued {
		t.Errorf("the second upload is %+v, want it to wait for its turn", u)
	}
	stop()
	release()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Fatalf("the upload directory has %v, %v", entries, err)
	}
	cfg.Zone = "UTC"
	second := startServer(t, cfg, log, log)
	for _, p := range []string{path, waiting} {
		awaitKnown(t, second, p)
		if u := awaitFinal(t, second, p); u.State != uploads.Done || receiptOf(t, u).RecordCount != 3000 {
			t.Errorf("upload is %+v", u)
		}
	}
	expectEmpty(t, dir)
	if diff := cmp.Diff(storedBy(t, file), log.StoredEvents(t)); diff != "" {
		t.Errorf("the log differs from that of a plain upload (-plain +async):\n%s", diff)
	}
}

// awaitKnown waits until a server knows of an upload of an earlier one, which it does shortly after it has begun to
// listen: these servers have no etcd, where they would find its state before that.
func awaitKnown(t *testing.T, s *Server, path string) {
	t.Helper()
	waitFor(t, path+" is known", func() bool { return getPath(t, s, path).status == http.StatusOK })
}

// serveUntil runs a server until stop is called.
func serveUntil(t *testing.T, cfg Config, log *pipelinetest.Recorder) (s *Server, stop func()) {
	t.Helper()
	cfg.Host, cfg.Port = "127.0.0.1", FreePort
	s, err := New(cfg, log, log, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	waitFor(t, "listening", func() bool { return s.Addr() != nil })
	return s, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

func TestTemporaryFailureIsRetried(t *testing.T) {
	t.Parallel()
	log, dir := pipelinetest.NewRecorder(), t.TempDir()
	s := startServer(t, Config{Spool: spool.Config{Dir: dir}}, log, log)
	log.SetDown(true)
	file := pipelinetest.DCGMFile(500, 5)
	path := postAsync(t, s, "", file)
	waitFor(t, "it waits and says why", func() bool {
		u := stateOf(t, s, path)
		return u.State == uploads.Queued && strings.Contains(u.Waiting, "etcd") && u.RetryAt.After(time.Now())
	})
	log.SetDown(false)
	u := awaitFinal(t, s, path)
	r := receiptOf(t, u)
	if u.State != uploads.Done || u.Attempts < 2 || u.Waiting != "" || r.RecordCount != 500 || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "attempt 2") {
		t.Errorf("upload is %+v with %+v", u, r)
	}
	expectEmpty(t, dir)
}

// spoolUpload spools an upload as a server of the log with that name would.
func spoolUpload(t *testing.T, dir string, id events.UploadID, log string, file []byte) {
	t.Helper()
	room, err := spool.Open(spool.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer room.Close()
	d, err := room.BeginDraft(id, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.AddFile(spool.File{Name: "f.csv"}, bytes.NewReader(file)); err != nil {
		t.Fatal(err)
	}
	e, err := d.Commit(spool.Manifest{ID: id, Log: log, ReceivedAt: time.Date(2025, 7, 18, 21, 0, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	if id == "deadly" {
		for range 5 { // as many processes as may end in the middle of it
			if _, err := e.BeginRun(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestUploadsFoundInTheUploadDirectory(t *testing.T) {
	log, dir := pipelinetest.NewRecorder(), t.TempDir()
	spoolUpload(t, dir, "ours", "memory", pipelinetest.DCGMFile(10, 1))
	spoolUpload(t, dir, "damaged", "memory", pipelinetest.DCGMFile(10, 1))
	spoolUpload(t, dir, "deadly", "memory", pipelinetest.DCGMFile(10, 1))
	spoolUpload(t, dir, "theirs", "another", pipelinetest.DCGMFile(10, 1))
	if err := os.Truncate(filepath.Join(dir, "upload-damaged", "0"), 10); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, Config{Spool: spool.Config{Dir: dir}}, log, log)
	for id, want := range map[string]struct {
		state uploads.State
		code  string
	}{"ours": {uploads.Done, ""}, "damaged": {uploads.Failed, answer.CodeSpoolDamaged}, "deadly": {uploads.Failed, answer.CodeServerDied}} {
		awaitKnown(t, s, uploadsPath+id)
		if u := awaitFinal(t, s, uploadsPath+id); u.State != want.state || u.Code != want.code {
			t.Errorf("%s is %+v, want %+v", id, u, want)
		}
	}
	waitFor(t, "only what is another log's is left", func() bool {
		left, err := os.ReadDir(dir)
		return err == nil && len(left) == 1 && left[0].Name() == "upload-theirs"
	})
	compareResponse(t, "another log's upload", getPath(t, s, uploadsPath+"theirs"), "404")
}
