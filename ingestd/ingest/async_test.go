package ingest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/ingestd/spool"
	"telemetry-pipeline/ingestd/uploads"
)

// postAsync sends a file to be processed in the background, and gives the upload's path.
func postAsync(t *testing.T, s *Server, query string, file []byte) (path string) {
	t.Helper()
	got := post(t, s, "?async=true"+query, file)
	path = got.header.Get("Location")
	compare(t, "async upload", got, `202
Location: /^/api/v1/uploads/[0-9a-f-]{36}$/
X-Request-ID: `+strings.TrimPrefix(path, uploadsPath)+`
{"success": true, "id": "`+strings.TrimPrefix(path, uploadsPath)+`", "data": {"kind": "async", "total_bytes": `+fmt.Sprint(len(file))+`}}`)
	return path
}

// stateOf asks for an upload.
func stateOf(t *testing.T, s *Server, path string) uploadView {
	t.Helper()
	r := get(t, s, path)
	var answer uploadAnswer
	if err := json.Unmarshal([]byte(r.body), &answer); err != nil || r.status != http.StatusOK || !answer.Success {
		t.Fatalf("GET %s: %d %s (%v)", path, r.status, r.body, err)
	}
	return answer.Data
}

// final waits until an upload has ended.
func final(t *testing.T, s *Server, path string) (u uploadView) {
	t.Helper()
	eventually(t, path+" ends", func() bool {
		u = stateOf(t, s, path)
		return u.State.Final()
	})
	return u
}

func receiptOf(t *testing.T, u uploadView) (r receipt) {
	t.Helper()
	if err := json.Unmarshal(u.Receipt, &r); err != nil {
		t.Fatalf("receipt %s: %v", u.Receipt, err)
	}
	return r
}

// isEmpty waits until nothing is left in a directory: a file is removed after its upload's state is known.
func isEmpty(t *testing.T, dir string) {
	t.Helper()
	eventually(t, "the upload directory is empty", func() bool {
		left, err := os.ReadDir(dir)
		return err == nil && len(left) == 0
	})
}

// storedBy is what the log has of files that were sent without any parameter.
func storedBy(t *testing.T, files ...[]byte) map[string]events.Event {
	t.Helper()
	log := newRecorder()
	s := serve(t, Config{}, log, log)
	for _, file := range files {
		if r := post(t, s, "", file); r.status != http.StatusOK {
			t.Fatalf("plain upload: %d %s", r.status, r.body)
		}
	}
	return log.stored(t)
}

func TestAsyncUploadsBecomeWhatPlainOnesDo(t *testing.T) {
	log, dir := newRecorder(), t.TempDir()
	s := serve(t, Config{Spool: spool.Config{Dir: dir}}, log, log)
	file := dcgmFile(1000, 20)
	for n, query := range []string{"", "&strict=true", "&wait=true"} {
		u := final(t, s, postAsync(t, s, query, file))
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
		isEmpty(t, dir)
	}
	if diff := cmp.Diff(storedBy(t, file), log.stored(t)); diff != "" {
		t.Errorf("the log differs from that of a plain upload (-plain +async):\n%s", diff)
	}
	u := final(t, s, postAsync(t, s, "&dry_run=true", dcgmFile(10, 1)))
	if r := receiptOf(t, u); r.WouldAccept != 10 || r.Status != statusValid {
		t.Errorf("dry run: %+v", r)
	}
	eventually(t, "nothing is in the spool", func() bool { return s.background.condition().Uploads == 0 })
	compare(t, "status", get(t, s, "/api/v1/status"), `200
{"background": {"uploads": 0, "bytes": 0, "max_uploads": 100}, "uploads": {"total": 4}}`)
}

