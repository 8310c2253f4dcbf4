package snapshot

import (
	"context"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
)

// arrival is what one answer of a watch brought: changes, and how far its source has been told with them.
// Without changes it is word that etcd is there and that nothing else came.
type arrival struct {
	source  source
	changes []*clientv3.Event
	upto    int64
}

// source is one of the two watches that a Watch unites.
type source int

const (
	fromModels source = iota
	fromOffsets
	sources
)

// changes are those of one revision, by the source that brought them.
type changes [sources][]*clientv3.Event

// queue is between the goroutine that hears etcd and the reader of a Watch. It is bounded by the bytes that
// were put and not yet released, for each source by itself, since a transaction is complete with both; when
// there are none of a source it takes one arrival of any size. One goroutine puts, one takes and releases.
type queue struct {
	bound int
	ready chan struct{} // holds a token when something may have changed

	mu      sync.Mutex
	waiting []arrival
	bytes   [sources]int
	end     error
}

func newQueue(bound int) *queue { return &queue{bound: bound, ready: make(chan struct{}, 1)} }

// put adds an arrival, or ends the queue with events.ErrOverflow.
func (q *queue) put(a arrival) (fits bool) {
	defer q.wake()
	size := sizeOf(a.changes...)
	q.mu.Lock()
	defer q.mu.Unlock()
	if held := q.bytes[a.source]; size > 0 && held > 0 && held+size > q.bound {
		q.end, q.waiting = events.ErrOverflow, nil
		return false
	}
	if n := len(q.waiting); n > 0 && size == 0 && q.waiting[n-1].source == a.source {
		q.waiting[n-1].upto = a.upto
		return true
	}
	q.waiting = append(q.waiting, a)
	q.bytes[a.source] += size
	return true
}

// close ends the queue with err; what waits is dropped, for its reader starts again anyway.
func (q *queue) close(err error) {
	defer q.wake()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.end == nil {
		q.end, q.waiting = err, nil
	}
}

func (q *queue) wake() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// take waits for what has arrived.
func (q *queue) take(ctx context.Context) ([]arrival, error) {
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		q.mu.Lock()
		waiting, end := q.waiting, q.end
		q.waiting = nil
		q.mu.Unlock()
		if end != nil || len(waiting) > 0 {
			return waiting, end
		}
		select {
		case <-q.ready:
		case <-ctx.Done():
		}
	}
}

// release makes room: the reader has dealt with changes.
func (q *queue) release(c changes) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for source := range c {
		q.bytes[source] -= sizeOf(c[source]...)
	}
}

// sizeOf is about what changes take while they wait.
func sizeOf(changes ...*clientv3.Event) int {
	size := 0
	for _, ev := range changes {
		size += len(ev.Kv.Key) + len(ev.Kv.Value) + 128
	}
	return size
}
