package partition

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff lengthens the pause between attempts from least to most. The zero value is not usable.
type backoff struct {
	least, most time.Duration
	last        time.Duration
}

// newBackoff suits calls to etcd.
func newBackoff() *backoff { return &backoff{least: 50 * time.Millisecond, most: 2 * time.Second} }

// next gives the pause before the next attempt, with jitter so that collectors do not move in step.
func (b *backoff) next() time.Duration {
	b.last = min(max(2*b.last, b.least), b.most)
	return b.last/2 + rand.N(b.last/2+1)
}

// wait pauses and reports false when ctx ended first.
func (b *backoff) wait(ctx context.Context) bool {
	timer := time.NewTimer(b.next())
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func (b *backoff) reset() { b.last = 0 }

// graceful gives a context that ends with life, or grace after stop: for giving things back while a stop
// may be under way.
func graceful(life, stop context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(life)
	unhook := context.AfterFunc(stop, func() {
		timer := time.AfterFunc(grace, cancel)
		context.AfterFunc(ctx, func() { timer.Stop() })
	})
	return ctx, func() { unhook(); cancel() }
}
