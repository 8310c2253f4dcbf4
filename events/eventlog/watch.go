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

// batchBytes is the size of a Batch, unless a single revision is larger.
const batchBytes = 1 << 20

// Batch holds all events of a watched partition after the batch before it, up to Upto. A Batch without events is
// progress: no event up to Upto will follow.
type Batch struct {
	Events []events.Event
	Upto   events.Revision
}

// Watch follows p after a revision near the head. Batches come in order of revision, Upto always grows, and the
// events of one revision are in one batch, by key. The sequence ends with an error. After ErrCompacted, ErrOverflow
// (the reader was too slow for Config.WatchBytes; the queued events come first) or ErrSilent, continue with Read from
// the last Upto; ErrForeign means that the log is now another one; other errors come from etcd or ctx.
//
// A watch that starts far behind makes etcd walk its whole history; use Read for that. Leaving the sequence ends the
// watch, and its goroutine has ended by then.
func (l *Log) Watch(ctx context.Context, p events.Partition, after events.Revision) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		deliver := func(b Batch) bool { return yield(b, nil) }
		if err := l.watchPartition(ctx, p, after, deliver); err != nil {
			yield(Batch{}, fmt.Errorf("partition %d: %w", p, err))
		}
	}
}

// watchPartition ends with an error, or without one when deliver returned false.
func (l *Log) watchPartition(ctx context.Context, p events.Partition, after events.Revision, deliver func(Batch) bool) error {
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
	wg.Go(func() { l.pumpEvents(pumpCtx, p, after.Number, q) })
	for {
		r, err := q.Next(ctx)
		if err != nil {
			return err
		}
		for b := range l.decodeBatches(r) {
			if !deliver(b) {
				return nil
			}
		}
	}
}

// decodeBatches decodes a response in batches of about batchBytes, and never splits a revision. The last batch
// reaches the response's position.
func (l *Log) decodeBatches(r etcd.Response) iter.Seq[Batch] {
	sorted := r.Events
	if !slices.IsSortedFunc(sorted, byRevisionAndKey) {
		sorted = slices.Clone(sorted) // the client may hold the slice, and deliver it again
		slices.SortStableFunc(sorted, byRevisionAndKey)
	}
	return func(yield func(Batch) bool) {
		var b Batch
		bytes := 0
		for i, ev := range sorted {
			if bytes >= batchBytes && ev.Kv.ModRevision > sorted[i-1].Kv.ModRevision {
				b.Upto = l.revisionAt(sorted[i-1].Kv.ModRevision)
				if !yield(b) {
					return
				}
				b, bytes = Batch{}, 0
			}
			b.Events = append(b.Events, l.eventOf(ev.Kv))
			bytes += etcd.SizeOf(sorted[i : i+1])
		}
		b.Upto = l.revisionAt(r.Upto)
		yield(b)
	}
}
