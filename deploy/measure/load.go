package measure

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"telemetry-pipeline/events/wait"
)

// Target is an address that a load is sent to, and its server.
type Target struct {
	Process *Process
	Address string // with path and parameters
	Kind    string // content type
}

// Load is the result of a load.
type Load struct {
	Sent    int64
	Elapsed time.Duration
	CPU     time.Duration // of the server
	Answers []float64     // times of the answers, in milliseconds
	Refused int64         // answers of 429 and 503, whose bodies were sent again
}

// PerSecond returns the bodies per second.
func (l *Load) PerSecond() float64 { return float64(l.Sent) / l.Elapsed.Seconds() }

// CPUPer returns the processor time of the server for one of so many things per body, in microseconds.
func (l *Load) CPUPer(things int) float64 {
	return float64(l.CPU.Microseconds()) / float64(max(l.Sent, 1)*int64(things))
}

// SendLoop has so many clients send one body after the other for a while.
func SendLoop(ctx context.Context, t Target, clients int, during time.Duration, body func(buf []byte, n int64) []byte) (*Load, error) {
	var next atomic.Int64
	until := time.Now().Add(during)
	return sendAll(ctx, t, clients, func() (int64, time.Time, bool) {
		return next.Add(1) - 1, time.Now(), time.Now().Before(until)
	}, body)
}

// SendPaced sends bodies at a pace, the n-th at n times the interval from now on, from as many clients as that takes.
// It ends after a time even if a server is too slow for all of them. Times of answers count from the instant at which a body was due, so that a body that waits for a free client is late.
func SendPaced(ctx context.Context, t Target, clients int, bodies int64, interval, within time.Duration, body func(buf []byte, n int64) []byte) (*Load, error) {
	var next atomic.Int64
	began := time.Now()
	return sendAll(ctx, t, clients, func() (int64, time.Time, bool) {
		n := next.Add(1) - 1
		due := began.Add(time.Duration(n) * interval)
		if n >= bodies || time.Since(began) > within || !wait.Sleep(ctx, time.Until(due)) {
			return n, due, false
		}
		return n, due, true
	}, body)
}

// sendAll has clients send the bodies that next names, until it names none.
func sendAll(ctx context.Context, t Target, clients int, next func() (n int64, due time.Time, more bool), body func(buf []byte, n int64) []byte) (*Load, error) {
	before, err := t.Process.Usage()
	if err != nil {
		return nil, err
	}
	out := &Load{}
	var mu sync.Mutex // guards out
	began := time.Now()
	_, err = Together(clients, func(int) error {
		var mine Load
		err := mine.sendMany(ctx, t, next, body)
		mu.Lock()
		defer mu.Unlock()
		out.Sent += mine.Sent
		out.Refused += mine.Refused
		out.Answers = append(out.Answers, mine.Answers...)
		return err
	})
	if err != nil {
		return nil, err
	}
	out.Elapsed = time.Since(began)
	after, err := t.Process.Usage()
	out.CPU = after.CPU - before.CPU
	return out, err
}

const refusedPause = 100 * time.Millisecond

// sendMany is the work of one client.
func (l *Load) sendMany(ctx context.Context, t Target, next func() (int64, time.Time, bool), body func([]byte, int64) []byte) error {
	s, err := NewSender(t.Address, t.Kind)
	if err != nil {
		return err
	}
	defer s.Close()
	var buf []byte
	for {
		n, due, more := next()
		if !more {
			return ctx.Err()
		}
		buf = body(buf[:0], n)
		for {
			status, answer, err := s.Send(ctx, buf)
			if err != nil {
				return err
			}
			if status/100 == 2 {
				break
			}
			if l.Refused++; status != 429 && status != 503 {
				return fmt.Errorf("%s: %d: %.300s", t.Address, status, answer)
			}
			if !wait.Sleep(ctx, refusedPause) {
				return ctx.Err()
			}
		}
		l.Sent++
		l.Answers = append(l.Answers, Milliseconds(time.Since(due)))
	}
}

// Together runs work in so many goroutines and returns the time until the last has ended, and the first error.
func Together(n int, work func(i int) error) (time.Duration, error) {
	var all sync.WaitGroup
	errs := make(chan error, n)
	began := time.Now()
	for i := range n {
		all.Go(func() {
			if err := work(i); err != nil {
				errs <- err
			}
		})
	}
	all.Wait()
	took := time.Since(began)
	select {
	case err := <-errs:
		return took, err
	default:
		return took, nil
	}
}

// Milliseconds returns a time in milliseconds.
func Milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
