package eventstest

import (
	"context"
	"iter"
	"slices"
	"strings"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
)

// watcher is one Watch of a MemoryLog. All fields but ready belong to the log's mutex.
type watcher struct {
	prefix string
	bound  int
	ready  chan struct{} // holds a token when something may have changed

	queue     []storedPut
	bytes     int
	upto      int64 // the queue is complete up to here
	delivered int64 // the reader has received everything up to here
	err       error // returned after the queue
}

// SetWatchBytes bounds the queues of watches that start after the call.
func (l *MemoryLog) SetWatchBytes(bound int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bound = bound
}

// Break ends every running watch with err (ErrOverflow, ErrCompacted, ErrSilent, the error of a broken connection), after
// its queued events. It returns the number of watches.
func (l *MemoryLog) Break(err error) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	for w := range l.watchers {
		w.endLocked(err)
	}
	return len(l.watchers)
}

// Watch follows p through the history, and then through new puts.
func (l *MemoryLog) Watch(ctx context.Context, p events.Partition, after events.Revision) iter.Seq2[eventlog.Batch, error] {
	return func(yield func(eventlog.Batch, error) bool) {
		w, err := l.startWatch(ctx, p, after)
		if err != nil {
			yield(eventlog.Batch{}, err)
			return
		}
		defer l.removeWatcher(w)
		for {
			b, err := l.nextBatch(ctx, w)
			if err != nil {
				yield(eventlog.Batch{}, err)
				return
			}
			if !yield(b, nil) {
				return
			}
			if err := l.failAfter("watch"); err != nil {
				yield(eventlog.Batch{}, err)
				return
			}
		}
	}
}

func (l *MemoryLog) startWatch(ctx context.Context, p events.Partition, after events.Revision) (*watcher, error) {
	if err := l.failBefore(ctx, "watch"); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.checkLocked(after); err != nil {
		return nil, err
	}
	if after.Number < l.compacted {
		return nil, events.ErrCompacted
	}
	w := &watcher{prefix: partitionPrefix(p), bound: l.bound, ready: make(chan struct{}, 1), upto: after.Number, delivered: after.Number}
	for _, e := range l.history {
		if e.mod > after.Number && strings.HasPrefix(e.key, w.prefix) {
			w.queue = append(w.queue, e)
			w.bytes += e.size()
		}
	}
	w.upto = max(w.upto, l.head)
	w.signal()
	l.watchers[w] = true
	return w, nil
}

func (l *MemoryLog) removeWatcher(w *watcher) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.watchers, w)
}

// nextBatch waits for the next batch.
func (l *MemoryLog) nextBatch(ctx context.Context, w *watcher) (eventlog.Batch, error) {
	for {
		if ctx.Err() != nil {
			return eventlog.Batch{}, context.Cause(ctx)
		}
		if queue, upto, err, ok := l.takeQueue(w); ok {
			return l.newBatch(queue, upto), err
		}
		select {
		case <-w.ready:
		case <-ctx.Done():
		}
	}
}

func (l *MemoryLog) takeQueue(w *watcher) (queue []storedPut, upto int64, err error, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.upto > w.delivered {
		queue, w.queue, w.bytes = w.queue, nil, 0
		w.delivered = w.upto
		return queue, w.upto, nil, true
	}
	return nil, 0, w.err, w.err != nil
}

func (l *MemoryLog) newBatch(queue []storedPut, upto int64) eventlog.Batch {
	b := eventlog.Batch{Upto: l.revisionOf(upto)}
	slices.SortStableFunc(queue, byRevision)
	for _, e := range queue {
		b.Events = append(b.Events, l.decodeEntry(e))
	}
	return b
}

// pushLocked queues a new revision for the watcher.
func (w *watcher) pushLocked(puts []storedPut, head int64) {
	if w.err != nil {
		return
	}
	var mine []storedPut
	bytes := 0
	for _, e := range puts {
		if strings.HasPrefix(e.key, w.prefix) {
			mine = append(mine, e)
			bytes += e.size()
		}
	}
	if len(w.queue) > 0 && w.bytes+bytes > w.bound {
		w.endLocked(events.ErrOverflow)
		return
	}
	w.queue = append(w.queue, mine...)
	w.bytes += bytes
	w.upto = head
	w.signal()
}

func (w *watcher) endLocked(err error) {
	if w.err == nil {
		w.err = err
	}
	w.signal()
}

func (w *watcher) signal() {
	select {
	case w.ready <- struct{}{}:
	default:
	}
}
