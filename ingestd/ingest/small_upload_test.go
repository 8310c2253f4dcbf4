package ingest

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/gzip"

	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
)

// largeFile returns a file that is too large for a small upload.
func largeFile() []byte { return pipelinetest.DCGMFile(1000, 1) }

// A small upload does not wait for large ones.
func TestSmallUploadsPassLargeOnes(t *testing.T) {
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{Uploads: 1, QueueTimeout: 50 * time.Millisecond}, log, log)
	body := multipartOf(pipelinetest.DCGMFile(10, 2))
	first := beginUpload(t, s, body[:100])
	compareResponse(t, "large upload", postFile(t, s, "", largeFile()), `503
Retry-After: 1
{"success": false, "code": "too_many_uploads", "error": "*"}`)
	for range 3 {
		compareResponse(t, "small upload", postFile(t, s, "", pipelinetest.DCGMFile(7, 1)), `200
{"success": true}`)
	}
	compareResponse(t, "first upload", endUpload(t, first, body[100:]), `200
{"success": true, "accepted": 10}`)
}

// A small upload whose packed text is large takes the memory of a large one, and waits for it.
func TestPackedUploadsTakeTheMemoryOfTheirText(t *testing.T) {
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{Uploads: 1, QueueTimeout: 50 * time.Millisecond}, log, log)
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(largeFile()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if packed.Len() > maxSmallUpload/2 {
		t.Fatalf("the packed file has %d bytes and is no small upload", packed.Len())
	}
	body := multipartOf(pipelinetest.DCGMFile(10, 2))
	first := beginUpload(t, s, body[:100])
	compareResponse(t, "while another has the only slot", postFile(t, s, "", packed.Bytes()), `503
Retry-After: 1
{"success": false, "code": "too_many_uploads", "error": "*"}`)
	compareResponse(t, "first upload", endUpload(t, first, body[100:]), `200
{"success": true, "accepted": 10}`)
	compareResponse(t, "alone", postFile(t, s, "", packed.Bytes()), `200
{"success": true, "accepted": 1000}`)
}

// Small uploads are bounded by the sum of their bytes, and wait for one another.
func TestSmallUploadsAreBoundedByBytes(t *testing.T) {
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{MaxMemory: smallShare * maxSmallMemory, QueueTimeout: 50 * time.Millisecond}, log, log)
	file := pipelinetest.DCGMFile(500, 1)
	held := beginDeclared(t, s, file)
	compareResponse(t, "upload that fits in no more", postFile(t, s, "", file), `503
Retry-After: 1
{"success": false, "code": "too_many_uploads", "error": "*"}`)
	compareResponse(t, "upload that fits in besides", postFile(t, s, "", pipelinetest.DCGMFile(1, 1)), `200
{"success": true}`)
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "end of the first", func() bool { return s.totals.inFlight.Load() == 0 })
	compareResponse(t, "upload after it", postFile(t, s, "", file), `200
{"success": true, "record_count": 500}`)
}

// beginDeclared begins an upload of known size and sends the first part of it.
func beginDeclared(t *testing.T, s *Server, file []byte) net.Conn {
	t.Helper()
	c := dialServer(t, s)
	head := "POST /api/v1/csv/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + strconv.Itoa(len(file)) + "\r\n\r\n"
	if _, err := c.Write(append([]byte(head), file[:len(file)/2]...)); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "upload under way", func() bool { return s.totals.inFlight.Load() == 1 })
	return c
}

// Of the memory that a configuration allows, small and other uploads together take no more than all.
func TestMemoryOfUploadsIsShared(t *testing.T) {
	for _, c := range []Config{{}, {MaxMemory: 512 << 20, Uploads: 100}, {MaxMemory: 8 << 20, Uploads: 3}} {
		c = c.withDefaults()
		if sum := c.smallMemory() + int64(c.Uploads)*c.uploadMemory(); sum > c.MaxMemory {
			t.Errorf("%d of %d bytes: small uploads take %d and each of %d others %d", sum, c.MaxMemory, c.smallMemory(), c.Uploads, c.uploadMemory())
		}
	}
}

// Places are taken in the order in which uploads come, by weight, and none once the slots are closed.
func TestSlotsByWeight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newSlots(10, 10, "10 places", time.Minute)
		leave, err := g.acquireSlot(t.Context(), "", 7)
		if err != nil {
			t.Fatal(err)
		}
		second := make(chan error, 1)
		go func() {
			leave, err := g.acquireSlot(t.Context(), "", 100) // all of them
			if err == nil {
				leave()
			}
			second <- err
		}()
		synctest.Wait()
		third := make(chan error, 1)
		go func() {
			_, err := g.acquireSlot(t.Context(), "", 1)
			third <- err
		}()
		synctest.Wait()
		if len(second)+len(third) > 0 {
			t.Fatal("places were taken that are not free, or out of turn")
		}
		leave()
		if err := <-second; err != nil {
			t.Error(err)
		}
		if err := <-third; err != nil {
			t.Error(err)
		}
		began := time.Now()
		_, err = g.acquireSlot(t.Context(), "", 10)
		if r, ok := errors.AsType[*answer.Refusal](err); !ok || r.Code != answer.CodeTooManyUploads || !strings.HasPrefix(r.Text, "10 places are under way") || r.Status != http.StatusServiceUnavailable {
			t.Errorf("got %v, want that too many uploads are under way", err)
		}
		if waited := time.Since(began); waited != time.Minute {
			t.Errorf("waited for %s, want 1m", waited)
		}
		g.closeSlots()
		if _, err := g.acquireSlot(t.Context(), "", 1); err == nil {
			t.Error("a slot was acquired after the slots were closed")
		}
	})
}

// By default, a fleet of 40,000 GPUs may report every second through one client.
func TestFleetBehindOneClientIsNotRefused(t *testing.T) {
	l := newClientLimiter(Config{}.withDefaults().Rates)
	now := time.Now()
	for second := range 10 {
		for upload := range 5000 {
			if _, _, wait := l.allowUpload("agent", now.Add(time.Duration(second)*time.Second)); wait > 0 {
				t.Fatalf("upload %d of second %d has to wait for %s", upload, second, wait)
			}
		}
	}
}
