package eventlog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	attemptTimeout = 10 * time.Second
	minPause       = 20 * time.Millisecond
	maxPause       = time.Second
)

// Patience is how long a request waits for etcd and when it is made again.
type Patience struct {
	// Most is what an attempt may take: longer than etcd's own limit of 7s, so that its word on what went wrong
	// comes first.
	Most time.Duration
	// First is what the first attempt may take; every one may take twice as long as the one before it, up to Most.
	First time.Duration
	// Pause is between the first two attempts; it doubles up to a second, and of each pause a random half is left out.
	Pause time.Duration
	// Temporary tells whether another attempt may be answered otherwise.
	Temporary func(error) bool
}

// Reading is the patience of what only asks. It leaves a member of etcd that answers nothing for the next one early, long
// before gRPC finds the connection dead; an answer that takes its time is had too, by a later attempt. Writes wait: of
// them etcd would do each attempt.
func (p Patience) Reading() Patience {
	p.First = 2 * time.Second
	return p
}

// Retry makes attempts until one is answered, with success or with an error that another attempt would not
// change, or until ctx ends. Then the error wraps ctx's and tells etcd's last one. again is set from the
// second attempt on: an earlier one may have taken effect, whatever its error was.
func Retry[T any](ctx context.Context, p Patience, try func(ctx context.Context, again bool) (T, error)) (T, error) {
	within := p.First
	for pause, again := p.Pause, false; ; pause, again = min(2*pause, maxPause), true {
		v, err := attempt(ctx, within, again, try)
		within = min(2*within, p.Most)
		if err == nil {
			return v, nil
		}
		if ctx.Err() == nil && !p.Temporary(err) {
			return v, err
		}
		if !sleep(ctx, pause/2+rand.N(pause/2)) {
			return v, fmt.Errorf("%w (etcd's last word: %w)", context.Cause(ctx), err)
		}
	}
}

func attempt[T any](ctx context.Context, within time.Duration, again bool, try func(ctx context.Context, again bool) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return try(ctx, again)
}

// patience is the log's.
func patience() Patience {
	return Patience{Most: attemptTimeout, First: attemptTimeout, Pause: minPause, Temporary: Temporary}
}

// retry is Retry as the log does it.
func retry[T any](ctx context.Context, try func(ctx context.Context, again bool) (T, error)) (T, error) {
	return Retry(ctx, patience(), try)
}

// read is retry for what only asks.
func read[T any](ctx context.Context, try func(ctx context.Context) (T, error)) (T, error) {
	return Retry(ctx, patience().Reading(), func(ctx context.Context, _ bool) (T, error) { return try(ctx) })
}

// sleep waits for d and tells whether ctx still goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Temporary tells whether asking etcd again may be answered otherwise: the request was lost, refused for
// the moment, or cut off by the deadline of its attempt. (codes.Unknown is how etcd reports a proposal that
// Raft dropped.)
func Temporary(err error) bool {
	switch {
	case errors.Is(err, rpctypes.ErrTooManyRequests),
		errors.Is(err, rpctypes.ErrAuthOldRevision),
		errors.Is(err, rpctypes.ErrInvalidAuthToken),
		errors.Is(err, rpctypes.ErrNotLeader),
		errors.Is(err, context.DeadlineExceeded):
		return true
	case errors.Is(err, rpctypes.ErrCorrupt):
		return false
	}
	switch codeOf(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Aborted, codes.Internal, codes.Unknown:
		return true
	}
	return false
}

// codeOf gives the gRPC code of an error, and FailedPrecondition for one that did not come over gRPC:
// asking again does not mend it.
func codeOf(err error) codes.Code {
	if e, ok := errors.AsType[rpctypes.EtcdError](err); ok {
		return e.Code()
	}
	if s, ok := status.FromError(err); ok {
		return s.Code()
	}
	return codes.FailedPrecondition
}
