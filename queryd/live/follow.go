package live

import (
	"context"
	"errors"
	"fmt"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/follow"
	"telemetry-pipeline/events/wait"
	"telemetry-pipeline/projections"
)

// followResult is a follower's result: the whole generation (load), the changes since, or an error after which it
// tries again.
type followResult struct {
	batch projections.Batch
	load  bool
	err   error
}

// follower loads a generation and follows it, through every failure, until its context ends.
type follower struct {
	src        source
	generation projections.Generation
	out        chan<- followResult
	at         events.Revision
	loaded     bool
}

func (f *follower) followGeneration(ctx context.Context) {
	loop := follow.Loop{
		CatchUp:       f.loadGeneration,
		Watch:         f.watchGeneration,
		Pause:         newPause(),
		IgnoreForeign: true, // etcd was set back: the view is rebuilt from the present state
		Failed:        func(err error, _ time.Duration) { f.sendResult(ctx, followResult{err: err}) },
	}
	_ = loop.Run(ctx) // it ends only with ctx
}

// loadGeneration reads the whole generation, unless the watch can resume from the position of the last batch.
func (f *follower) loadGeneration(ctx context.Context) error {
	if f.loaded {
		return nil
	}
	b, err := f.src.Load(ctx, f.generation)
	if err != nil {
		return fmt.Errorf("loading generation %s: %w", f.generation, err)
	}
	f.loaded, f.at = true, b.At
	f.sendResult(ctx, followResult{batch: b, load: true})
	return nil
}

func (f *follower) watchGeneration(ctx context.Context, delivered func()) error {
	for b, err := range f.src.Watch(ctx, f.generation, f.at) {
		if err != nil {
			f.loaded = !mustReload(err)
			return fmt.Errorf("watching generation %s: %w", f.generation, err)
		}
		delivered()
		f.at = b.At
		f.sendResult(ctx, followResult{batch: b})
	}
	return fmt.Errorf("watching generation %s: %w", f.generation, follow.ErrEnded)
}

// mustReload reports whether no watch can resume from the last position after err.
func mustReload(err error) bool {
	for _, known := range []error{events.ErrCompacted, events.ErrOverflow, events.ErrForeign, projections.ErrRemoved} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

func (f *follower) sendResult(ctx context.Context, n followResult) {
	select {
	case f.out <- n:
	case <-ctx.Done():
	}
}

// followActive sends the active generation and every later one to out until ctx ends.
func (h *Hub) followActive(ctx context.Context, out chan<- projections.ActiveGeneration) {
	loop := follow.Loop{
		Watch: func(ctx context.Context, delivered func()) error {
			return h.watchActive(ctx, delivered, out)
		},
		Pause:         newPause(),
		IgnoreForeign: true, // followUnread detects it and ends the hub
		Failed: func(err error, _ time.Duration) {
			h.setFailure("active", fmt.Errorf("watching the active generation: %w", err))
		},
		Recovered: func() { h.setFailure("active", nil) },
	}
	_ = loop.Run(ctx) // it ends only with ctx
}

func (h *Hub) watchActive(ctx context.Context, delivered func(), out chan<- projections.ActiveGeneration) error {
	for g, err := range h.src.WatchActive(ctx) {
		if err != nil {
			return err
		}
		delivered()
		select {
		case out <- g:
		case <-ctx.Done():
		}
	}
	return nil
}

const (
	shortestPause = 50 * time.Millisecond
	longestPause  = 5 * time.Second
)

// newPause returns the pause between attempts. There is none before the first, so that one lost connection does not
// delay subscribers.
func newPause() wait.Backoff {
	return wait.Backoff{AtOnce: true, Least: shortestPause, Most: longestPause}
}
