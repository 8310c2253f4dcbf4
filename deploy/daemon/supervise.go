package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/hashicorp/go-multierror"
)

// running is a part under way. Its context is its own, so that parts stop one after the other.
type running struct {
	Part
	cancel context.CancelFunc
	done   chan struct{}
	err    error // set before done is closed
}

// superviseParts starts the parts from the last to the first, waits for the end of ctx or of any part, stops
// all from the first to the last and closes them. A part that ends before it was asked to is the cause;
// every error of the stop is kept beside it.
func superviseParts(ctx context.Context, parts []Part, budget time.Duration, lg *slog.Logger) error {
	ended := make(chan *running, len(parts))
	all := make([]*running, len(parts))
	cause := startAll(ctx, parts, all, ended, lg)
	if cause == nil {
		cause = waitForEnd(ctx, ended)
	}
	lg.Info("stopping", "cause", causeText(ctx, cause))
	var stop *multierror.Error
	if cause != nil {
		stop = multierror.Append(stop, cause)
	}
	for _, r := range all {
		if r != nil {
			stop = multierror.Append(stop, r.stopParts(budget, cause))
		}
	}
	stop = multierror.Append(stop, closeAll(parts))
	return alone(stop)
}

// alone is a set's only error, so that one cause reads as one sentence; nil for none.
func alone(all *multierror.Error) error {
	if all != nil && len(all.Errors) == 1 {
		return all.Errors[0]
	}
	return all.ErrorOrNil()
}

func startAll(ctx context.Context, parts []Part, all []*running, ended chan *running, lg *slog.Logger) error {
	for i := len(parts) - 1; i >= 0; i-- {
		all[i] = startParts(ctx, parts[i], ended)
		if err := awaitStarted(ctx, all[i], ended, lg); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
	}
	return nil
}

func startParts(ctx context.Context, p Part, ended chan<- *running) *running {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r := &running{Part: p, cancel: cancel, done: make(chan struct{})}
	if p.Run == nil {
		close(r.done)
		return r
	}
	go func() {
		r.err = p.Run(own)
		close(r.done)
		ended <- r
	}()
	return r
}

// readyPoll is how often a starting part is asked whether it is ready.
const readyPoll = 5 * time.Millisecond

// awaitStarted holds the parts in front back until r has started. It returns an error when a part ended first.
func awaitStarted(ctx context.Context, r *running, ended <-chan *running, lg *slog.Logger) error {
	started := r.Started
	if started == nil {
		started = r.Ready
	}
	if started == nil {
		return nil
	}
	poll := time.NewTicker(readyPoll)
	defer poll.Stop()
	tell := time.NewTicker(10 * time.Second)
	defer tell.Stop()
	for {
		err := started()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case e := <-ended:
			return e.earlyEnd()
		case <-tell.C:
			lg.Warn("waiting for a part to become ready", "waiting_for", r.Name, "err", err)
		case <-poll.C:
		}
	}
}

func waitForEnd(ctx context.Context, ended <-chan *running) error {
	select {
	case <-ctx.Done():
		return nil
	case r := <-ended:
		return r.earlyEnd()
	}
}

// earlyEnd is the error of a part that ended without being asked to.
func (r *running) earlyEnd() error {
	if r.err == nil {
		return fmt.Errorf("%s ended before it was asked to", r.Name)
	}
	return fmt.Errorf("running %s: %w", r.Name, r.err)
}

func (r *running) stopParts(budget time.Duration, cause error) error {
	r.cancel()
	timer := time.NewTimer(budget)
	defer timer.Stop()
	select {
	case <-r.done:
	case <-timer.C:
		return fmt.Errorf("stopping %s: not done after %s; going on without it", r.Name, budget)
	}
	if r.err == nil || cause != nil {
		return nil // the cause says it already
	}
	return fmt.Errorf("stopping %s: %w", r.Name, r.err)
}

func closeAll(parts []Part) error {
	var all *multierror.Error
	for _, p := range parts {
		if p.Close == nil {
			continue
		}
		if err := p.Close(); err != nil {
			all = multierror.Append(all, fmt.Errorf("closing %s: %w", p.Name, err))
		}
	}
	return alone(all)
}

func causeText(ctx context.Context, cause error) string {
	if cause != nil {
		return cause.Error()
	}
	return context.Cause(ctx).Error()
}
