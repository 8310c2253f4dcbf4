package collect

import (
	"context"
	"sync/atomic"
	"time"

	"telemetry-pipeline/events/wait"
)

// catchUpLimiter bounds the work of partitions that are read from the beginning for a generation that is not active, so
// that changes somebody waits for go first.
//
// A partition is read while it holds one of the slots. While events of the active generation arrive, each reader rests
// after every slice of work, for as many times its duration as there are slots: together the readers then take less than
// one core, and less than half of etcd's time. Otherwise they do not rest.
type catchUpLimiter struct {
	slots  chan struct{}
	liveAt atomic.Int64 // when an event of the active generation was folded last, in Unix nanoseconds
}

const (
	slice    = 5 * time.Millisecond
	liveness = time.Second // more events of the active generation are expected for so long after one
)

func newCatchUpLimiter(slots int) *catchUpLimiter {
	return &catchUpLimiter{slots: make(chan struct{}, slots)}
}

// enter waits for a slot; leave gives it back.
func (l *catchUpLimiter) enter(ctx context.Context) error {
	select {
	case l.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *catchUpLimiter) leave() { <-l.slots }

// markLive records that an event of the active generation is folded.
func (l *catchUpLimiter) markLive() { l.liveAt.Store(time.Now().UnixNano()) }

// rest pauses if the slice of work that began at a time is over, and returns when the current slice began.
func (l *catchUpLimiter) rest(ctx context.Context, began time.Time) time.Time {
	now := time.Now()
	worked := now.Sub(began)
	if worked < slice {
		return began
	}
	if now.UnixNano()-l.liveAt.Load() < int64(liveness) {
		wait.Sleep(ctx, min(worked*time.Duration(cap(l.slots)), time.Second))
	}
	return time.Now()
}
