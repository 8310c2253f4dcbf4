package ingest

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"telemetry-pipeline/ingestd/answer"
)

// slots lets uploads in while they take a bounded sum of places, in the order in which they come, and none once it is
// closed. An upload that finds too few places free waits for a while: its body waits in the sender's socket, which costs
// nothing here.
type slots struct {
	sem          *semaphore.Weighted
	size         int64
	full         string // describes the uploads that take all places
	queueTimeout time.Duration
	openCtx      context.Context // ends when the slots are closed
	cancelOpen   context.CancelFunc

	mu     sync.Mutex
	used   int // uploads
	closed bool
	empty  chan struct{} // closed once the slots are closed and none is used
}

func newSlots(size int64, full string, patience time.Duration) *slots {
	g := &slots{sem: semaphore.NewWeighted(size), size: size, full: full, queueTimeout: patience, empty: make(chan struct{})}
	g.openCtx, g.cancelOpen = context.WithCancel(context.Background())
	return g
}

// acquireSlot takes a number of places, at most all, and waits for them until ctx ends. The caller releases them by leave.
func (g *slots) acquireSlot(ctx context.Context, places int64) (leave func(), err error) {
	places = min(places, g.size)
	if !g.sem.TryAcquire(places) {
		if err := g.awaitSlot(ctx, places); err != nil {
			return nil, err
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil, answer.ServerStopping() // the places acquired meanwhile are of no use
	}
	g.used++
	return func() { g.releaseSlot(places) }, nil
}

func (g *slots) awaitSlot(ctx context.Context, places int64) error {
	patient, cancel := context.WithTimeout(ctx, g.queueTimeout)
	defer cancel()
	defer context.AfterFunc(g.openCtx, cancel)()
	if g.sem.Acquire(patient, places) == nil || g.isClosed() {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return answer.Refuse(answer.CodeTooManyUploads,
		"%s are under way, as many as this server takes at a time, and too few ended within %s; "+
			"send the file again shortly", g.full, g.queueTimeout).WithRetryAfter(time.Second)
}

func (g *slots) releaseSlot(places int64) {
	g.sem.Release(places)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.used--
	g.closeIfEmpty()
}

// closeSlots lets no upload in any more, not even a waiting one, and returns a channel that is closed when all slots
// are released. Calling it again changes nothing.
func (g *slots) closeSlots() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.closed = true
		g.cancelOpen()
		g.closeIfEmpty()
	}
	return g.empty
}

func (g *slots) closeIfEmpty() {
	if g.closed && g.used == 0 {
		close(g.empty)
	}
}

func (g *slots) isClosed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed
}
