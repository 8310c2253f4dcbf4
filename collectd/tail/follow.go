package tail

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
)

// stream is what following needs of the event log (eventlog.Log).
type stream interface {
	Head(ctx context.Context) (events.Revision, error)
	Read(ctx context.Context, p events.Partition, after, upto events.Revision) iter.Seq2[events.Event, error]
	Watch(ctx context.Context, p events.Partition, after events.Revision) iter.Seq2[eventlog.Batch, error]
}

// Between attempts to watch again there is a pause that doubles from leastPause to mostPause.
const (
	leastPause = 50 * time.Millisecond
	mostPause  = 2 * time.Second
)

// follower gives the events of one partition after a position, each once, for as long as ctx goes on.
type follower struct {
	log       stream
	partition events.Partition
	after     events.Revision
	show      func([]events.Event) error
	lost      *outage
}

// run reads up to the head, watches from there, and reads again whenever the watch ends. It ends with ctx, without an
// error, or with one that no waiting mends.
func (f *follower) run(ctx context.Context) error {
	for pause := leastPause; ctx.Err() == nil; {
		began := f.after
		err := f.catchUp(ctx)
		if err == nil {
			err = f.watch(ctx)
		}
		var final *showError
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &final):
			return final.error
		case errors.Is(err, events.ErrForeign):
			return fmt.Errorf("the log was replaced or set back meanwhile; start again: %w", err)
		case errors.Is(err, events.ErrCompacted), errors.Is(err, events.ErrOverflow):
			continue
		}
		f.lost.tell(f.partition, err)
		if f.after != began {
			pause = leastPause
		}
		sleep(ctx, pause)
		pause = min(2*pause, mostPause)
	}
	return nil
}

// showError is what went wrong where lines are written, not where events are read.
type showError struct{ error }

func (f *follower) give(evs []events.Event, upto events.Revision) error {
	if err := f.show(evs); err != nil {
		return &showError{err}
	}
	f.after = upto
	return nil
}

// catchUp reads what is between the position and the head. A position inside a revision's events would show the others
// never, so it moves when the next revision begins.
func (f *follower) catchUp(ctx context.Context) error {
	head, err := f.log.Head(ctx)
	if err != nil {
		return err
	}
	var same []events.Event
	for ev, err := range f.log.Read(ctx, f.partition, f.after, head) {
		if err != nil {
			return err
		}
		if len(same) > 0 && ev.Revision != same[0].Revision {
			if err := f.give(same, same[0].Revision); err != nil {
				return err
			}
			same = same[:0]
		}
		same = append(same, ev)
	}
	return f.give(same, head)
}

func (f *follower) watch(ctx context.Context) error {
	for batch, err := range f.log.Watch(ctx, f.partition, f.after) {
		if err != nil {
			return err
		}
		f.lost.over(f.partition)
		if err := f.give(batch.Events, batch.Upto); err != nil {
			return err
		}
	}
	return nil
}

// outage tells of lost connections once for all partitions, and when all are back.
type outage struct {
	lg  *slog.Logger
	mu  sync.Mutex
	out map[events.Partition]bool // guarded by mu
}

func (o *outage) tell(p events.Partition, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.out) == 0 {
		o.lg.Warn("the log cannot be followed at the moment; going on when it can", "err", err)
	}
	o.out[p] = true
}

func (o *outage) over(p events.Partition) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.out[p] {
		if delete(o.out, p); len(o.out) == 0 {
			o.lg.Warn("the log is followed again; nothing was left out")
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
