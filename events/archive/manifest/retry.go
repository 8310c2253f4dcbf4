package manifest

import (
	"context"
	"time"

	"telemetry-pipeline/events/eventlog"
)

// patience is that of this package.
func patience() eventlog.Patience {
	return eventlog.Patience{Most: 8 * time.Second, First: 8 * time.Second, Pause: 10 * time.Millisecond, Temporary: eventlog.Temporary}
}

// retry asks again until an answer comes that another attempt would not change, or ctx ends. That is safe for all that
// this package asks: reads, and transactions that compare what they replace.
func retry[T any](ctx context.Context, try func(ctx context.Context) (T, error)) (T, error) {
	return eventlog.Retry(ctx, patience(), func(ctx context.Context, _ bool) (T, error) { return try(ctx) })
}

// read is retry for what only asks.
func read[T any](ctx context.Context, try func(ctx context.Context) (T, error)) (T, error) {
	return eventlog.Retry(ctx, patience().Reading(), func(ctx context.Context, _ bool) (T, error) { return try(ctx) })
}
