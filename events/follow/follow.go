// Package follow provides the loop of every reader that follows a store: read up to now, then watch, and repeat
// whenever the watch ends. It imports no store and works under testing/synctest.
package follow

import (
	"context"
	"errors"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/wait"
)

// Loop calls CatchUp, then Watch, and starts over with CatchUp whenever one of them ends. Both keep the reader's
// position themselves, so that each round begins where the one before it stopped.
//
// An end of either means one of three things:
//
//   - An error marked by Permanent ends the loop, and so does events.ErrForeign unless IgnoreForeign is set.
//   - events.ErrCompacted and events.ErrOverflow are no failure: there is more to read than a watch delivers. The loop
//     continues at once; if that happens twice without a delivery in between, it pauses as after a failure.
//   - Anything else, a watch that ends without an error included, is a failure. The loop calls Failed and
//     continues after the next Pause.
//
// A delivery of the watch is success: it resets Pause, and the first one after failures calls Recovered. Catching up is
// not, since reading may work where watching does not.
type Loop struct {
	// CatchUp reads up to now. It is nil if Watch itself begins with the present state.
	CatchUp func(ctx context.Context) error
	// Watch continues from there until it fails. It calls delivered for each arrival, progress included, before
	// processing it.
	Watch func(ctx context.Context, delivered func()) error

	Pause         wait.Backoff // between attempts
	IgnoreForeign bool         // treat events.ErrForeign as a failure: CatchUp or Watch begins with the other log

	Failed    func(err error, again time.Duration) // called before the pause, of length again; may be nil
	Recovered func()                               // may be nil

	failing bool // failed since the last delivery
	overrun bool // the last end restarted at once, and nothing was delivered since
}

// ErrEnded is the failure of a watch that ended without an error.
var ErrEnded = errors.New("the watch ended without an error")

// Run repeats until ctx ends, which is not an error, or until an error ends the loop. It returns an error marked by
// Permanent without the mark. It calls all functions from its own goroutine. A Loop runs once.
func (l *Loop) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		err := l.runRound(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if final, ok := errors.AsType[*endError](err); ok {
			return final.error
		}
		switch {
		case errors.Is(err, events.ErrForeign) && !l.IgnoreForeign:
			return err
		case errors.Is(err, events.ErrCompacted), errors.Is(err, events.ErrOverflow):
			if l.overrun {
				l.Pause.Wait(ctx)
			}
			l.overrun = true
		default:
			l.noteFailure(ctx, err)
		}
	}
	return nil
}

func (l *Loop) runRound(ctx context.Context) error {
	if l.CatchUp != nil {
		if err := l.CatchUp(ctx); err != nil {
			return err
		}
	}
	if err := l.Watch(ctx, l.noteDelivery); err != nil {
		return err
	}
	return ErrEnded
}

func (l *Loop) noteDelivery() {
	l.Pause.Reset()
	l.overrun = false
	if l.failing && l.Recovered != nil {
		l.Recovered()
	}
	l.failing = false
}

func (l *Loop) noteFailure(ctx context.Context, err error) {
	l.failing = true
	again := l.Pause.Next()
	if l.Failed != nil {
		l.Failed(err, again)
	}
	wait.Sleep(ctx, again)
}

// Permanent marks an error that ends the loop, such as an error of the reader and not of the store. It returns nil for nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &endError{err}
}

type endError struct{ error }

func (e *endError) Unwrap() error { return e.error }
