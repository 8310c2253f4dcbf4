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
	"telemetry-pipeline/events/follow"
	"telemetry-pipeline/events/wait"
)

// stream is the part of the event log that following needs (eventlog.Log).
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

// follower shows the events of one partition after a position, each once, until ctx ends.
type follower struct {
	log       stream
	partition events.Partition
	after     events.Revision
	show      func([]events.Event) error
	lost      *outage
}

// followPartition reads up to the head, watches from there, and reads again whenever the watch ends. It ends with
// ctx, without an error, or with an error that waiting cannot mend: the log is another one, or lines cannot be
// written.
func (f *follower) followPartition(ctx context.Context) error {
	loop := follow.Loop{
		CatchUp:   f.catchUp,
		Watch:     f.watchOnce,
		Pause:     wait.Backoff{Least: leastPause, Most: mostPause},
		Failed:    func(err error, _ time.Duration) { f.lost.reportLost(f.partition, err) },
		Recovered: func() { f.lost.reportRecovered(f.partition) },
	}
	err := loop.Run(ctx)
	if errors.Is(err, events.ErrForeign) {
		return fmt.Errorf("the log was replaced or set back meanwhile; start again: %w", err)
	}
	return err
}

// showEvents shows the events up to a position and moves there. An error of showing them ends the loop.
func (f *follower) showEvents(evs []events.Event, upto events.Revision) error {
	if err := f.show(evs); err != nil {
		return follow.Permanent(err)
	}
	f.after = upto
	return nil
}

// catchUp reads from the position to the head. The events of one revision are shown together, and the position moves with
// them: a restart from inside a revision would leave out the rest of it.
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
			if err := f.showEvents(same, same[0].Revision); err != nil {
				return err
			}
			same = same[:0]
		}
		same = append(same, ev)
	}
	return f.showEvents(same, head)
}

func (f *follower) watchOnce(ctx context.Context, delivered func()) error {
	for batch, err := range f.log.Watch(ctx, f.partition, f.after) {
		if err != nil {
			return err
		}
		delivered()
		if err := f.showEvents(batch.Events, batch.Upto); err != nil {
			return err
		}
	}
	return nil
}

// outage logs a lost connection once for all partitions, and once more when all are back.
type outage struct {
	lg   *slog.Logger
	mu   sync.Mutex
	lost map[events.Partition]bool // guarded by mu
}

func (o *outage) reportLost(p events.Partition, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.lost) == 0 {
		o.lg.Warn("the log cannot be followed at the moment; going on when it can", "err", err)
	}
	o.lost[p] = true
}

func (o *outage) reportRecovered(p events.Partition) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.lost[p] {
		if delete(o.lost, p); len(o.lost) == 0 {
			o.lg.Warn("the log is followed again; nothing was left out")
		}
	}
}
