package collect

import (
	"context"
	"sync/atomic"
	"time"

	"telemetry-pipeline/events/wait"
)

// background bounds what partitions take that are read from the beginning for a generation that is not active, so that
// those whose changes somebody waits for go first.
//
// So many partitions are read at a time. While events of the active generation arrive, each of them rests after every
// slice of work, so much longer than it worked as there are of them: all together they then take less than one core,
// and etcd is theirs for less than half of the time. Otherwise they take what there is.
type background struct {
	slots  chan struct{}
	liveAt atomic.Int64 // when an event of the active generation was folded last, in Unix nanoseconds
}

const (
	slice    = 5 * time.Millisecond
	liveness = time.Second // for so long one event of the active generation tells that more are coming
)

func newBackground(slots int) *background { return &background{slots: make(chan struct{}, slots)} }

// enter waits for a slot; leave gives it back.
func (b *background) enter(ctx context.Context) error {
	select {
	case b.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *background) leave() { <-b.slots }

// live notes that an event of the active generation is folded.
func (b *background) live() { b.liveAt.Store(time.Now().UnixNano()) }

// rest pauses when it is time for that, and gives when the slice of work begins that comes next.
func (b *background) rest(ctx context.Context, began time.Time) time.Time {
	now := time.Now()
	worked := now.Sub(began)
	if worked < slice {
		return began
	}
	if now.UnixNano()-b.liveAt.Load() < int64(liveness) {
		wait.Sleep(ctx, min(worked*time.Duration(cap(b.slots)), time.Second))
	}
	return time.Now()
}
