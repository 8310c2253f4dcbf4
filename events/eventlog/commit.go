package eventlog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"telemetry-pipeline/events"
)

// Sizes of appending requests. etcd accepts 128 operations and 1.5 MiB; small requests keep its write-ahead log, its
// memory and the latency of other requests small.
const (
	maxTxnEvents  = 64        // events in one transaction
	maxTxnBytes   = 256 << 10 // encoded events in one transaction, unless a single event is larger
	maxTxnRecords = 500_000   // records in one: readers hold a revision in memory, and constant readings take almost no bytes
)

// Bounds of the requests of all Appends together. While a request is in flight, only full ones join it, and the rest of an
// Append of which it has a part: a request costs etcd as much as many events do, and one at a time is as fast for many
// senders as several. A request that takes long holds up no others, because it may have gone to a member that is dead.
const (
	maxRequests     = 16
	maxGather       = 50 * time.Millisecond // for which a request in flight lets events gather
	maxWaitingBytes = 8 << 20               // encoded events that wait or are in flight
)

var errClosed = errors.New("the log is closed")

// outgoingEvent is an encoded event that is about to be appended.
type outgoingEvent struct {
	of    *appending
	host  events.HostID
	key   string
	value string
	count int // number of records
	index int // index in the events of the Append
}

func (e *outgoingEvent) size() int { return len(e.key) + len(e.value) }

// appending is one Append. Its fields are guarded by the committer's mu; out belongs to the Append once done is closed
// without an error.
type appending struct {
	waiting  []*outgoingEvent // that are in no request yet, in order
	out      []Appended
	left     int   // events without an outcome
	inFlight int   // events in requests in flight
	complete bool  // no further event comes
	ended    bool  // it has failed, or nobody waits for it any more
	err      error // why it has failed
	trouble  error // etcd's last error for a request with events of it
	done     chan struct{}
}

func newAppend(n int) *appending {
	return &appending{out: make([]Appended, n), done: make(chan struct{})}
}

// committer puts the events of all Appends into requests: at once while none is in flight, else together with
// those that come in the meantime. Each Append in turn adds an event, so that a large one holds up no small one.
//
// A request runs in a goroutine of the committer, under a context of its own, so that the end of one Append does not
// end the others. close waits for all of them.
type committer struct {
	commit func(ctx context.Context, r *appendRequest) // sends a request and reports its outcomes

	room    *semaphore.Weighted // the unused part of maxWaitingBytes
	running sync.WaitGroup
	life    context.Context // ends when the log is closed
	end     context.CancelCauseFunc

	mu        sync.Mutex
	turns     []*appending // with waiting events
	pending   requestSize  // of all waiting events
	inFlight  map[*appendRequest]struct{}
	gathering int // requests in flight for less than maxGather
}

func newCommitter(commit func(ctx context.Context, r *appendRequest)) *committer {
	c := &committer{commit: commit, room: semaphore.NewWeighted(maxWaitingBytes), inFlight: map[*appendRequest]struct{}{}}
	c.life, c.end = context.WithCancelCause(context.Background())
	return c
}

// close fails all Appends and waits for the requests in flight.
func (c *committer) close() {
	c.end(errClosed)
	c.mu.Lock()
	for len(c.turns) > 0 {
		c.failLocked(c.turns[0], errClosed)
	}
	c.mu.Unlock()
	c.running.Wait()
}

// send queues events. It waits for room while too many bytes wait or are in flight.
func (c *committer) send(ctx context.Context, a *appending, evs []*outgoingEvent) error {
	queued := 0
	for i, e := range evs {
		if c.room.TryAcquire(int64(e.size())) {
			continue
		}
		if err := c.queue(a, evs[queued:i]); err != nil {
			return err
		}
		queued = i
		if c.room.Acquire(ctx, int64(e.size())) != nil {
			return c.cancelError(ctx, a)
		}
	}
	return c.queue(a, evs[queued:])
}

// queue queues events that there is room for, and starts requests. It returns the error of an Append that has failed.
func (c *committer) queue(a *appending, evs []*outgoingEvent) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	a.left += len(evs)
	for _, e := range evs {
		c.pending.add(e)
	}
	if len(a.waiting) == 0 && len(evs) > 0 {
		c.turns = append(c.turns, a)
	}
	a.waiting = append(a.waiting, evs...)
	if c.life.Err() != nil {
		c.failLocked(a, errClosed)
	}
	if a.ended {
		c.dropWaitingLocked(a)
	}
	c.startLocked(a.inFlight > 0)
	return a.err
}

// complete declares that all events of an Append are queued.
func (c *committer) complete(a *appending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a.complete = true
	c.finishLocked(a)
}

// await waits until all events of an Append have outcomes.
func (c *committer) await(ctx context.Context, a *appending) error {
	select {
	case <-a.done:
		return a.err
	case <-ctx.Done():
		return c.cancelError(ctx, a)
	}
}

