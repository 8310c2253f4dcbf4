package ingest

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"telemetry-pipeline/events/access"
	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/bounds"
	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
)

// TestASenderCannotTakeAllSlots: uploads beyond a sender's share wait behind that sender's own, and for nobody else's.
func TestASenderCannotTakeAllSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newSlots(4, 3, "4 uploads", time.Minute)
		var flood []func()
		for range 3 {
			leave, err := g.acquireSlot(t.Context(), "a", 1)
			if err != nil {
				t.Fatal(err)
			}
			flood = append(flood, leave)
		}
		waiting := make(chan error, 10)
		for range 10 {
			go func() {
				_, err := g.acquireSlot(t.Context(), "a", 1)
				waiting <- err
			}()
		}
		synctest.Wait()
		began := time.Now()
		for range 5 {
			leave, err := g.acquireSlot(t.Context(), "b", 1)
			if err != nil || time.Since(began) > 0 {
				t.Fatalf("another sender waited %s: %v", time.Since(began), err)
			}
			leave()
		}
		flood[0]()
		if err := <-waiting; err != nil {
			t.Errorf("the next of the sender's own: %v", err)
		}
		time.Sleep(time.Minute)
		for range 9 {
			if r := answer.RefusalOf(<-waiting); r.Status != http.StatusTooManyRequests || r.RetryAfter == 0 {
				t.Errorf("the sender's others: got %+v", r)
			}
		}
	})
}

// TestSharesAreForgotten: senders without uploads cost no memory, however their uploads ended.
func TestSharesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newSlots(2, 1, "2 uploads", time.Minute)
		acquire := func(ctx context.Context) func() {
			leave, err := g.acquireSlot(ctx, "a", 5)
			if err != nil {
				return func() {}
			}
			return leave
		}
		leave := acquire(t.Context())
		ended, cancel := context.WithCancel(t.Context())
		go acquire(ended)
		go acquire(t.Context()) // until the slots are closed
		synctest.Wait()
		cancel()
		g.closeSlots()
		leave()
		synctest.Wait()
		if len(g.shares) != 0 {
			t.Errorf("%d shares are left", len(g.shares))
		}
	})
}

// TestAFloodOfOnePrincipalIsNotFelt: one principal holds as many uploads as it may and sends a flood of names, and another one's
// uploads are neither refused nor late.
func TestAFloodOfOnePrincipalIsNotFelt(t *testing.T) {
	log := pipelinetest.NewRecorder()
	g := guardOf(t, access.Config{}, ofMany())
	s := startServer(t, Config{
		Guard: g.Guard, Uploads: 4, QueueTimeout: 2 * time.Second, Bounds: bounds.Config{SenderHosts: 10, SenderMetrics: 10},
	}, log, log)
	body := multipartOf(pipelinetest.DCGMFile(10, 2))
	var held []net.Conn
	for range 3 {
		c := dialServer(t, s)
		before := s.totals.inFlight.Load()
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: localhost\r\n%s\r\nContent-Type: multipart/form-data; boundary=%s\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n",
			uploadPath, g.header("a"), boundary, 100, body[:100])
		waitFor(t, "upload under way", func() bool { return s.totals.inFlight.Load() > before })
		held = append(held, c)
	}
	refused := make(chan response, 1)
	go func() { refused <- send(t, s, "PUT", uploadPath, largeFile(), g.header("a")) }()
	flood := send(t, s, "PUT", uploadPath, pipelinetest.DCGMFile(30, 30), g.header("a"))
	compareResponse(t, "a flood of hosts", flood, `200
{"accepted": 10, "rejected": 20}`)
	if !strings.Contains(flood.body, "too_many_hosts: a has brought 10 names of hosts") || !strings.Contains(flood.body, "ingest.principal-hosts") {
		t.Errorf("the reason is %s", flood.body)
	}
	for i := range 5 {
		began := time.Now()
		compareResponse(t, "another principal", send(t, s, "PUT", uploadPath+"?filename="+fmt.Sprint(i), largeFile(), g.header("b")), `200
{"success": true, "rejected": 0}`)
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("another principal waited %s", took)
		}
	}
	compareResponse(t, "the fourth of the first", <-refused, `429
Retry-After: 1
{"success": false, "code": "too_many_requests", "error": "/ingest.principal-uploads/"}`)
	for _, c := range held {
		fmt.Fprintf(c, "%x\r\n%s\r\n0\r\n\r\n", len(body)-100, body[100:])
		compareResponse(t, "the first ones", readResponse(t, bufio.NewReader(c)), `200
{"success": true}`)
	}
}