func TestAsyncUploadsOfSeveralFiles(t *testing.T) {
	log, dir := newRecorder(), t.TempDir()
	s := serve(t, Config{Spool: spool.Config{Dir: dir}}, log, log)
	good, bad := string(dcgmFile(10, 2)), "buy milk\n"
	for _, c := range []struct {
		files []string
		state uploads.State
		code  string
	}{
		{[]string{good, bad, good}, uploads.Done, codeSomeRefused},
		{[]string{bad, bad}, uploads.Failed, codeAllRefused},
		{[]string{bad}, uploads.Failed, codeNotTelemetry},
		{[]string{""}, uploads.Failed, codeEmpty},
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
		u := final(t, s, r.header.Get("Location"))
		if u.State != c.state || u.Code != c.code || len(u.Files) != len(c.files) {
			t.Errorf("%q: upload is %+v, want %s with %s", c.files, u, c.state, c.code)
		}
		isEmpty(t, dir)
	}
}

func TestAsyncRefusalsBeforeTheBodyIsThere(t *testing.T) {
	log, dir := newRecorder(), t.TempDir()
	s := serve(t, Config{MaxUploadSize: 1 << 20, Spool: spool.Config{Dir: dir}}, log, log)
	compare(t, "no file", request{head: "POST /api/v1/csv/upload?async=true", headers: []string{"Content-Type: multipart/form-data; boundary=x"},
		body: []byte("--x--\r\n")}.send(t, s.Addr().String()), `400
{"success": false, "code": "missing_file"}`)
	compare(t, "bad parameter", post(t, s, "?async=true&tz=Nowhere", dcgmFile(1, 1)), `400
{"success": false, "code": "bad_parameter"}`)
	compare(t, "too large", post(t, s, "?async=true", bytes.Repeat([]byte("x"), 4<<20)), `413
{"success": false, "code": "file_too_large"}`)
	compare(t, "cut off", request{head: "PUT /api/v1/csv/upload?async=true", headers: []string{"Content-Type: text/csv"},
		body: dcgmFile(10, 1), cut: 5}.send(t, s.Addr().String()), `400
{"success": false, "code": "truncated_body"}`)
	isEmpty(t, dir)
	compare(t, "list", get(t, s, "/api/v1/uploads"), `200
{"success": true, "count": 0, "data": []}`)
}

// A server that stops in the middle leaves the upload to the next one, which ends with the same log.
func TestTheNextServerGoesOn(t *testing.T) {
	log, dir := newRecorder(), t.TempDir()
	file := dcgmFile(3000, 20)
	cfg := Config{Spool: spool.Config{Dir: dir}, Zone: "+05:00", Background: 1}
	release := log.holdAppends()
	first, stop := serveUntil(t, cfg, log)
	path, waiting := postAsync(t, first, "", file), postAsync(t, first, "&strict=true", file)
	eventually(t, "it is being processed", func() bool { return stateOf(t, first, path).Rows > 0 })
	if u := stateOf(t, first, waiting); u.State != uploads.Queued {
		t.Errorf("the second upload is %+v, want it to wait for its turn", u)
	}
	stop()
	release()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Fatalf("the upload directory has %v, %v", entries, err)
	}
	cfg.Zone = "UTC"
	second := serve(t, cfg, log, log)
	for _, p := range []string{path, waiting} {
		if u := final(t, second, p); u.State != uploads.Done || receiptOf(t, u).RecordCount != 3000 {
			t.Errorf("upload is %+v", u)
		}
	}
	isEmpty(t, dir)
	if diff := cmp.Diff(storedBy(t, file), log.stored(t)); diff != "" {
		t.Errorf("the log differs from that of a plain upload (-plain +async):\n%s", diff)
	}
}

