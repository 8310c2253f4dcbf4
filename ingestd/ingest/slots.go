package ingest

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"telemetry-pipeline/ingestd/answer"
)

// slots lets a bounded number of uploads in, in the order in which they come, and none once it is closed. An
// upload that finds all places taken waits for a while: its body waits in the sender's socket, which costs
// nothing here.
type slots struct {
	places   *semaphore.Weighted
	size     int
	what     string // that it lets in, in the plural
	patience time.Duration
	open     context.Context // ends when the slots are closed
	shut     context.CancelFunc

	mu     sync.Mutex
	inside int
	closed bool
	empty  chan struct{} // closed once the slots are closed and nobody is inside
}

func newSlots(what string, places int, patience time.Duration) *slots {
	g := &slots{places: semaphore.NewWeighted(int64(places)), size: places, what: what, patience: patience, empty: make(chan struct{})}
	g.open, g.shut = context.WithCancel(context.Background())
	return g
}

// enter takes a place, waiting for one, but not when ctx has ended. The caller leaves it.
func (g *slots) enter(ctx context.Context) error {
	patient, cancel := context.WithTimeout(ctx, g.patience)
	defer cancel()
	defer context.AfterFunc(g.open, cancel)()
	if g.places.Acquire(patient, 1) != nil && !g.isClosed() {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return answer.Refuse(answer.CodeBusy,
			"%d %s are under way, as many as this server takes at a time, and none ended within %s; "+
				"send the file again shortly", g.size, g.what, g.patience).After(time.Second)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return answer.Stopping() // a place taken meanwhile is of no more use to anybody
	}
	g.inside++
	return nil
}

func (g *slots) leave() {
	g.places.Release(1)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	g.closeIfEmpty()
}

// close lets nobody in any more, not even those who wait, and returns a channel that is closed when all have left. Calling
// it again changes nothing.
func (g *slots) close() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.closed = true
		g.shut()
		g.closeIfEmpty()
	}
	return g.empty
}

func (g *slots) closeIfEmpty() {
	if g.closed && g.inside == 0 {
		close(g.empty)
	}
}

func (g *slots) isClosed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed
}
