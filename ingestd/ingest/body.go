package ingest

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
)

// body is a request's body on its way from the socket. It bounds the bytes, gives the client a time for each
// read and a least rate, and can be stopped from another goroutine. The rate counts only time spent
// waiting for the client, so that a slow log is not held against it.
type body struct {
	src      io.Reader
	declared int64                 // bytes, by the request's header; negative: it does not say
	deadline func(time.Time) error // of reads on the connection
	limit    int64
	tooLarge error
	patience time.Duration
	minRate  int64

	live bool // the text may still be being written

	read int64

	mu      sync.Mutex
	done    error // why reading was stopped
	waited  time.Duration
	waiting time.Time // since when a read waits; zero when none does
}

func (b *body) Read(p []byte) (int, error) {
	if err := b.arm(); err != nil {
		return 0, err
	}
	n, err := b.src.Read(p)
	b.disarm()
	b.read += int64(n)
	if err == io.EOF && b.read < b.declared {
		err = io.ErrUnexpectedEOF // fasthttp takes a connection that ends for the end of the body
	}
	if err != nil && err != io.EOF {
		return n, b.explain(err)
	}
	if verdict := b.judge(); verdict != nil {
		return n, verdict
	}
	return n, err
}

// arm gives the next read its time, unless reading was stopped.
func (b *body) arm() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.done != nil {
		return b.done
	}
	b.waiting = time.Now()
	return b.deadline(b.waiting.Add(b.patience))
}

func (b *body) disarm() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waited += time.Since(b.waiting)
	b.waiting = time.Time{}
}

// pause tells how long the sender has been waited for now, and in all.
func (b *body) pause() (now, all time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.waiting.IsZero() {
		now = time.Since(b.waiting)
	}
	return now, b.waited + now
}

func (b *body) judge() error {
	if b.read > b.limit {
		return b.tooLarge
	}
	if _, waited := b.pause(); waited > b.patience && float64(b.read) < float64(b.minRate)*waited.Seconds() {
		return refuse(fiber.StatusRequestTimeout, codeStalled,
			"the upload was slower than %d bytes per second; send the file again over a better line, or in smaller files", b.minRate)
	}
	return nil
}

func (b *body) explain(err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.done != nil {
		return b.done
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		if b.live {
			return refuse(fiber.StatusRequestTimeout, codeStalled,
				"nothing of the stream arrived for %s (flag ingest.stream-idle); send what follows in another", b.patience).because(err)
		}
		return refuse(fiber.StatusRequestTimeout, codeStalled,
			"nothing of the file arrived for %s; send it again", b.patience).because(err)
	}
	return truncated(err)
}

// stop ends the read under way and all later ones with cause. The first cause stays.
func (b *body) stop(cause error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.done != nil {
		return
	}
	b.done = cause
	_ = b.deadline(time.Unix(1, 0)) // a connection that takes no deadline is closed already
}

// stopWith stops the body when ctx ends, until release is called. After release nothing touches the
// connection any more.
func (b *body) stopWith(ctx context.Context) (release func()) {
	stopped := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(stopped)
		b.stop(context.Cause(ctx))
	})
	return func() {
		if !cancel() {
			<-stopped
		}
	}
}
