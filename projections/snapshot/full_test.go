package snapshot

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"telemetry-pipeline/events/eventlog"
)

func TestFullEtcdIsLoggedOnceAndForgottenOnceItTakesWrites(t *testing.T) {
	var out logLines
	s := &Store{lg: slog.New(slog.NewTextHandler(&out, nil))}
	if err := s.Writable(); err != nil {
		t.Errorf("before any write: %v", err)
	}
	for range 3 {
		s.noteWrite(rpctypes.ErrNoSpace)
		s.noteWrite(errors.New("some other trouble"))
	}
	if err := s.Writable(); !errors.Is(err, eventlog.ErrNoSpace) {
		t.Errorf("got %v, want that etcd is out of space", err)
	}
	s.space.refusedAt.Add(-int64(refusalTTL + time.Second))
	if err := s.Writable(); err != nil {
		t.Errorf("nothing has asked etcd for a while, and still: %v", err)
	}
	s.noteWrite(nil)
	s.noteWrite(nil)
	if err := s.Writable(); err != nil {
		t.Errorf("etcd took a write, and still: %v", err)
	}
	for _, text := range []string{"out of space", "takes projections again"} {
		if n := strings.Count(out.String(), text); n != 1 {
			t.Errorf("%q was logged %d times, want once:\n%s", text, n, &out)
		}
	}
}

// logLines is a log that is read while it is written.
type logLines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
