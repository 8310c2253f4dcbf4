package ingest

import (
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
)

// gate lets a bounded number of uploads in, and none once it is closed.
type gate struct {
	mu     sync.Mutex
	places int
	inside int
	closed bool
	empty  chan struct{} // closed once the gate is closed and nobody is inside
}

func newGate(places int) *gate { return &gate{places: places, empty: make(chan struct{})} }

// enter takes a place; whoever gets one leaves later.
func (g *gate) enter() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.closed:
		return stopping()
	case g.inside >= g.places:
		return refuse(fiber.StatusServiceUnavailable, codeBusy,
			"%d uploads are under way, as many as this server takes at a time; send the file again shortly", g.inside).after(time.Second)
	}
	g.inside++
	return nil
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	g.settle()
}

// close lets nobody in any more and gives what tells that all have left. Calling it again changes nothing.
func (g *gate) close() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.closed = true
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
