package snapshot

import (
	"context"
	"errors"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"telemetry-pipeline/events/etcd"
)

// retryWrite repeats a write until it gets an answer that another attempt would not change, or ctx ends. That is safe
// for all writes of this package: creations, and writes of a partition's chain (fence.go). It also retries when etcd
// is full: retention makes room.
func retryWrite[T any](ctx context.Context, try func(ctx context.Context) (T, error)) (T, error) {
	p := etcd.Writing()
	p.Temporary = func(err error) bool { return etcd.Temporary(err) || errors.Is(err, rpctypes.ErrNoSpace) }
	return etcd.Retry(ctx, p, func(ctx context.Context, _ bool) (T, error) { return try(ctx) })
}
