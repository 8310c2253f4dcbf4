package live

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// news is what a follower found: everything (load), or what changed since, or that it failed and tries again.
type news struct {
	batch projections.Batch
	load  bool
	err   error
}

// follower loads a generation and follows it, whatever happens, until its context ends.
type follower struct {
	src        source
	generation projections.Generation
	out        chan<- news
	at         events.Revision
	loaded     bool
	pause      pause
}

func (f *follower) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := f.round(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, events.ErrCompacted), errors.Is(err, events.ErrOverflow):
			f.loaded = false
		case errors.Is(err, events.ErrForeign): // etcd was set back; a view is made of what it has now
			f.loaded = false
			f.send(ctx, news{err: err})
		default:
			f.send(ctx, news{err: err})
		}
		f.pause.wait(ctx)
	}
}

// round loads if need be, and watches until that fails.
func (f *follower) round(ctx context.Context) error {
	if !f.loaded {
		b, err := f.src.Load(ctx, f.generation)
		if err != nil {
			return fmt.Errorf("loading generation %s: %w", f.generation, err)
		}
		f.loaded, f.at = true, b.At
		f.send(ctx, news{batch: b, load: true})
	}
	for b, err := range f.src.Watch(ctx, f.generation, f.at) {
		if err != nil {
			return fmt.Errorf("watching generation %s: %w", f.generation, err)
		}
		f.pause.reset()
		f.at = b.At
		f.send(ctx, news{batch: b})
	}
	return fmt.Errorf("watching generation %s: ended without an error", f.generation)
}

func (f *follower) send(ctx context.Context, n news) {
	select {
	case f.out <- n:
	case <-ctx.Done():
	}
}

// followActive gives the active generation and every later one until ctx ends.
func (h *Hub) followActive(ctx context.Context, out chan<- projections.Generation) {
	var p pause
	for ctx.Err() == nil {
		err := h.giveActive(ctx, h.src.WatchActive(ctx), out, &p)
		if ctx.Err() != nil {
			return
		}
		h.troubled("active", fmt.Errorf("watching the active generation: %w", err))
		p.wait(ctx)
	}
}

func (h *Hub) giveActive(ctx context.Context, seen iter.Seq2[projections.Generation, error], out chan<- projections.Generation, p *pause) error {
	for g, err := range seen {
		if err != nil {
			return err
		}
		p.reset()
		h.troubled("active", nil)
		select {
		case out <- g:
		case <-ctx.Done():
		}
	}
	return errors.New("ended without an error")
}

const (
	shortestPause = 50 * time.Millisecond
	longestPause  = 5 * time.Second
)

// pause is the time between tries: none before the first, then doubling.
type pause struct{ next time.Duration }

func (p *pause) reset() { p.next = 0 }

// wait sleeps, somewhat at random so that many do not come back at once.
func (p *pause) wait(ctx context.Context) {
	now := p.next
	p.next = min(longestPause, max(shortestPause, 2*now))
	if now == 0 {
		return
	}
	sleep(ctx, now/2+rand.N(now/2+1))
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