// serveUntil runs a server until stop is called.
func serveUntil(t *testing.T, cfg Config, log *recorder) (s *Server, stop func()) {
	t.Helper()
	cfg.Host, cfg.Port = "127.0.0.1", FreePort
	s, err := New(cfg, log, log, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	eventually(t, "listening", func() bool { return s.Addr() != nil })
	return s, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

func TestCancelStopsAnUploadAndSaysWhatStays(t *testing.T) {
	log, dir := newRecorder(), t.TempDir()
	s := serve(t, Config{Spool: spool.Config{Dir: dir}, Background: 1, MaxMemory: 1 << 20}, log, log)
	release := log.holdAppends()
	defer release()
	running, waiting := postAsync(t, s, "", dcgmFile(3000, 20)), postAsync(t, s, "", dcgmFile(10, 1))
	eventually(t, "it is being processed", func() bool { return stateOf(t, s, running).State == uploads.Processing })
	for _, path := range []string{waiting, running} {
		for range 2 { // the second time nothing changes
			compare(t, "cancel", del(t, s, path), `200
{"success": true, "message": "/stays/", "data": {"state": "cancelled", "cancel_requested": true, "code": "cancelled", "error": "/^the upload was cancelled/", "ended_at": "*"}}`)
		}
	}
	isEmpty(t, dir)
	release()
	done := postAsync(t, s, "", dcgmFile(10, 1))
	final(t, s, done)
	compare(t, "cancel what is done", del(t, s, done), `409
{"success": false, "code": "upload_ended"}`)
	compare(t, "cancel what never was", del(t, s, uploadsPath+"nothing"), `404
{"success": false, "code": "unknown_upload"}`)
}

func del(t *testing.T, s *Server, path string) response {
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

func TestWhatAnotherTimeHelpsAgainstIsTriedAgain(t *testing.T) {
	log, dir := newRecorder(), t.TempDir()
	s := serve(t, Config{Spool: spool.Config{Dir: dir}}, log, log)
	log.setDown(true)
	file := dcgmFile(500, 5)
	path := postAsync(t, s, "", file)
	eventually(t, "it waits and says why", func() bool {
		u := stateOf(t, s, path)
		return u.State == uploads.Queued && strings.Contains(u.Waiting, "etcd") && u.RetryAt.After(time.Now())
	})
	log.setDown(false)
	u := final(t, s, path)
	r := receiptOf(t, u)
	if u.State != uploads.Done || u.Attempts != 2 || u.Waiting != "" || r.RecordCount != 500 || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "attempt 2") {
		t.Errorf("upload is %+v with %+v", u, r)
	}
	isEmpty(t, dir)
}

func TestFullSpoolsSayWhenToComeBack(t *testing.T) {
	log := newRecorder()
	release := log.holdAppends()
	defer release()
	file := dcgmFile(10, 1)
	s := serve(t, Config{Spool: spool.Config{Uploads: 1}}, log, log)
	postAsync(t, s, "", file)
	compare(t, "one too many", post(t, s, "?async=true", file), `503
Retry-After: 10
{"success": false, "code": "too_many_waiting"}`)
	s = serve(t, Config{Spool: spool.Config{MaxBytes: int64(len(file)) + 2000}}, log, log)
	postAsync(t, s, "", file)
	for _, query := range []string{"?async=true", "?strict=true"} {
		compare(t, "too many bytes "+query, post(t, s, query, dcgmFile(100, 1)), `507
Retry-After: 30
{"success": false, "code": "upload_directory_full"}`)
	}
}

func TestServersWithoutUploadDirectoryServeTheRest(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "uploads")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	log := newRecorder()
	s := serve(t, Config{Spool: spool.Config{Dir: dir}}, log, log)
	for _, query := range []string{"?async=true", "?strict=true"} {
		compare(t, query, post(t, s, query, dcgmFile(1, 1)), `503
Retry-After: 60
{"success": false, "code": "upload_directory_unusable", "error": "/UPLOAD_DIR/"}`)
	}
	compare(t, "plain", post(t, s, "", dcgmFile(1, 1)), `200
{"success": true}`)
	compare(t, "dry run", post(t, s, "?dry_run=true&strict=true", dcgmFile(1, 1)), `200
{"success": true}`)
	compare(t, "status", get(t, s, "/api/v1/status"), `200
{"background": {"dir": "`+dir+`", "error": "/UPLOAD_DIR/"}}`)
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if u := final(t, s, postAsync(t, s, "", dcgmFile(1, 1))); u.State != uploads.Done {
		t.Errorf("once the directory can be used, an upload is %+v", u)
	}
}

// leave spools an upload as a server of a log with that name would have.
func leave(t *testing.T, dir string, id events.UploadID, log string, file []byte) {
	t.Helper()
	room, err := spool.Open(spool.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer room.Close()
	d, err := room.Begin(id, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Add(spool.File{Name: "f.csv"}, bytes.NewReader(file)); err != nil {
		t.Fatal(err)
	}
	e, err := d.Commit(spool.Manifest{ID: id, Log: log, ReceivedAt: time.Date(2025, 7, 18, 21, 0, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	if id == "deadly" {
		for range maxDeaths {
			if _, err := e.Start(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestWhatIsFoundInTheUploadDirectory(t *testing.T) {
	log, dir := newRecorder(), t.TempDir()
	leave(t, dir, "ours", "memory", dcgmFile(10, 1))
	leave(t, dir, "damaged", "memory", dcgmFile(10, 1))
	leave(t, dir, "deadly", "memory", dcgmFile(10, 1))
	leave(t, dir, "theirs", "another", dcgmFile(10, 1))
	if err := os.Truncate(filepath.Join(dir, "upload-damaged", "0"), 10); err != nil {
		t.Fatal(err)
	}
	s := serve(t, Config{Spool: spool.Config{Dir: dir}}, log, log)
	for id, want := range map[string]struct {
		state uploads.State
		code  string
	}{"ours": {uploads.Done, ""}, "damaged": {uploads.Failed, codeSpoolDamaged}, "deadly": {uploads.Failed, codeDeadly}} {
		if u := final(t, s, uploadsPath+id); u.State != want.state || u.Code != want.code {
			t.Errorf("%s is %+v, want %+v", id, u, want)
		}
	}
	eventually(t, "only what is another log's is left", func() bool {
		left, err := os.ReadDir(dir)
		return err == nil && len(left) == 1 && left[0].Name() == "upload-theirs"
	})
	compare(t, "another log's upload", get(t, s, uploadsPath+"theirs"), "404")
}

func TestUploadsAreListedAndFiltered(t *testing.T) {
	log := newRecorder()
	s := serve(t, Config{}, log, log)
	var paths []string
	for _, file := range [][]byte{dcgmFile(1, 1), []byte("buy milk\n"), dcgmFile(2, 1)} {
		paths = append(paths, postAsync(t, s, "", file))
		final(t, s, paths[len(paths)-1])
	}
	id := func(i int) string { return strings.TrimPrefix(paths[i], uploadsPath) }
	compare(t, "all", get(t, s, "/api/v1/uploads"), fmt.Sprintf(`200
{"success": true, "count": 3, "total": 3, "data": [{"id": %q, "state": "done", "receipt": null}, {"id": %q, "state": "failed", "error": "*"}, {"id": %q}]}`, id(2), id(1), id(0)))
	compare(t, "some", get(t, s, "/api/v1/uploads?state=done,queued&limit=1"), fmt.Sprintf(`200
{"success": true, "count": 1, "total": 2, "data": [{"id": %q}]}`, id(2)))
	for _, query := range []string{"?state=gone", "?limit=0", "?limit=x", "?page=2"} {
		compare(t, query, get(t, s, "/api/v1/uploads"+query), `400
{"success": false, "code": "bad_parameter"}`)
	}
}

func TestProgressIsStreamedUntilTheEnd(t *testing.T) {
	log := newRecorder()
	s := serve(t, Config{}, log, log)
	release := log.holdAppends()
	path := postAsync(t, s, "", dcgmFile(3000, 20))
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
	compare(t, "stream of nothing", get(t, s, uploadsPath+"nothing/events"), `404
{"success": false, "code": "unknown_upload"}`)
}

func TestStopEndsStreamsOfProgress(t *testing.T) {
	log, dir := newRecorder(), t.TempDir()
	release := log.holdAppends()
	defer release()
	s, stop := serveUntil(t, Config{Spool: spool.Config{Dir: dir}}, log)
	path := postAsync(t, s, "", dcgmFile(100, 1))
	resp, err := http.Get("http://" + s.Addr().String() + path + "/events")
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	stop()
	if r := responseOf(t, resp); !strings.Contains(r.body, "event: progress") {
		t.Errorf("the stream gave %s", r.body)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("stopping took %s", took)
	}
}

// Two servers with a spool each share what they tell of uploads: who asks the wrong one gets the same answer.
func TestEveryServerTellsOfEveryUpload(t *testing.T) {
	server := eventstest.NewServer(t, nil)
	store := server.Config(t)
	log := eventstest.OpenLog(t, store)
	folded := newRecorder()
	one := serve(t, Config{AppendTimeout: 500 * time.Millisecond, States: uploads.New(server.Client(t), store, nil)}, log, folded)
	two := serve(t, Config{AppendTimeout: 500 * time.Millisecond, States: uploads.New(server.Client(t), store, nil)}, log, folded)
	path := postAsync(t, one, "", dcgmFile(500, 5))
	if u := final(t, two, path); u.State != uploads.Done || receiptOf(t, u).Accepted != 500 {
		t.Errorf("the other server tells of %+v", u)
	}
	compare(t, "the other server's list", get(t, two, "/api/v1/uploads"), `200
{"success": true, "count": 1}`)

	server.Stop()
	held := postAsync(t, one, "", dcgmFile(600, 5))
	eventually(t, "it waits for etcd", func() bool { return stateOf(t, one, held).Waiting != "" })
	server.Start(t)
	eventually(t, "the other server knows of it", func() bool { return get(t, two, held).status == http.StatusOK })
	compare(t, "cancelled by way of the other server", del(t, two, held), `200
{"success": true, "data": {"state": "cancelled"}}`)
	if u := stateOf(t, one, held); u.State != uploads.Cancelled {
		t.Errorf("its own server tells of %+v", u)
	}
}

func TestReceiptsThatAreKeptAreBounded(t *testing.T) {
	for _, files := range []int{1, 5, 100} {
		o := newOutcome()
		for range files {
			rec := o.begin("f.csv").receipt
			for i := range 1000 {
				rec.Headers = append(rec.Headers, fmt.Sprint("column ", i))
				rec.Errors = append(rec.Errors, fault{i, "value", strings.Repeat("x", 50), "no number"})
				rec.Absences = append(rec.Absences, absence{i, "value", "N/A", "not_supported"})
			}
			rec.Accepted = 10
		}
		o.finish("")
		text := keepsake(o.told(), o.receipts())
		var back struct {
			receipt
			Files []receipt
		}
		if err := json.Unmarshal(text, &back); err != nil || len(text) > maxReceipt || back.Accepted != int64(10*files) {
			t.Errorf("%d files: %d bytes, %d accepted (%v)", files, len(text), back.Accepted, err)
		}
		if files == 5 && (len(back.Files) != 5 || len(back.Files[4].Errors) == 0) {
			t.Errorf("of 5 files there are %d, with %+v", len(back.Files), back.Files)
		}
	}
}

func TestSpoolErrorsAreToldApart(t *testing.T) {
	other := errors.New("of the sender")
	if got := spoolRefusal(other); got != other {
		t.Errorf("an error of the sender became %v", got)
	}
	if r := asRefusal(spoolRefusal(&spool.WriteError{Err: spool.ErrDiskFull})); r.status != 507 || r.code != codeDiskFull || r.retryAfter == 0 {
		t.Errorf("a full disk is %+v", r)
	}
	if r := asRefusal(spoolRefusal(&spool.WriteError{Err: os.ErrPermission})); r.status != 503 || r.code != codeNoSpool {
		t.Errorf("a disk that takes no writes is %+v", r)
	}
}
