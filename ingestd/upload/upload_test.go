package upload

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cheggaaa/pb/v3"
	"github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events/caller"
)

// server answers uploads with its answers in order, repeating the last one, and records the uploads.
type server struct {
	t       *testing.T
	url     string
	answers []func(http.ResponseWriter)

	mu    sync.Mutex
	got   []sent
	asked int
}

type sent struct{ name, query, token, text string }

func startServer(t *testing.T, answers ...func(http.ResponseWriter)) *server {
	s := &server{t: t, answers: answers}
	h := httptest.NewServer(http.HandlerFunc(s.handleUpload))
	t.Cleanup(h.Close)
	s.url = h.URL
	return s
}

func (s *server) handleUpload(w http.ResponseWriter, r *http.Request) {
	file, header, err := r.FormFile("file")
	if err != nil || r.URL.Path != uploadPath {
		s.t.Errorf("a request to %s that is no upload: %v", r.URL.Path, err)
		return
	}
	text, _ := io.ReadAll(file)
	s.mu.Lock()
	s.got = append(s.got, sent{header.Filename, r.URL.RawQuery, r.Header.Get("Authorization"), string(text)})
	answer := s.answers[min(s.asked, len(s.answers)-1)]
	s.asked++
	s.mu.Unlock()
	answer(w)
}

func respond(status int, body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.WriteHeader(status)
		fmt.Fprintln(w, body)
	}
}

func respondRetryLater(seconds int) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Retry-After", fmt.Sprint(seconds))
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, `{"success":false,"error":"etcd is away","code":"log_unavailable"}`)
	}
}

const stored = `{"success":true,"status":"processed","dialect":"wide","accepted":2,"duplicate":0,"rejected":0,"absent":1,"errors":[],"warnings":[]}`

func writeFile(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestUploadSendsFilesAndPrintsResults(t *testing.T) {
	s := startServer(t, respond(200, stored))
	dir := t.TempDir()
	writeFile(t, dir, "a.csv", "a\n1\n")
	writeFile(t, dir, "b.csv", "b\n2\n")
	c := Command{Config: Config{URL: s.url, Caller: caller.Config{Token: "secret"}, Host: "n1", Strict: true, Parallel: 1}}
	var out, errs bytes.Buffer
	code, err := c.Run(t.Context(), strings.NewReader("c\n3\n"), &out, &errs, []string{filepath.Join(dir, "*.csv"), "-"})
	if err != nil || code != 0 {
		t.Fatalf("got code %d, error %v; want 0\n%s", code, err, &errs)
	}
	want := []sent{
		{"a.csv", "host=n1&strict=true", "Bearer secret", "a\n1\n"},
		{"b.csv", "host=n1&strict=true", "Bearer secret", "b\n2\n"},
		{"stdin", "host=n1&strict=true", "Bearer secret", "c\n3\n"},
	}
	if diff := cmp.Diff(want, s.got, cmp.AllowUnexported(sent{})); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
	for _, text := range []string{"a.csv  processed     wide   4 B         2", "stdin"} {
		if !strings.Contains(out.String(), text) {
			t.Errorf("the account is\n%s\nwant it to say %q", &out, text)
		}
	}
}

func TestUploadTriesAgainWhatTimeCanMend(t *testing.T) {
	s := startServer(t, respondRetryLater(7), respond(502, "<html>bad gateway</html>"), respond(429, `{"success":false,"error":"too fast"}`), respond(200, stored))
	client, err := New(Config{URL: s.url, RetryFor: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	var pauses []time.Duration
	client.sleep = func(_ context.Context, d time.Duration) bool { pauses = append(pauses, d); return true }
	f, err := fileSource(writeFile(t, t.TempDir(), "a.csv", "a\n1\n"))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Send(t.Context(), f, nil, nil)
	if err != nil || !answer.Success || answer.Accepted != 2 {
		t.Fatalf("got %+v, %v; want it stored", answer, err)
	}
	if len(pauses) != 3 || pauses[0] < 7*time.Second {
		t.Errorf("paused %v, want three times, the first for the 7s that the server asked for", pauses)
	}
	for _, g := range s.got {
		if g.text != "a\n1\n" {
			t.Errorf("an attempt sent %q, want the whole file", g.text)
		}
	}
}

func TestUploadGivesUpInTime(t *testing.T) {
	s := startServer(t, respondRetryLater(3600))
	c := Command{Config: Config{URL: s.url, RetryFor: time.Minute}}
	var out, errs bytes.Buffer
	code, err := c.Run(t.Context(), nil, &out, &errs, []string{writeFile(t, t.TempDir(), "a.csv", "a\n1\n")})
	if err != nil || code != codeUndelivered || len(s.got) != 1 {
		t.Errorf("got code %d, error %v after %d attempts; want %d after one", code, err, len(s.got), codeUndelivered)
	}
	if !strings.Contains(out.String(), "etcd is away") {
		t.Errorf("the account does not say why:\n%s", &out)
	}
}

func TestUploadToNobody(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	c := Command{Config: Config{URL: gone.URL, RetryFor: -1}}
	var out, progress bytes.Buffer
	code, err := c.Run(t.Context(), nil, &out, &progress, []string{writeFile(t, t.TempDir(), "a.csv", "a\n1\n")})
	if err != nil || code != codeUndelivered || !strings.Contains(out.String(), "flag url") {
		t.Errorf("got code %d, error %v, want %d and the flag to look at:\n%s", code, err, codeUndelivered, &out)
	}
	if got, want := progress.String(), "a.csv: undelivered\n"; got != want {
		t.Errorf("got progress %q, want %q: nothing was sent", got, want)
	}
}

func TestUploadExitCodes(t *testing.T) {
	rejected := `{"success":true,"status":"processed","accepted":1,"rejected":9,"errors":[{"line":2,"column":"power","text":"x","reason":"not a number"}],"errors_total":9}`
	tests := []struct {
		name   string
		answer func(http.ResponseWriter)
		code   int
		says   string
	}{
		{"rejected rows", respond(200, rejected), codeRejected, `line 2, power: "x": not a number`},
		{"the rest of them", respond(200, rejected), codeRejected, "4 more"},
		{"refused", respond(422, `{"success":false,"error":"no telemetry","code":"not_telemetry"}`), codeRefused, "no telemetry"},
		{"another server", respond(404, "<html>not here</html>"), codeRefused, "not a response of an upload server"},
		{"not foldable", respond(200, `{"success":true,"status":"quarantined","accepted":1,"warnings":["could not be folded"]}`), codeRejected, "could not be folded"},
		{"in part", respond(200, stored), codeStored, "processed"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := startServer(t, test.answer)
			c := Command{Config: Config{URL: s.url, RetryFor: -1}, Quiet: true}
			var out bytes.Buffer
			code, err := c.Run(t.Context(), nil, &out, io.Discard, []string{writeFile(t, t.TempDir(), "a.csv", "a\n1\n")})
			if err != nil || code != test.code {
				t.Errorf("got code %d, error %v; want %d", code, err, test.code)
			}
			if !strings.Contains(out.String(), test.says) {
				t.Errorf("the account is\n%s\nwant it to say %q", &out, test.says)
			}
		})
	}
}

func TestUploadRefusesBadCommandLines(t *testing.T) {
	dir := t.TempDir()
	tests := []struct {
		name string
		args []string
		url  string
		says string
	}{
		{"no files", nil, "", "name the files"},
		{"a directory", []string{dir}, "", "watch"},
		{"a file that is not there", []string{filepath.Join(dir, "none.csv")}, "", "no such file"},
		{"a pattern without files", []string{filepath.Join(dir, "*.csv")}, "", "no file matches"},
		{"no address", []string{dir}, "ftp://x", "flag url"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := Command{Config: Config{URL: test.url}}
			_, err := c.Run(t.Context(), nil, io.Discard, io.Discard, test.args)
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want the error text %q", err, test.says)
			}
		})
	}
}

