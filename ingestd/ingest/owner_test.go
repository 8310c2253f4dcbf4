package ingest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/events/access"
	"telemetry-pipeline/ingestd/intake"
	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
	"telemetry-pipeline/ingestd/spool"
	"telemetry-pipeline/ingestd/uploads"
)

// ofMany are the principals of tests in which uploads have owners.
func ofMany() principals {
	return principals{
		"a": {"ingest", "*"}, "b": {"ingest", "*"}, "root": {"admin", "*"}, "some": {"admin", "host=a-*"}, "none": {"ingest", "host=nowhere"},
	}
}

// sendAsync sends an upload of a principal to the background and returns its path.
func (g *guarded) sendAsync(t *testing.T, s *Server, id string, file []byte) string {
	t.Helper()
	got := send(t, s, "PUT", uploadPath+"?async=true", file, g.header(id))
	if got.status != http.StatusAccepted {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	return got.header.Get("Location")
}

// awaitState waits for a final state of an upload and returns it.
func (g *guarded) awaitState(t *testing.T, s *Server, id, path string) uploadView {
	t.Helper()
	var found struct{ Data uploadView }
	waitFor(t, path+" ends", func() bool {
		got := send(t, s, "GET", path, nil, g.header(id))
		if err := json.Unmarshal([]byte(got.body), &found); err != nil {
			t.Fatal(err)
		}
		return found.Data.State.Final()
	})
	return found.Data
}

// TestUploadsAreTheirOwners: nobody else but an admin of everything learns that an upload exists.
func TestUploadsAreTheirOwners(t *testing.T) {
	log := pipelinetest.NewRecorder()
	g := guardOf(t, access.Config{}, ofMany())
	s := startServer(t, Config{Guard: g.Guard}, log, log)
	paths := map[string]string{}
	for _, id := range []string{"a", "b"} {
		paths[id] = g.sendAsync(t, s, id, pipelinetest.DCGMFile(3, 1))
		if u := g.awaitState(t, s, id, paths[id]); u.State != uploads.Done || u.Owner != id {
			t.Errorf("the upload of %s is %+v", id, u)
		}
	}
	for id, want := range map[string]int{"a": 1, "b": 1, "root": 2, "some": 0} {
		compareResponse(t, "list of "+id, send(t, s, "GET", "/api/v1/uploads", nil, g.header(id)), fmt.Sprintf(`200
{"success": true, "count": %d, "total": %d}`, want, want))
	}
	for _, id := range []string{"b", "some"} {
		for _, r := range [][2]string{{"GET", ""}, {"GET", "/events"}, {"DELETE", ""}} {
			got := send(t, s, r[0], paths["a"]+r[1], nil, g.header(id))
			unknown := send(t, s, r[0], uploadsPath+"00000000-0000-0000-0000-000000000000"+r[1], nil, g.header(id))
			if got.status != http.StatusNotFound || got.status != unknown.status || got.body != unknown.body {
				t.Errorf("%s %s: got %d %s, want %d %s", id, r, got.status, got.body, unknown.status, unknown.body)
			}
		}
	}
	compareResponse(t, "an admin", send(t, s, "DELETE", paths["a"], nil, g.header("root")), `409
{"code": "upload_ended"}`)
}

// TestAcceptedUploadStaysAccepted: an upload goes on after a restart with the scope that its sender had, and after the sender
// was revoked.
func TestAcceptedUploadStaysAccepted(t *testing.T) {
	log, dir := pipelinetest.NewRecorder(), t.TempDir()
	g := guardOf(t, access.Config{}, principals{"a": {"ingest", "host=host-0"}, "root": {"admin", "*"}})
	cfg := Config{Guard: g.Guard, Spool: spool.Config{Dir: dir}}
	release := log.HoldAppends()
	first, stop := serveUntil(t, cfg, log)
	path := g.sendAsync(t, first, "a", []byte(string(pipelinetest.DCGMFile(2, 2))+strings.ReplaceAll(fileRows(0, 1), "host-0", "elsewhere")))
	stop()
	release()
	g.revoke(t, "a")
	second := startServer(t, cfg, log, log)
	waitFor(t, "it is known", func() bool { return send(t, second, "GET", path, nil, g.header("root")).status == http.StatusOK })
	u := g.awaitState(t, second, "root", path)
	if r := receiptOf(t, u); u.State != uploads.Done || u.Owner != "a" || r.Accepted == 0 || !strings.Contains(r.Errors[0].Reason, "not_permitted: a may not send telemetry of host") {
		t.Errorf("got %+v, %+v", u, r)
	}
	waitFor(t, "the sender is revoked", func() bool {
		return send(t, second, "GET", path, nil, g.header("a")).status == http.StatusUnauthorized
	})
}

// TestStreamsEndWithTheCredentials: live uploads and progress end when their principal is revoked, with an account of what was
// stored.
func TestStreamsEndWithTheCredentials(t *testing.T) {
	t.Parallel()
	log := pipelinetest.NewRecorder()
	g := guardOf(t, access.Config{}, ofMany())
	s := startServer(t, Config{Guard: g.Guard, Streams: intake.Streams{Interval: 50 * time.Millisecond}}, log, log)
	l := &liveStream{dialServer(t, s)}
	fmt.Fprintf(l, "PUT %s HTTP/1.1\r\nHost: localhost\r\n%s\r\nTransfer-Encoding: chunked\r\n\r\n", uploadPath, g.header("a"))
	l.sendText(t, pipelinetest.DCGMHeader+fileRows(0, 3))
	awaitRecords(t, log, 3)
	release := log.HoldAppends()
	defer release()
	path := g.sendAsync(t, s, "a", pipelinetest.DCGMFile(3000, 20))
	req, err := http.NewRequest("GET", "http://"+s.Addr().String()+path+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+g.tokens["a"])
	progress, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	g.revoke(t, "a")
	if got := responseOf(t, progress); !strings.Contains(got.body, "event: error\ndata: {\"success\":false,\"error\":\"the credentials were revoked") || !strings.Contains(got.body, `"code":"unauthenticated"`) {
		t.Errorf("progress ended with %s", got.body)
	}
	compareResponse(t, "the live stream", readResponse(t, bufio.NewReader(l)), `401
Connection: close
{"success": false, "code": "unauthenticated", "accepted": 3, "error": "/revoked.*3 of its records are stored already/"}`)
}

// TestStreamEndsWhenItsTokenExpires is the same for an upload whose token expires.
func TestStreamEndsWhenItsTokenExpires(t *testing.T) {
	t.Parallel()
	log := pipelinetest.NewRecorder()
	g := &guarded{file: filepath.Join(t.TempDir(), "principals"), lines: map[string]string{}, tokens: map[string]string{}}
	g.addPrincipal(t, "a", "ingest", "*", time.Now().Add(2*time.Second))
	g.run(t, access.Config{})
	s := startServer(t, Config{Guard: g.Guard}, log, log)
	l := &liveStream{dialServer(t, s)}
	fmt.Fprintf(l, "PUT %s HTTP/1.1\r\nHost: localhost\r\n%s\r\nTransfer-Encoding: chunked\r\n\r\n", uploadPath, g.header("a"))
	l.sendText(t, pipelinetest.DCGMHeader+fileRows(0, 3))
	compareResponse(t, "the live stream", readResponse(t, bufio.NewReader(l)), `401
{"success": false, "code": "unauthenticated", "error": "/expired/"}`)
}

// linesWith returns the lines of a text that have another.
func linesWith(text, part string) (found []string) {
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			found = append(found, line)
		}
	}
	return found
}

