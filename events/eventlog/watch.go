package eventlog

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"telemetry-pipeline/events"
	"telemetry-pipeline/events/etcd"
)

// batchBytes is how much of what arrived together goes into one Batch, as far as revisions can be told apart.
const batchBytes = 1 << 20

// Batch is what a Watch gives: all events of the partition up to Upto that were not given before.
// Without events it is progress: nothing up to Upto will come any more.
type Batch struct {
	Events []events.Event
	Upto   events.Revision
}

// Watch follows p after a revision near the head. Batches come in order of revision, Upto always grows, and
// the events of one revision are in one batch, by key. The sequence ends with an error: ErrCompacted,
// ErrOverflow (the reader was too slow for Config.WatchBytes; what was queued is given first) or ErrSilent
// mean read on by Read from the last Upto; ErrForeign that the log is another one now; others tell of etcd
// or ctx.
//
// A watch that starts far behind makes etcd walk its whole history; that is what Read is for. Leaving the
// sequence ends the watch, and its goroutine has ended by then.
func (l *Log) Watch(ctx context.Context, p events.Partition, after events.Revision) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		give := func(b Batch) bool { return yield(b, nil) }
		if err := l.watch(ctx, p, after, give); err != nil {
			yield(Batch{}, fmt.Errorf("partition %d: %w", p, err))
		}
	}
}

// watch ends with an error, or without one when give returned false.
func (l *Log) watch(ctx context.Context, p events.Partition, after events.Revision, give func(Batch) bool) error {
	if err := l.checkPosition(after); err != nil {
		return err
	}
	head, err := l.Head(ctx)
	if err != nil {
		return err
	}
	if after.Number > head.Number {
		return fmt.Errorf("position %d is ahead of the log, whose newest revision is %d: %w", after.Number, head.Number, events.ErrForeign)
	}
	q := etcd.NewQueue(l.cfg.WatchBytes)
	var wg sync.WaitGroup
	defer wg.Wait()
	pumpCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	wg.Go(func() { l.pump(pumpCtx, p, after.Number, q) })
	for {
		r, err := q.Next(ctx)
		if err != nil {
			return err
		}
		for b := range l.batches(r) {
			if !give(b) {
				return nil
			}
		}
	}
}

// batches decodes a response in pieces of about batchBytes, never cutting through a revision. The last piece reaches as
// far as the response does.
func (l *Log) batches(r etcd.Response) iter.Seq[Batch] {
	slices.SortStableFunc(r.Events, byRevisionAndKey)
	return func(yield func(Batch) bool) {
		var b Batch
		bytes := 0
		for i, ev := range r.Events {
			if bytes >= batchBytes && ev.Kv.ModRevision > r.Events[i-1].Kv.ModRevision {
				b.Upto = l.at(r.Events[i-1].Kv.ModRevision)
				if !yield(b) {
					return
				}
				b, bytes = Batch{}, 0
			}
			b.Events = append(b.Events, l.event(ev.Kv))
			bytes += etcd.SizeOf(r.Events[i : i+1])
		}
		b.Upto = l.at(r.Upto)
		yield(b)
	}
}
