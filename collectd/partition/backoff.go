package partition

import (
	"context"
	"time"

	"telemetry-pipeline/events/wait"
)

// newBackoff returns the pauses between calls to etcd.
func newBackoff() *wait.Backoff {
	return &wait.Backoff{Least: 50 * time.Millisecond, Most: 2 * time.Second}
}

// withStopGrace returns a context that ends with life, or grace after stop: for releases during a stop.
func withStopGrace(life, stop context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(life)
	unhook := context.AfterFunc(stop, func() {
		timer := time.AfterFunc(grace, cancel)
		context.AfterFunc(ctx, func() { timer.Stop() })
	})
	return ctx, func() { unhook(); cancel() }
}
