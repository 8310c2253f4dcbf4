package upload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events/caller"
)

// TestUploadOfAPipeSendsWhatComesThroughIt covers upload <(zcat a.csv.gz): a pipe reports no size and was once sent
// as an empty file. It can be read once and is sent twice.
func TestUploadOfAPipeSendsWhatComesThroughIt(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	path := fmt.Sprintf("/dev/fd/%d", r.Fd())
	if _, err := os.Stat(path); err != nil {
		t.Skipf("this system has no names for pipes: %v", err)
	}
	if _, err := io.WriteString(w, "a\n1\n"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", t.TempDir())
	s := startServer(t, respond(503, `{"success":false,"error":"not now"}`), respond(200, stored))
	c := Command{Config: Config{URL: s.url, RetryFor: time.Hour}}
	var out, errs bytes.Buffer
	if code, err := c.Run(t.Context(), strings.NewReader(""), &out, &errs, []string{path}); code != 0 || err != nil {
		t.Fatalf("got code %d, error %v; want 0\n%s", code, err, &out)
	}
	name := path[strings.LastIndexByte(path, '/')+1:]
	whole := sent{name: name, text: "a\n1\n"}
	if diff := cmp.Diff([]sent{whole, whole}, s.got, cmp.AllowUnexported(sent{})); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
	leftNothing(t)
}

// TestUploadOfTheStandardInputEndsWithCtrlC covers an interrupt that was ignored, and a second one that left the copy
// behind.
func TestUploadOfTheStandardInputEndsWithCtrlC(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	in, hold := io.Pipe()
	defer hold.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	var out, errs bytes.Buffer
	go func() {
		c := Command{Config: Config{URL: "http://localhost:1"}}
		code, _ := c.Run(ctx, in, &out, &errs, []string{"-"})
		ended <- code
	}()
	if _, err := io.WriteString(hold, "a\n1\n"); err != nil { // it is reading
		t.Fatal(err)
	}
	cancel()
	select {
	case code := <-ended:
		if code != codeFailed || !strings.Contains(errs.String(), "nothing was sent") {
			t.Errorf("got code %d and %q, want %d and that nothing was sent", code, &errs, codeFailed)
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("it still waits for the standard input")
	}
	leftNothing(t)
}

// leftNothing fails the test unless the directory for temporary files is empty.
func leftNothing(t *testing.T) {
	t.Helper()
	left, err := os.ReadDir(os.TempDir())
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}

// TestATokenOfTwoLinesIsRefusedAtOnce covers secrets with a line break inside: no request can carry them, so retries are
// useless.
func TestATokenOfTwoLinesIsRefusedAtOnce(t *testing.T) {
	for _, token := range []string{"sec\r\nret", "\x00"} {
		if _, err := New(Config{Caller: caller.Config{Token: token}}); err == nil || !strings.Contains(err.Error(), caller.TokenVariable) {
			t.Errorf("%q: got %v, want that the token is at fault", token, err)
		}
	}
	for _, token := range []string{"se.cr-et==", "secret\n"} {
		if _, err := New(Config{Caller: caller.Config{Token: token}}); err != nil {
			t.Error(err)
		}
	}
}

func TestARedirectAwayIsNotRetried(t *testing.T) {
	s := startServer(t, func(w http.ResponseWriter) {
		w.Header().Set("Location", "http://127.0.0.1:1/elsewhere")
		w.WriteHeader(http.StatusFound)
	})
	c, err := New(Config{URL: s.url, Caller: caller.Config{Token: "secret"}})
	if err != nil {
		t.Fatal(err)
	}
	c.sleep = func(context.Context, time.Duration) bool { t.Error("it is tried again"); return false }
	answer, err := c.Send(t.Context(), Source{Name: "a", Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("")), nil }}, nil, nil)
	if _, away := errors.AsType[*caller.RedirectError](err); !away || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v, %v, want a redirect that is refused", answer, err)
	}
}
