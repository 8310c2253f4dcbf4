package snapshot

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"telemetry-pipeline/events"
)

const (
	attemptTimeout = 8 * time.Second // longer than etcd's own limit, so that its word on the cause comes first
	firstRead      = 2 * time.Second // what the first attempt of a read may take
	minPause       = 10 * time.Millisecond
	maxPause       = time.Second
)

// retry asks again until an answer comes that another attempt would not change, or ctx ends. That is safe
// for all that this package asks: reads, creations, and writes of a partition's chain (fence.go).
func retry[T any](ctx context.Context, try func(ctx context.Context) (T, error)) (T, error) {
	return retrying(ctx, attemptTimeout, try)
}

// read is retry for what only asks. It leaves a member of etcd that answers nothing for the next one early, long before
// gRPC finds the connection dead; every attempt may take twice as long as the one before it, so that an answer that
// takes its time is had too. Writes wait: of them etcd would do each attempt.
func read[T any](ctx context.Context, try func(ctx context.Context) (T, error)) (T, error) {
	return retrying(ctx, firstRead, try)
}

func retrying[T any](ctx context.Context, patience time.Duration, try func(ctx context.Context) (T, error)) (T, error) {
	for pause := minPause; ; pause, patience = min(2*pause, maxPause), min(2*patience, attemptTimeout) {
		v, err := attempt(ctx, patience, try)
		if err == nil || !temporary(err) && ctx.Err() == nil {
			return v, err
		}
		if !sleep(ctx, pause/2+rand.N(pause/2)) {
			return v, fmt.Errorf("%w (etcd's last word: %w)", context.Cause(ctx), err)
		}
	}
}

func attempt[T any](ctx context.Context, patience time.Duration, try func(ctx context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return try(ctx)
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// temporary tells whether another attempt may be answered otherwise. A store that is full is such:
// retention makes room.
func temporary(err error) bool { return events.Temporary(err) || errors.Is(err, rpctypes.ErrNoSpace) }
