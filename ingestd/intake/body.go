package intake

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"telemetry-pipeline/ingestd/answer"
)

// Body is a request's body as it comes from the socket. It bounds the bytes, the time of each read and the average
// rate, and can be stopped from another goroutine. The rate counts only time spent waiting for the client, so that a
// slow log is not held against it.
type Body struct {
	src         io.Reader
	declared    int64                 // bytes, by the request's header; negative: it does not say
	setDeadline func(time.Time) error // of reads on the connection
	limit       int64
	tooLarge    error
	readTimeout time.Duration
	minRate     int64

	live bool // the text may still be being written

	read int64

	mu           sync.Mutex
	stopCause    error // why reading was stopped
	waited       time.Duration
	waitingSince time.Time // since when a read waits; zero when none does
}

// NewBody returns a body that reads src under the bounds of a configuration. deadline sets the time until which a read on
// the connection may wait.
func NewBody(src io.Reader, declared int64, deadline func(time.Time) error, cfg Config) *Body {
	return &Body{
		src: src, declared: declared, setDeadline: deadline,
		limit: cfg.MaxUploadSize, tooLarge: answer.TooLarge(cfg.MaxUploadSize), readTimeout: cfg.ReadTimeout, minRate: cfg.MinRate,
	}
}

// Read reads from the socket. Its error is a refusal, or the cause with which reading was stopped.
func (b *Body) Read(p []byte) (int, error) {
	if err := b.startRead(); err != nil {
		return 0, err
	}
	n, err := b.src.Read(p)
	b.endRead()
	b.read += int64(n)
	if err == io.EOF && b.read < b.declared {
		err = io.ErrUnexpectedEOF // fasthttp takes a connection that ends for the end of the body
	}
	if err != nil && err != io.EOF {
		return n, b.refuseRead(err)
	}
	if exceeded := b.checkBounds(); exceeded != nil {
		return n, exceeded
	}
	return n, err
}

// startRead sets the deadline of the next read, unless reading was stopped.
func (b *Body) startRead() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopCause != nil {
		return b.stopCause
	}
	b.waitingSince = time.Now()
	return b.setDeadline(b.waitingSince.Add(b.readTimeout))
}

func (b *Body) endRead() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waited += time.Since(b.waitingSince)
	b.waitingSince = time.Time{}
}

// WaitTimes returns how long the sender has been waited for now, and in all.
func (b *Body) WaitTimes() (now, all time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.waitingSince.IsZero() {
		now = time.Since(b.waitingSince)
	}
	return now, b.waited + now
}

func (b *Body) checkBounds() error {
	if b.read > b.limit {
		return b.tooLarge
	}
	if _, waited := b.WaitTimes(); waited > b.readTimeout && float64(b.read) < float64(b.minRate)*waited.Seconds() {
		return answer.Refuse(answer.CodeStalled,
			"the upload was slower than %d bytes per second; send the file again over a better line, or in smaller files", b.minRate)
	}
	return nil
}

func (b *Body) refuseRead(err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopCause != nil {
		return b.stopCause
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		if b.live {
			return answer.Refuse(answer.CodeStalled,
				"nothing of the stream arrived for %s (flag ingest.stream-idle); send what follows in another", b.readTimeout).WithCause(err)
		}
		return answer.Refuse(answer.CodeStalled,
			"nothing of the file arrived for %s; send it again", b.readTimeout).WithCause(err)
	}
	return answer.TruncatedBody(err)
}

// StopReading ends the read under way and all later ones with cause. The first cause stays.
func (b *Body) StopReading(cause error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopCause != nil {
		return
	}
	b.stopCause = cause
	_ = b.setDeadline(time.Unix(1, 0)) // fails only on a connection that is closed already
}

// StopWith stops the body when ctx ends, until release is called. After release nothing touches the
// connection any more.
func (b *Body) StopWith(ctx context.Context) (release func()) {
	stopped := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(stopped)
		b.StopReading(context.Cause(ctx))
	})
	return func() {
		if !cancel() {
			<-stopped
		}
	}
}
