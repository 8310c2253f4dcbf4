package eventlog

import (
	"context"
	"sync"
	"telemetry-pipeline/events"

	"go.etcd.io/etcd/api/v3/mvccpb"
)

// arrival is what one answer of a watch brought: events as they are stored, and how far the log has been
// told with them.
type arrival struct {
	kvs   []*mvccpb.KeyValue
	upto  int64
	bytes int
}

// queue is between the goroutine that hears etcd and the reader of a Watch. It is bounded by bytes, save
// that an empty queue takes one arrival of any size. One goroutine puts, one takes.
type queue struct {
	bound int
	ready chan struct{} // holds a token when something may have changed

	mu      sync.Mutex
	waiting []arrival
	bytes   int
	end     error // what there is after the waiting ones
}

func newQueue(bound int) *queue {
	return &queue{bound: bound, ready: make(chan struct{}, 1)}
}

// put adds an arrival, or ends the queue with ErrOverflow. Mere progress takes no place of its own.
func (q *queue) put(a arrival) (fits bool) {
	defer q.wake()
	q.mu.Lock()
	defer q.mu.Unlock()
	if n := len(q.waiting); len(a.kvs) == 0 && n > 0 {
		q.waiting[n-1].upto = max(q.waiting[n-1].upto, a.upto)
		return true
	}
	if len(q.waiting) > 0 && q.bytes+a.bytes > q.bound {
		q.end = events.ErrOverflow
		return false
	}
	q.waiting = append(q.waiting, a)
	q.bytes += a.bytes
	return true
}

// close ends the queue; what waits is still taken before err.
func (q *queue) close(err error) {
	defer q.wake()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.end == nil {
		q.end = err
	}
}

func (q *queue) wake() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// take waits for the next arrival. ctx's end comes before what waits.
func (q *queue) take(ctx context.Context) (arrival, error) {
	for {
		if ctx.Err() != nil {
			return arrival{}, context.Cause(ctx)
		}
		if a, err, ok := q.next(); ok {
			return a, err
		}
		select {
		case <-q.ready:
		case <-ctx.Done():
		}
	}
}

func (q *queue) next() (a arrival, err error, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		return arrival{}, q.end, q.end != nil
	}
	a = q.waiting[0]
	q.waiting[0] = arrival{}
	q.waiting = q.waiting[1:]
	q.bytes -= a.bytes
	return a, nil, true
}
