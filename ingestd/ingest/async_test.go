package ingest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
	"telemetry-pipeline/ingestd/spool"
	"telemetry-pipeline/ingestd/uploads"
)

// postAsync sends a file to be processed in the background, and returns the upload's path.
func postAsync(t *testing.T, s *Server, query string, file []byte) (path string) {
	t.Helper()
	got := postFile(t, s, "?async=true"+query, file)
	path = got.header.Get("Location")
	compareResponse(t, "async upload", got, `202
Location: /^/api/v1/uploads/[0-9a-f-]{36}$/
X-Request-ID: `+strings.TrimPrefix(path, uploadsPath)+`
{"success": true, "id": "`+strings.TrimPrefix(path, uploadsPath)+`", "data": {"kind": "async", "total_bytes": `+fmt.Sprint(len(file))+`}}`)
	return path
}

// stateOf returns the state of an upload.
func stateOf(t *testing.T, s *Server, path string) uploadView {
	t.Helper()
	r := getPath(t, s, path)
	var answer uploadResponse
	if err := json.Unmarshal([]byte(r.body), &answer); err != nil || r.status != http.StatusOK || !answer.Success {
		t.Fatalf("GET %s: %d %s (%v)", path, r.status, r.body, err)
	}
	return answer.Data
}

// awaitFinal waits until an upload has ended.
func awaitFinal(t *testing.T, s *Server, path string) (u uploadView) {
	t.Helper()
	waitFor(t, path+" ends", func() bool {
		u = stateOf(t, s, path)
		return u.State.Final()
	})
	return u
}

func receiptOf(t *testing.T, u uploadView) (r answer.Receipt) {
	t.Helper()
	if err := json.Unmarshal(u.Receipt, &r); err != nil {
		t.Fatalf("receipt %s: %v", u.Receipt, err)
	}
	return r
}

// expectEmpty waits until nothing is left in a directory: a file is removed after its upload's state is known.
func expectEmpty(t *testing.T, dir string) {
	t.Helper()
	waitFor(t, "the upload directory is empty", func() bool {
		left, err := os.ReadDir(dir)
		return err == nil && len(left) == 0
	})
}

// storedBy returns the events in the log after files were sent without any parameter.
func storedBy(t *testing.T, files ...[]byte) map[string]events.Event {
	t.Helper()
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{}, log, log)
	for _, file := range files {
		if r := postFile(t, s, "", file); r.status != http.StatusOK {
			t.Fatalf("plain upload: %d %s", r.status, r.body)
		}
	}
	return log.StoredEvents(t)
}

func TestAsyncUploadsBecomeWhatPlainOnesDo(t *testing.T) {
	log, dir := pipelinetest.NewRecorder(), t.TempDir()
	s := startServer(t, Config{Spool: spool.Config{Dir: dir}}, log, log)
	file := pipelinetest.DCGMFile(1000, 20)
	for n, query := range []string{"", "&strict=true", "&wait=true"} {
		u := awaitFinal(t, s, postAsync(t, s, query, file))
		if u.State != uploads.Done || u.Rows != 1000 || u.Bytes != int64(len(file)) || u.Attempts != 1 || u.Error != "" {
			t.Errorf("%q: upload is %+v", query, u)
		}
		r := receiptOf(t, u)
		want := []int64{1000, 0}
		if n > 0 {
			want = []int64{0, 1000}
		}
		if got := []int64{r.Accepted, r.Duplicate}; !cmp.Equal(got, want) || r.FileID != u.ID || len(r.Warnings) > 0 || r.ContentHash == "" {
			t.Errorf("%q: receipt is %+v, want %d accepted and %d duplicate", query, r, want[0], want[1])
		}
		expectEmpty(t, dir)
	}
	if diff := cmp.Diff(storedBy(t, file), log.StoredEvents(t)); diff != "" {
		t.Errorf("the log differs from that of a plain upload (-plain +async):\n%s", diff)
	}
	u := awaitFinal(t, s, postAsync(t, s, "&dry_run=true", pipelinetest.DCGMFile(10, 1)))
	if r := receiptOf(t, u); r.WouldAccept != 10 || r.Status != answer.StatusValid {
		t.Errorf("dry run: %+v", r)
	}
	waitFor(t, "nothing is in the spool", func() bool { return s.background.SpoolStatus().Uploads == 0 })
	compareResponse(t, "status", getPath(t, s, "/api/v1/status"), `200
{"background": {"uploads": 0, "bytes": 0, "max_uploads": 100}, "uploads": {"total": 4}}`)
}