// cancelError returns the reason for the end of an Append whose context has ended.
func (c *committer) cancelError(ctx context.Context, a *appending) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case a.err != nil:
		return a.err
	case a.trouble != nil:
		return fmt.Errorf("%w (etcd's last error: %w)", context.Cause(ctx), a.trouble)
	}
	return context.Cause(ctx)
}

// leave ends an Append: its waiting events are dropped, and requests that nobody waits for any more are ended.
func (c *committer) leave(a *appending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a.complete && a.left == 0 {
		return
	}
	a.ended = true
	c.dropWaitingLocked(a)
	for r := range c.inFlight {
		if !r.isAwaitedLocked() {
			r.cancel()
		}
	}
}

// startLocked starts the requests that may start now. Urgent events gather no others.
func (c *committer) startLocked(urgent bool) {
	for {
		r := c.nextLocked(urgent)
		if r == nil {
			return
		}
		c.running.Go(func() { c.runRequests(r) })
	}
}

// nextLocked takes a request that may start now from the waiting events; nil if there is none.
func (c *committer) nextLocked(urgent bool) *appendRequest {
	if len(c.turns) == 0 || len(c.inFlight) == maxRequests || c.gathering > 0 && !urgent && !c.pending.isFull() {
		return nil
	}
	r := &appendRequest{byKey: make(map[string]*appendEntry, min(c.pending.events, maxTxnEvents))}
	r.ctx, r.cancel = context.WithCancel(c.life)
	for len(c.turns) > 0 && r.hasRoomFor(c.turns[0].waiting[0]) {
		a := c.turns[0]
		e := a.waiting[0]
		c.turns, a.waiting = c.turns[1:], a.waiting[1:]
		if len(a.waiting) > 0 {
			c.turns = append(c.turns, a)
		}
		c.pending.remove(e)
		a.inFlight++
		r.addEvent(e)
	}
	c.inFlight[r] = struct{}{}
	c.gathering++
	r.gathers = time.AfterFunc(maxGather, func() { c.stopGathering(r) })
	return r
}

// stopGathering ends the time for which a request lets events gather.
func (c *committer) stopGathering(r *appendRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, running := c.inFlight[r]; running && !r.slow {
		r.slow = true
		c.gathering--
		c.startLocked(false)
	}
}

// runRequests runs a request and those that may follow it.
func (c *committer) runRequests(r *appendRequest) {
	for r != nil {
		c.commit(r.ctx, r)
		r.cancel()
		c.room.Release(int64(r.bytes))
		r = c.endRequest(r)
	}
}

// endRequest ends a request and returns the one that may follow it; nil if there is none.
func (c *committer) endRequest(r *appendRequest) *appendRequest {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.inFlight, r)
	if r.gathers.Stop(); !r.slow {
		c.gathering--
	}
	for _, entry := range r.entries {
		for _, e := range entry.events {
			e.of.inFlight--
		}
	}
	next := c.nextLocked(false)
	c.startLocked(false)
	return next
}

// awaited returns the entries of which some event is still waited for, and has each of them send the value of such an
// event.
func (c *committer) awaited(entries []*appendEntry) []*appendEntry {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*appendEntry, 0, len(entries))
	for _, e := range entries {
		if e.sent = e.awaitedLocked(); e.sent != nil {
			all = append(all, e)
		}
	}
	return all
}

// noteTrouble notes an error of etcd that does not end the Appends of some entries.
func (c *committer) noteTrouble(entries []*appendEntry, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, entry := range entries {
		for _, e := range entry.events {
			e.of.trouble = err
		}
	}
}

// report enters the outcome of an event.
func (c *committer) report(e *outgoingEvent, outcome Appended) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.of.out[e.index] = outcome
	e.of.left--
	c.finishLocked(e.of)
}

// fail ends the Appends of some entries with an error.
func (c *committer) fail(entries []*appendEntry, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, entry := range entries {
		for _, e := range entry.events {
			c.failLocked(e.of, err)
		}
	}
}

func (c *committer) finishLocked(a *appending) {
	if a.complete && a.left == 0 && !a.ended {
		a.ended = true
		close(a.done)
	}
}

func (c *committer) failLocked(a *appending, err error) {
	c.dropWaitingLocked(a)
	if !a.ended {
		a.ended, a.err = true, err
		close(a.done)
	}
}

// dropWaitingLocked removes the waiting events of an Append.
func (c *committer) dropWaitingLocked(a *appending) {
	if len(a.waiting) == 0 {
		return
	}
	bytes := 0
	for _, e := range a.waiting {
		c.pending.remove(e)
		bytes += e.size()
	}
	a.waiting = nil
	for i, turn := range c.turns {
		if turn == a {
			c.turns = append(c.turns[:i:i], c.turns[i+1:]...)
			break
		}
	}
	c.room.Release(int64(bytes))
}
