package snapshot

import (
	"context"
	"errors"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"telemetry-pipeline/events/eventlog"
)

const (
	attemptTimeout = 8 * time.Second
	minPause       = 10 * time.Millisecond
)

// patience is that of this package. A store that is full is asked again: retention makes room.
func patience() eventlog.Patience {
	return eventlog.Patience{Most: attemptTimeout, First: attemptTimeout, Pause: minPause, Temporary: func(err error) bool {
		return eventlog.Temporary(err) || errors.Is(err, rpctypes.ErrNoSpace)
	}}
}

// retry asks again until an answer comes that another attempt would not change, or ctx ends. That is safe
// for all that this package asks: reads, creations, and writes of a partition's chain (fence.go).
func retry[T any](ctx context.Context, try func(ctx context.Context) (T, error)) (T, error) {
	return eventlog.Retry(ctx, patience(), func(ctx context.Context, _ bool) (T, error) { return try(ctx) })
}

// read is retry for what only asks.
func read[T any](ctx context.Context, try func(ctx context.Context) (T, error)) (T, error) {
	return eventlog.Retry(ctx, patience().Reading(), func(ctx context.Context, _ bool) (T, error) { return try(ctx) })
}

// sleep waits for d and tells whether ctx still goes on.
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
