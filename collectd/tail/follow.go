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

// follower shows the events of one partition after a position, each once, for as long as ctx goes on.
type follower struct {
	log       stream
	partition events.Partition
	after     events.Revision
	show      func([]events.Event) error
	lost      *outage
}

// run reads up to the head, watches from there, and reads again whenever the watch ends. It ends with ctx, without an
// error, or with one that no waiting mends: of another log, or of writing lines.
func (f *follower) run(ctx context.Context) error {
	loop := follow.Loop{
		CatchUp:   f.catchUp,
		Watch:     f.watch,
		Pause:     wait.Backoff{Least: leastPause, Most: mostPause},
		Failed:    func(err error, _ time.Duration) { f.lost.begin(f.partition, err) },
		Recovered: func() { f.lost.end(f.partition) },
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
		return follow.End(err)
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

func (f *follower) watch(ctx context.Context, delivered func()) error {
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
	lg  *slog.Logger
	mu  sync.Mutex
	out map[events.Partition]bool // guarded by mu
}

func (o *outage) begin(p events.Partition, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.out) == 0 {
		o.lg.Warn("the log cannot be followed at the moment; going on when it can", "err", err)
	}
	o.out[p] = true
}

func (o *outage) end(p events.Partition) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.out[p] {
		if delete(o.out, p); len(o.out) == 0 {
			o.lg.Warn("the log is followed again; nothing was left out")
		}
	}
}