func TestAsyncUploadsOfSeveralFiles(t *testing.T) {
	log, dir := pipelinetest.NewRecorder(), t.TempDir()
	s := startServer(t, Config{Spool: spool.Config{Dir: dir}}, log, log)
	good, bad := string(pipelinetest.DCGMFile(10, 2)), "buy milk\n"
	for _, c := range []struct {
		files []string
		state uploads.State
		code  string
	}{
		{[]string{good, bad, good}, uploads.Done, answer.CodeSomeRefused},
		{[]string{bad, bad}, uploads.Failed, answer.CodeAllRefused},
		{[]string{bad}, uploads.Failed, answer.CodeNotTelemetry},
		{[]string{""}, uploads.Failed, answer.CodeEmpty},
	} {
		var form bytes.Buffer
		for i, file := range c.files {
			fmt.Fprintf(&form, "--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"%d.csv\"\r\n\r\n%s\r\n", boundary, i, file)
		}
		fmt.Fprintf(&form, "--%s--\r\n", boundary)
		resp, err := http.Post("http://"+s.Addr().String()+"/api/v1/csv/upload?async=true", "multipart/form-data; boundary="+boundary, &form)
		if err != nil {
			t.Fatal(err)
		}
		r := responseOf(t, resp)
		u := awaitFinal(t, s, r.header.Get("Location"))
		if u.State != c.state || u.Code != c.code || len(u.Files) != len(c.files) {
			t.Errorf("%q: upload is %+v, want %s with %s", c.files, u, c.state, c.code)
		}
		expectEmpty(t, dir)
	}
}

func TestAsyncRefusalsBeforeTheBodyIsThere(t *testing.T) {
	log, dir := pipelinetest.NewRecorder(), t.TempDir()
	s := startServer(t, Config{MaxUploadSize: 1 << 20, Spool: spool.Config{Dir: dir}}, log, log)
	compareResponse(t, "no file", request{head: "POST /api/v1/csv/upload?async=true", headers: []string{"Content-Type: multipart/form-data; boundary=x"},
		body: []byte("--x--\r\n")}.sendRequest(t, s.Addr().String()), `400
{"success": false, "code": "missing_file"}`)
	compareResponse(t, "bad parameter", postFile(t, s, "?async=true&tz=Nowhere", pipelinetest.DCGMFile(1, 1)), `400
{"success": false, "code": "bad_parameter"}`)
	compareResponse(t, "too large", postFile(t, s, "?async=true", bytes.Repeat([]byte("x"), 4<<20)), `413
{"success": false, "code": "file_too_large"}`)
	compareResponse(t, "cut off", request{head: "PUT /api/v1/csv/upload?async=true", headers: []string{"Content-Type: text/csv"},
		body: pipelinetest.DCGMFile(10, 1), cut: 5}.sendRequest(t, s.Addr().String()), `400
{"success": false, "code": "truncated_body"}`)
	expectEmpty(t, dir)
	compareResponse(t, "list", getPath(t, s, "/api/v1/uploads"), `200
{"success": true, "count": 0, "data": []}`)
}

