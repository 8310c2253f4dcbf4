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
	share        int64  // places of one sender at a time
	queueTimeout time.Duration
	openCtx      context.Context // ends when the slots are closed
	cancelOpen   context.CancelFunc

	mu     sync.Mutex
	used   int                     // uploads
	shares map[string]*senderShare // by sender, while it has or awaits a slot
	closed bool
	empty  chan struct{} // closed once the slots are closed and none is used
}

// senderShare bounds the places of one sender.
type senderShare struct {
	sem     *semaphore.Weighted
	uploads int // that have or await places
}

func newSlots(size, share int64, full string, patience time.Duration) *slots {
	g := &slots{
		sem: semaphore.NewWeighted(size), size: size, share: max(share, 1), full: full, queueTimeout: patience,
		shares: map[string]*senderShare{}, empty: make(chan struct{}),
	}
	g.openCtx, g.cancelOpen = context.WithCancel(context.Background())
	return g
}

// acquireSlot takes a number of places for a sender, "" for nobody, and waits for them until ctx ends: first for its own share,
// so that its uploads do not stand before others', then for the slots. It takes at most all places, and a sender's share. The
// caller releases them by leave.
func (g *slots) acquireSlot(ctx context.Context, sender string, places int64) (leave func(), err error) {
	leaveShare, err := g.acquireShare(ctx, sender, places)
	if err != nil {
		return nil, err
	}
	leaveSlot, err := g.acquireAny(ctx, min(places, g.size))
	if err != nil {
		leaveShare()
		return nil, err
	}
	return func() { leaveSlot(); leaveShare() }, nil
}

// acquireShare takes places of a sender's share.
func (g *slots) acquireShare(ctx context.Context, sender string, places int64) (leave func(), err error) {
	if sender == "" {
		return func() {}, nil
	}
	places = min(places, g.share)
	s := g.enterShare(sender)
	if !s.sem.TryAcquire(places) {
		refused := answer.Refuse(answer.CodeTooManyRequests,
			"%s has as many uploads under way as one principal may have at a time (flag ingest.principal-uploads), and too few ended within %s; "+
				"send the file again shortly", sender, g.queueTimeout).WithRetryAfter(time.Second)
		if err := g.awaitPlaces(ctx, s.sem, places, refused); err != nil {
			g.leaveShare(sender, s)
			return nil, err
		}
	}
	return func() { s.sem.Release(places); g.leaveShare(sender, s) }, nil
}

// enterShare returns the share of a sender, for one more upload of it.
func (g *slots) enterShare(sender string) *senderShare {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.shares[sender]
	if s == nil {
		s = &senderShare{sem: semaphore.NewWeighted(g.share)}
		g.shares[sender] = s
	}
	s.uploads++
	return s
}

func (g *slots) leaveShare(sender string, s *senderShare) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s.uploads--; s.uploads == 0 {
		delete(g.shares, sender)
	}
}

// acquireAny takes places beside the ones of other senders.
func (g *slots) acquireAny(ctx context.Context, places int64) (leave func(), err error) {
	if !g.sem.TryAcquire(places) {
		refused := answer.Refuse(answer.CodeTooManyUploads,
			"%s are under way, as many as this server takes at a time, and too few ended within %s; "+
				"send the file again shortly", g.full, g.queueTimeout).WithRetryAfter(time.Second)
		if err := g.awaitPlaces(ctx, g.sem, places, refused); err != nil {
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

// awaitPlaces waits for places of a semaphore. It returns refused when that takes too long.
func (g *slots) awaitPlaces(ctx context.Context, sem *semaphore.Weighted, places int64, refused error) error {
	patient, cancel := context.WithTimeout(ctx, g.queueTimeout)
	defer cancel()
	defer context.AfterFunc(g.openCtx, cancel)()
	switch {
	case sem.Acquire(patient, places) == nil:
		return nil
	case g.isClosed():
		return answer.ServerStopping()
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return refused
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
