package collect

import (
	"context"
	"sync/atomic"
	"time"

	"telemetry-pipeline/events/wait"
)

// catchUpLimiter bounds the work of partitions that are read from the beginning for a generation that is not active,
// so that live changes go first.
//
// A partition is read while it holds one of the slots. While events of the active generation arrive, each reader
// rests after every slice of work, for its duration times the number of slots: together the readers then take less
// than one core, and less than half of etcd's time. Otherwise they do not rest.
type catchUpLimiter struct {
	slots  chan struct{}
	liveAt atomic.Int64 // Unix nanoseconds of the last fold of an event of the active generation
}

const (
	workSlice   = 5 * time.Millisecond
	liveTimeout = time.Second // readers rest for this long after an event of the active generation
)

func newCatchUpLimiter(slots int) *catchUpLimiter {
	return &catchUpLimiter{slots: make(chan struct{}, slots)}
}

// acquireSlot waits for a slot; releaseSlot returns it.
func (l *catchUpLimiter) acquireSlot(ctx context.Context) error {
	select {
	case l.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *catchUpLimiter) releaseSlot() { <-l.slots }

// markLive records that an event of the active generation is folded.
func (l *catchUpLimiter) markLive() { l.liveAt.Store(time.Now().UnixNano()) }

// pauseSlice pauses if the slice of work that began at the given time is over, and returns the start time of the
// current slice.
func (l *catchUpLimiter) pauseSlice(ctx context.Context, began time.Time) time.Time {
	now := time.Now()
	worked := now.Sub(began)
	if worked < workSlice {
		return began
	}
	if now.UnixNano()-l.liveAt.Load() < int64(liveTimeout) {
		wait.Sleep(ctx, min(worked*time.Duration(cap(l.slots)), time.Second))
	}
	return time.Now()
}
