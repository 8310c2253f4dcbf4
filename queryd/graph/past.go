package graph

import (
	"context"
	"errors"
	"time"

	"github.com/graphql-go/graphql/gqlerrors"

	"telemetry-pipeline/queryd/history"
)

// degradedPatience is how long history may take while etcd is known not to answer.
const degradedPatience = 3 * time.Second

// patience bounds the time that history may take.
func (e *Engine) patience(ctx context.Context) (context.Context, context.CancelFunc) {
	if e.hub.Degraded() == nil {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, e.degradedPatience)
}

// explain gives an error of history, asked under ctx, the form of an answer.
func (e *Engine) explain(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, history.ErrCursor):
		return badInput("cursor: %v", err)
	case ctx.Err() != nil:
		return e.late()
	case history.PermanentError(err) != nil:
		e.lg.Error("reading history failed", "err", err)
		return &unansweredError{history.PermanentError(err).Error()}
	default:
		e.lg.Error("reading history failed", "err", err)
		return &unansweredError{"history cannot be read at the moment; try again"}
	}
}

// late tells why there is no answer in time.
func (e *Engine) late() error {
	if e.hub.Degraded() != nil {
		return &unansweredError{"history is read from etcd, which does not answer; the latest readings are still served, with their age"}
	}
	return &unansweredError{"the answer took too long; ask for a shorter range, fewer GPUs or a smaller limit"}
}

// ours tells whether one of the errors is not the sender's to mend.
func ours(list []gqlerrors.FormattedError) bool {
	for _, err := range list {
		cause := causeOf(err)
		if _, ok := errors.AsType[*unansweredError](cause); ok || errors.Is(cause, errInternal) {
			return true
		}
	}
	return false
}

// causeOf takes the library's wrappings off, which errors.As does not see through.
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