func TestUploadPrintsAnswers(t *testing.T) {
	s := startServer(t, respond(200, "{\n \"success\": true,\n \"accepted\": 2}"))
	c := Command{Config: Config{URL: s.url}, JSON: true, Quiet: true}
	var out bytes.Buffer
	if _, err := c.Run(t.Context(), nil, &out, io.Discard, []string{writeFile(t, t.TempDir(), "a.csv", "a\n1\n")}); err != nil {
		t.Fatal(err)
	}
	var got struct{ Accepted int }
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || got.Accepted != 2 || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("got %q (%v), want the answer on one line", &out, err)
	}
}

func TestUploadStopsWhenCancelled(t *testing.T) {
	s := startServer(t, respondRetryLater(60))
	client, err := New(Config{URL: s.url, RetryFor: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	f, err := fileSource(writeFile(t, t.TempDir(), "a.csv", "a\n1\n"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Send(ctx, f, nil, func(Attempt) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the end of the context", err)
	}
}

// TestUploadOfAFileThatShrinks checks that a file truncated while it is sent is a local error, reported without a
// retry.
func TestUploadOfAFileThatShrinks(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		respond(400, `{"success":false,"error":"cut","code":"truncated_body"}`)(w)
	}))
	defer s.Close()
	client, err := New(Config{URL: s.URL, RetryFor: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	f, err := fileSource(writeFile(t, t.TempDir(), "a.csv", "a\n1\n"))
	if err != nil {
		t.Fatal(err)
	}
	f.Size = 1000
	if _, err := client.Send(t.Context(), f, nil, nil); !errors.Is(err, errShrunk) {
		t.Errorf("got %v, want %v", err, errShrunk)
	}
}

// The bar on a terminal must not show any of its template's directives.
func TestBarIsForPeople(t *testing.T) {
	var seen bytes.Buffer
	bar := barTemplate.New(0).SetTotal(100).Set(pb.Bytes, true).Set(pb.Terminal, true).SetWidth(100).SetWriter(&seen)
	bar.Start()
	bar.Add64(50)
	bar.Write()
	bar.Add64(50)
	bar.Finish()
	if text := seen.String(); strings.ContainsAny(text, "!?") || !strings.Contains(text, "100.00%") || !strings.Contains(text, "in ") {
		t.Errorf("the bar is %q", text)
	}
}
