package ingest

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"telemetry-pipeline/ingestd/answer"
)

// slots lets a bounded number of uploads in, in the order in which they come, and none once it is closed. An
// upload that finds all slots taken waits for a while: its body waits in the sender's socket, which costs
// nothing here.
type slots struct {
	sem          *semaphore.Weighted
	size         int
	plural       string // that it lets in, in the plural
	queueTimeout time.Duration
	openCtx      context.Context // ends when the slots are closed
	cancelOpen   context.CancelFunc

	mu     sync.Mutex
	used   int
	closed bool
	empty  chan struct{} // closed once the slots are closed and none is used
}

func newSlots(what string, places int, patience time.Duration) *slots {
	g := &slots{sem: semaphore.NewWeighted(int64(places)), size: places, plural: what, queueTimeout: patience, empty: make(chan struct{})}
	g.openCtx, g.cancelOpen = context.WithCancel(context.Background())
	return g
}

// acquireSlot takes a slot and waits for one, until ctx ends. The caller releases it.
func (g *slots) acquireSlot(ctx context.Context) error {
	patient, cancel := context.WithTimeout(ctx, g.queueTimeout)
	defer cancel()
	defer context.AfterFunc(g.openCtx, cancel)()
	if g.sem.Acquire(patient, 1) != nil && !g.isClosed() {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return answer.Refuse(answer.CodeTooManyUploads,
			"%d %s are under way, as many as this server takes at a time, and none ended within %s; "+
				"send the file again shortly", g.size, g.plural, g.queueTimeout).WithRetryAfter(time.Second)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return answer.ServerStopping() // the slot acquired meanwhile is of no use
	}
	g.used++
	return nil
}

func (g *slots) releaseSlot() {
	g.sem.Release(1)
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
