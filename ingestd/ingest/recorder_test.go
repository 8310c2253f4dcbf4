package ingest

import (
	"bytes"
	"cmp"
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/intake"
	"telemetry-pipeline/ingestd/pipeline"
	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
)

func TestMain(m *testing.M) {
	eventstest.OverlapTests()
	eventstest.Main(m)
}

// startServer runs a server on a free loopback port for the length of the test.
func startServer(t testing.TB, cfg Config, log eventLog, folded projector) *Server {
	t.Helper()
	return startLogged(t, cfg, log, folded, nil)
}

func startLogged(t testing.TB, cfg Config, log eventLog, folded projector, lg *slog.Logger) *Server {
	t.Helper()
	cfg.Host, cfg.Port = "127.0.0.1", FreePort
	cfg.Spool.Dir = cmp.Or(cfg.Spool.Dir, t.TempDir())
	s, err := New(cfg, log, folded, lg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	waitFor(t, "listening", func() bool { return s.Addr() != nil })
	return s
}

// testTimeout bounds the wait of a test for an expected state: far more than it takes, since machines are busy.
const testTimeout = 2 * time.Minute

func waitFor(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(testTimeout); !is(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", testTimeout, what)
		}
		time.Sleep(time.Millisecond)
	}
}

func dialServer(t testing.TB, s *Server) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(testTimeout))
	return c
}

// setCapacity sets the capacity of a log, or its error, and refreshes the server's admission.
func setCapacity(s *Server, log *pipelinetest.Recorder, c eventlog.Capacity, unheard error) {
	log.SetCapacity(c, unheard)
	s.admission.refreshState(context.Background())
}

// ingestFile processes a file with a server that is not listening.
func ingestFile(t *testing.T, log *pipelinetest.Recorder, file []byte) {
	t.Helper()
	s, err := New(Config{}, log, log, nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := pipeline.ParseParameters(nil, "UTC", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.runner.ProcessFile(t.Context(), intake.NewFile("", bytes.NewReader(file), nil), p, answer.NewReceipt()); err != nil {
		t.Fatal(err)
	}
}