// TestUploadsAreAudited: who sent how much, and who was refused; no secret and nothing of a file.
func TestUploadsAreAudited(t *testing.T) {
	log, out := pipelinetest.NewRecorder(), &lockedBuffer{}
	g := &guarded{file: filepath.Join(t.TempDir(), "principals"), lines: map[string]string{}, tokens: map[string]string{}}
	g.addPrincipal(t, "a", "ingest", "host=host-*", time.Time{})
	g.write(t)
	guard, err := access.New(access.Config{File: g.file}, "", slog.New(slog.NewTextHandler(out, nil)))
	if err != nil {
		t.Fatal(err)
	}
	s := startServer(t, Config{Guard: guard}, log, log)
	sent := send(t, s, "PUT", uploadPath+"/secret-name.csv", pipelinetest.DCGMFile(4, 1), g.header("a"))
	id := sent.header.Get("X-Request-ID")
	path := g.sendAsync(t, s, "a", pipelinetest.DCGMFile(4, 1))
	g.awaitState(t, s, "a", path)
	send(t, s, "DELETE", path, nil, g.header("a"))
	send(t, s, "PUT", uploadPath, nil, "Authorization: Bearer wrong-token")
	for _, want := range [][]string{
		{"request_id=" + id, "principal=a", "identified_by=token", "method=PUT", "route=/api/v1/csv/upload/:name", "decision=allowed", "upload=" + id, "status=200", "files=1", "accepted=4", "duplicate=0", "rejected=0"},
		{"principal=a", "method=PUT", "status=202", "files=1"},
		{"principal=a", "method=async", "status=200", "duplicate=4", "upload=" + strings.TrimPrefix(path, uploadsPath)},
		{"principal=a", "method=DELETE", "route=/api/v1/uploads/:id", "decision=allowed", "state=done"},
		{"principal=nobody", "method=PUT", "route=/api/v1/csv/upload", "decision=unauthenticated"},
	} {
		waitFor(t, strings.Join(want, " "), func() bool {
			for _, line := range linesWith(out.String(), "msg=audit") {
				has := true
				for _, text := range want {
					has = has && strings.Contains(line, text)
				}
				if has {
					return true
				}
			}
			return false
		})
	}
	for _, secret := range []string{g.tokens["a"], "wrong-token", "secret-name"} {
		if found := linesWith(out.String(), secret); found != nil {
			t.Errorf("the log has %q: %s", secret, found)
		}
	}
}
