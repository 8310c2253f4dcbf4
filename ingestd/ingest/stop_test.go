package ingest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
	"telemetry-pipeline/ingestd/spool"
)

func TestStopLetsUploadsFinishAndRefusesNewOnes(t *testing.T) {
	log := pipelinetest.NewRecorder()
	s, err := New(Config{Host: "127.0.0.1", Port: FreePort, Spool: spool.Config{Dir: t.TempDir()}}, log, log, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	waitFor(t, "ready", func() bool { return s.Ready() == nil })

	body := multipartOf(pipelinetest.DCGMFile(10, 2))
	c := beginUpload(t, s, body[:100])
	cancel()
	waitFor(t, "stopping", func() bool { return s.Ready() != nil })
	compareResponse(t, "new upload", postFile(t, s, "", pipelinetest.DCGMFile(1, 1)), `503
Retry-After: 5
{"success": false, "code": "stopping", "error": "*"}`)
	compareResponse(t, "upload under way", endUpload(t, c, body[100:]), `200
{"success": true, "accepted": 10}`)
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	if c, err := net.Dial("tcp", s.Addr().String()); err == nil {
		c.Close()
		t.Error("the listener is still open after Run returned")
	}
}

func TestStopCutsWhatDoesNotFinish(t *testing.T) {
	t.Parallel()
	log := pipelinetest.NewRecorder()
	release := log.HoldAppends()
	defer release()
	s, err := New(Config{Host: "127.0.0.1", Port: FreePort, Spool: spool.Config{Dir: t.TempDir()}, DrainTimeout: 50 * time.Millisecond}, log, log, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	waitFor(t, "listening", func() bool { return s.Addr() != nil })
	body := multipartOf(pipelinetest.DCGMFile(10, 2))
	silent, held := beginUpload(t, s, body[:100]), beginUpload(t, s, body)
	fmt.Fprint(held, "0\r\n\r\n")
	cancel()
	for _, c := range []net.Conn{silent, held} {
		compareResponse(t, "upload that was cut", readResponse(t, bufio.NewReader(c)), `503
Retry-After: 5
{"success": false, "code": "stopping"}`)
	}
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// An upload that waits to be visible occupies no slot, and a stop answers it.
func TestWaitingUploadIsInNobodysWay(t *testing.T) {
	log := pipelinetest.NewRecorder()
	s, err := New(Config{Host: "127.0.0.1", Port: FreePort, Spool: spool.Config{Dir: t.TempDir()}, Uploads: 1, WaitTimeout: time.Minute}, log, log, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	waitFor(t, "ready", func() bool { return s.Ready() == nil })

	answer := make(chan response, 1)
	go func() {
		answer <- postFile(t, s, "?wait=true", bytes.ReplaceAll(pipelinetest.DCGMFile(1, 1), []byte("host-0"), []byte("never-folded")))
	}()
	waitFor(t, "stored", func() bool { return len(log.StoredEvents(t)) == 1 && s.totals.inFlight.Load() == 0 })
	compareResponse(t, "other upload", postFile(t, s, "", pipelinetest.DCGMFile(3, 1)), `200
{"success": true, "accepted": 3}`)
	cancel()
	compareResponse(t, "waiting upload", <-answer, `202
{"success": true, "status": "stored", "accepted": 1}`)
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// A stop may come before the goroutine that accepts has the listener.
func TestStopRightAtTheStart(t *testing.T) {
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	for range 50 {
		log := pipelinetest.NewRecorder()
		s, err := New(Config{Host: "127.0.0.1", Port: FreePort, Spool: spool.Config{Dir: t.TempDir()}}, log, log, nil)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- s.Run(stopped) }()
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("Run: %v", err)
			}
		case <-time.After(testTimeout):
			t.Fatal("Run does not return")
		}
		if c, err := net.Dial("tcp", s.Addr().String()); err == nil {
			c.Close()
			t.Fatal("the listener is still open after Run returned")
		}
	}
}
