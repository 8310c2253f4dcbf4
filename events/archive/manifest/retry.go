package manifest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"telemetry-pipeline/events"
)

const (
	attemptTimeout = 8 * time.Second // longer than etcd's own limit, so that its word on the cause comes first
	minPause       = 10 * time.Millisecond
	maxPause       = time.Second
)

// retry asks again until an answer comes that another attempt would not change, or ctx ends. That is safe for all that
// this package asks: reads, and transactions that compare what they replace.
func retry[T any](ctx context.Context, try func(ctx context.Context) (T, error)) (T, error) {
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
		v, err := try(attempt)
		cancel()
		if err == nil || ctx.Err() == nil && !events.Temporary(err) {
			return v, err
		}
		if !sleep(ctx, pause/2+rand.N(pause/2)) {
			return v, fmt.Errorf("%w (etcd's last word: %w)", context.Cause(ctx), err)
		}
	}
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
