package upload

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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

// TestATokenWithALineEndIsRefusedAtOnce covers secrets that end with a line break: no request can carry them, so
// retries are useless.
func TestATokenWithALineEndIsRefusedAtOnce(t *testing.T) {
	for _, token := range []string{"secret\n", "sec\r\nret", "\x00"} {
		if _, err := New(Config{Token: token}); err == nil || !strings.Contains(err.Error(), "flag token") {
			t.Errorf("%q: got %v, want that the token is at fault", token, err)
		}
	}
	if _, err := New(Config{Token: "se.cr-et=="}); err != nil {
		t.Error(err)
	}
}
