package etcd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"telemetry-pipeline/events/wait"
)

const (
	// AttemptTimeout bounds one attempt. It is longer than etcd's own limit of 7s, so that etcd's error comes first.
	AttemptTimeout = 10 * time.Second

	firstRead = 2 * time.Second // bounds the first attempt of a read
	minPause  = 20 * time.Millisecond
	maxPause  = time.Second
)

// Patience is the policy for the timeouts and the repetition of attempts. Pauses between attempts double from 20 ms
// to a second.
type Patience struct {
	// First bounds the first attempt. The limit doubles with every attempt, up to AttemptTimeout.
	First time.Duration
	// Temporary reports whether another attempt may have a different result.
	Temporary func(error) bool
}

// Reading returns the policy for requests that change nothing. They soon leave an etcd member that does not answer,
// long before gRPC detects a dead connection; if etcd is slow, a later attempt succeeds.
func Reading() Patience { return Patience{First: firstRead, Temporary: Temporary} }

// Writing returns the policy for requests that change something. Each attempt has its full time, since etcd may
// execute every attempt.
func Writing() Patience { return Patience{First: AttemptTimeout, Temporary: Temporary} }

// Read repeats a request that changes nothing, with the policy of Reading.
func Read[T any](ctx context.Context, try func(ctx context.Context) (T, error)) (T, error) {
	return Retry(ctx, Reading(), func(ctx context.Context, _ bool) (T, error) { return try(ctx) })
}

// Write repeats a request that changes something, with the policy of Writing; see Retry.
func Write[T any](ctx context.Context, try func(ctx context.Context, again bool) (T, error)) (T, error) {
	return Retry(ctx, Writing(), try)
}

// Retry makes attempts until one is answered, with success or with an error that another attempt would not change, or
// until ctx ends. Then the error wraps both the cause of ctx and etcd's last error. again is set from the second
// attempt on: an earlier one may have taken effect, for any error it returned.
func Retry[T any](ctx context.Context, p Patience, try func(ctx context.Context, again bool) (T, error)) (T, error) {
	within := p.First
	pause := wait.Backoff{Least: minPause, Most: maxPause}
	for again := false; ; again = true {
		v, err := attemptOnce(ctx, within, again, try)
		within = min(2*within, AttemptTimeout)
		if err == nil {
			return v, nil
		}
		if ctx.Err() == nil && !p.Temporary(err) {
			return v, err
		}
		if !pause.Wait(ctx) {
			return v, fmt.Errorf("%w (etcd's last error: %w)", context.Cause(ctx), err)
		}
	}
}

func attemptOnce[T any](ctx context.Context, within time.Duration, again bool, try func(ctx context.Context, again bool) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return try(ctx, again)
}

// Temporary reports whether another request to etcd may have a different result: the request was lost, temporarily
// refused, or cut off by the deadline of its attempt. etcd reports a proposal dropped by Raft as codes.Unknown.
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

// codeOf returns the gRPC code of an error. It returns FailedPrecondition for an error that did not come over gRPC,
// which another request would not change.
func codeOf(err error) codes.Code {
	if e, ok := errors.AsType[rpctypes.EtcdError](err); ok {
		return e.Code()
	}
	if s, ok := status.FromError(err); ok {
		return s.Code()
	}
	return codes.FailedPrecondition
}