func TestCancelStopsAnUploadAndSaysWhatStays(t *testing.T) {
	t.Parallel()
	log, dir := pipelinetest.NewRecorder(), t.TempDir()
	s := startServer(t, Config{Spool: spool.Config{Dir: dir}, Background: 1, MaxMemory: 1 << 20}, log, log)
	release := log.HoldAppends()
	defer release()
	running, waiting := postAsync(t, s, "", pipelinetest.DCGMFile(3000, 20)), postAsync(t, s, "", pipelinetest.DCGMFile(10, 1))
	waitFor(t, "it is being processed", func() bool { return stateOf(t, s, running).State == uploads.Processing })
	for _, path := range []string{waiting, running} {
		for range 2 { // the second time nothing changes
			compareResponse(t, "cancel", deleteUpload(t, s, path), `200
{"success": true, "message": "/stays/", "data": {"state": "cancelled", "cancel_requested": true, "code": "cancelled", "error": "/^the upload was cancelled/", "ended_at": "*"}}`)
		}
	}
	expectEmpty(t, dir)
	release()
	done := postAsync(t, s, "", pipelinetest.DCGMFile(10, 1))
	awaitFinal(t, s, done)
	compareResponse(t, "cancel what is done", deleteUpload(t, s, done), `409
{"success": false, "code": "upload_ended"}`)
	compareResponse(t, "cancel what never was", deleteUpload(t, s, uploadsPath+"nothing"), `404
{"success": false, "code": "unknown_upload"}`)
}

func deleteUpload(t *testing.T, s *Server, path string) response {
	t.Helper()
	req, err := http.NewRequest(http.MethodDelete, "http://"+s.Addr().String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return responseOf(t, resp)
}

func TestFullSpoolsSayWhenToComeBack(t *testing.T) {
	log := pipelinetest.NewRecorder()
	release := log.HoldAppends()
	defer release()
	file := pipelinetest.DCGMFile(10, 1)
	s := startServer(t, Config{Spool: spool.Config{Uploads: 1}}, log, log)
	postAsync(t, s, "", file)
	compareResponse(t, "one too many", postFile(t, s, "?async=true", file), `503
Retry-After: 10
{"success": false, "code": "too_many_waiting"}`)
	s = startServer(t, Config{Spool: spool.Config{MaxBytes: int64(len(file)) + 2000}}, log, log)
	postAsync(t, s, "", file)
	for _, query := range []string{"?async=true", "?strict=true"} {
		compareResponse(t, "too many bytes "+query, postFile(t, s, query, pipelinetest.DCGMFile(100, 1)), `507
Retry-After: 30
{"success": false, "code": "upload_directory_full"}`)
	}
}

func TestServersWithoutAsyncRefuseSuchUploadsAndServeTheRest(t *testing.T) {
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{AsyncOff: true, Spool: spool.Config{Dir: t.TempDir()}}, log, log)
	compareResponse(t, "async", postFile(t, s, "?async=true", pipelinetest.DCGMFile(1, 1)), `400
{"success": false, "code": "async_off", "error": "/without async=true/"}`)
	for _, query := range []string{"", "?strict=true", "?dry_run=true"} {
		compareResponse(t, "upload "+query, postFile(t, s, query, pipelinetest.DCGMFile(1, 1)), `200
{"success": true}`)
	}
}

func TestServersWithoutUploadDirectoryServeTheRest(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "uploads")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{Spool: spool.Config{Dir: dir}}, log, log)
	for _, query := range []string{"?async=true", "?strict=true"} {
		compareResponse(t, query, postFile(t, s, query, pipelinetest.DCGMFile(1, 1)), `503
Retry-After: 60
{"success": false, "code": "upload_directory_unusable", "error": "/UPLOAD_DIR/"}`)
	}
	compareResponse(t, "plain", postFile(t, s, "", pipelinetest.DCGMFile(1, 1)), `200
{"success": true}`)
	compareResponse(t, "dry run", postFile(t, s, "?dry_run=true&strict=true", pipelinetest.DCGMFile(1, 1)), `200
{"success": true}`)
	compareResponse(t, "status", getPath(t, s, "/api/v1/status"), `200
{"background": {"dir": "`+dir+`", "error": "/UPLOAD_DIR/"}}`)
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if u := awaitFinal(t, s, postAsync(t, s, "", pipelinetest.DCGMFile(1, 1))); u.State != uploads.Done {
		t.Errorf("once the directory can be used, an upload is %+v", u)
	}
}
