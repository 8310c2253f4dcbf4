package graph

import (
	"context"
	"errors"
	"time"

	"github.com/graphql-go/graphql/gqlerrors"

	"telemetry-pipeline/queryd/history"
)

// degradedTimeout bounds the time for history while etcd is known not to answer.
const degradedTimeout = 3 * time.Second

// historyContext returns a context that bounds the time for history.
func (e *Engine) historyContext(ctx context.Context) (context.Context, context.CancelFunc) {
	if !e.isBehind() {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, e.degradedTimeout)
}

// historyError returns the answer for an error of history that was read under ctx.
func (e *Engine) historyError(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, history.ErrCursor):
		return badInput("cursor: %v", err)
	case ctx.Err() != nil:
		return e.timeoutError()
	case history.PermanentError(err) != nil:
		e.lg.ErrorContext(ctx, "reading history failed", "err", err)
		return &unansweredError{history.PermanentError(err).Error()}
	default:
		e.lg.ErrorContext(ctx, "reading history failed", "err", err)
		return &unansweredError{"history cannot be read at the moment; try again"}
	}
}

// timeoutError returns the error for an answer that is late.
func (e *Engine) timeoutError() error {
	if e.isBehind() {
		return &unansweredError{"history is read from etcd, which does not answer; the latest readings are still served, with their age"}
	}
	return &unansweredError{"the answer took too long; ask for a shorter range, fewer GPUs or a smaller limit"}
}

// anyServerFault reports whether one of the errors is not the sender's fault.
func anyServerFault(list []gqlerrors.FormattedError) bool {
	for _, err := range list {
		cause := causeOf(err)
		if _, ok := errors.AsType[*unansweredError](cause); ok || errors.Is(cause, errInternal) {
			return true
		}
	}
	return false
}

// causeOf removes the library's wrappers, which errors.As does not unwrap.
func causeOf(err error) error {
	for {
		switch wrapped := err.(type) {
		case gqlerrors.FormattedError:
			err = wrapped.OriginalError()
		case *gqlerrors.Error:
			err = wrapped.OriginalError
		default:
			return err
		}
	}
}

// isBehind reports whether the view of the one cluster may be behind etcd.
func (e *Engine) isBehind() bool { return e.feeds != nil && e.feeds.IsBehind() }
