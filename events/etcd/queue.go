package etcd

import (
	"context"
	"sync"

	"telemetry-pipeline/events/wait"
)

// Queue buffers responses between the goroutine of a Watch and its reader. Each range has its own bound in bytes,
// since a reader of two ranges may need a response of the other range to continue. A range with an empty buffer
// accepts one response of any size. There may be one writer and one reader.
//
// A reader uses either Next or All.
type Queue struct {
	bound int
	ready wait.Signal

	mu      sync.Mutex
	waiting []Response
	held    [maxRanges]int
	end     error // nil while the queue is open
}

// NewQueue returns an empty queue with a bound in bytes per range.
func NewQueue(bound int) *Queue { return &Queue{bound: bound, ready: wait.NewSignal()} }

// Put adds a response and reports whether it fits. If it does not, the reader was too slow: end the watch and Close
// the queue. A response without events needs no room, and is merged into the last response if that has the same
// range.
func (q *Queue) Put(r Response) bool {
	defer q.ready.Set()
	q.mu.Lock()
	defer q.mu.Unlock()
	if held := q.held[r.Range]; r.Bytes > 0 && held > 0 && held+r.Bytes > q.bound {
		return false
	}
	if n := len(q.waiting); n > 0 && len(r.Events) == 0 && q.waiting[n-1].Range == r.Range {
		q.waiting[n-1].Upto = max(q.waiting[n-1].Upto, r.Upto)
		return true
	}
	q.waiting = append(q.waiting, r)
	q.held[r.Range] += r.Bytes
	return true
}

// Close ends the queue. Only the first error counts.
func (q *Queue) Close(err error) {
	defer q.ready.Set()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.end == nil {
		q.end = err
	}
}

// Next waits for the next response and frees its room. The end of ctx takes precedence over waiting responses. The
// error of Close comes after them, so that a reader that continues from its position need not read them again.
func (q *Queue) Next(ctx context.Context) (Response, error) {
	for {
		if ctx.Err() != nil {
			return Response{}, context.Cause(ctx)
		}
		if r, err, ok := q.popResponse(); ok {
			return r, err
		}
		select {
		case <-q.ready.C():
		case <-ctx.Done():
		}
	}
}

func (q *Queue) popResponse() (r Response, err error, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		return Response{}, q.end, q.end != nil
	}
	r = q.waiting[0]
	q.waiting[0] = Response{}
	q.waiting = q.waiting[1:]
	q.held[r.Range] -= r.Bytes
	return r, nil, true
}

// All waits for responses and returns all that are waiting. They occupy their room until Release, for a reader that
// keeps them until a transaction is complete. The error of Close takes precedence over waiting responses, since that
// reader starts again anyway.
func (q *Queue) All(ctx context.Context) ([]Response, error) {
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		q.mu.Lock()
		waiting, end := q.waiting, q.end
		q.waiting = nil
		q.mu.Unlock()
		if end != nil {
			return nil, end
		}
		if len(waiting) > 0 {
			return waiting, nil
		}
		select {
		case <-q.ready.C():
		case <-ctx.Done():
		}
	}
}

// Release frees room of each range, after the reader of All has processed so many bytes.
func (q *Queue) Release(bytes [maxRanges]int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range bytes {
		q.held[i] -= bytes[i]
	}
}
