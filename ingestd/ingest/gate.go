package ingest

import (
	"context"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
	"golang.org/x/sync/semaphore"
)

// gate lets a bounded number of uploads in, in the order in which they come, and none once it is closed. An
// upload that finds all places taken waits for a while: its body waits in the sender's socket, which costs
// nothing here.
type gate struct {
	places   *semaphore.Weighted
	size     int
	what     string // that it lets in, in the plural
	patience time.Duration
	open     context.Context // ends when the gate is closed
	shut     context.CancelFunc

	mu     sync.Mutex
	inside int
	closed bool
	empty  chan struct{} // closed once the gate is closed and nobody is inside
}

func newGate(what string, places int, patience time.Duration) *gate {
	g := &gate{places: semaphore.NewWeighted(int64(places)), size: places, what: what, patience: patience, empty: make(chan struct{})}
	g.open, g.shut = context.WithCancel(context.Background())
	return g
}

// enter takes a place, waiting for one, but not when ctx has ended; whoever gets one leaves later.
func (g *gate) enter(ctx context.Context) error {
	patient, cancel := context.WithTimeout(ctx, g.patience)
	defer cancel()
	defer context.AfterFunc(g.open, cancel)()
	if g.places.Acquire(patient, 1) != nil && !g.isClosed() {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return refuse(fiber.StatusServiceUnavailable, codeBusy,
			"%d %s are under way, as many as this server takes at a time, and none ended within %s; "+
				"send the file again shortly", g.size, g.what, g.patience).after(time.Second)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return stopping() // a place taken meanwhile is of no more use to anybody
	}
	g.inside++
	return nil
}

func (g *gate) leave() {
	g.places.Release(1)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	g.settle()
}

// close lets nobody in any more, not even those who wait, and gives what tells that all have left. Calling
// it again changes nothing.
func (g *gate) close() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.closed = true
		g.shut()
		g.settle()
	}
	return g.empty
}

func (g *gate) settle() {
	if g.closed && g.inside == 0 {
		close(g.empty)
	}
}

func (g *gate) isClosed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed
}
