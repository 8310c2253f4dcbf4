package eventstest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
)

// Read returns the existing events in a range of revisions, as they are when the sequence starts.
func (l *MemoryLog) Read(ctx context.Context, p events.Partition, after, upto events.Revision) iter.Seq2[events.Event, error] {
	return func(yield func(events.Event, error) bool) {
		found, err := l.listEntries(ctx, p, after, upto)
		if err != nil {
			yield(events.Event{}, err)
			return
		}
		for _, e := range found {
			if err := ctx.Err(); err != nil {
				yield(events.Event{}, context.Cause(ctx))
				return
			}
			if !yield(l.decodeEntry(e), nil) {
				return
			}
			if err := l.failAfter("read"); err != nil {
				yield(events.Event{}, err)
				return
			}
		}
	}
}

func (l *MemoryLog) listEntries(ctx context.Context, p events.Partition, after, upto events.Revision) ([]storedPut, error) {
	if err := l.failBefore(ctx, "read"); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := errors.Join(l.checkLocked(after), l.sameLog(upto)); err != nil {
		return nil, err
	}
	var found []storedPut
	for _, e := range l.keys {
		if strings.HasPrefix(e.key, partitionPrefix(p)) && e.mod > after.Number && e.mod <= upto.Number {
			found = append(found, *e)
		}
	}
	slices.SortFunc(found, byRevision)
	return found, nil
}

// decodeEntry decodes a put, with the same damages as in etcd.
func (l *MemoryLog) decodeEntry(e storedPut) events.Event {
	key, err := events.ParseKey(strings.TrimPrefix(e.key, eventlog.DefaultRoot+"/"))
	var ev events.Event
	switch {
	case err != nil:
	case e.create != e.mod:
		err = events.ErrOverwritten
	default:
		ev, err = l.codec.Decode(e.value)
		if err == nil && (ev.Host != key.Host || events.PartitionOf(ev.Host, l.facts.Partitions) != key.Partition) {
			err = fmt.Errorf("the records of host %q are under the key of another", ev.Host)
		}
	}
	if err != nil {
		ev = events.Event{Host: key.Host, Damage: &events.DamageError{Value: e.value, Cause: err}}
	}
	ev.Key, ev.Revision = e.key, l.revisionOf(e.mod)
	return ev
}

func (l *MemoryLog) sameLog(r events.Revision) error {
	if r != (events.Revision{}) && !r.SameLog(l.revisionOf(0)) {
		return events.ErrForeign
	}
	return nil
}

// checkLocked refuses a position of another log, or beyond the head.
func (l *MemoryLog) checkLocked(after events.Revision) error {
	if after.Number > l.head {
		return events.ErrForeign
	}
	return l.sameLog(after)
}

func partitionPrefix(p events.Partition) string {
	return eventlog.DefaultRoot + "/" + events.PartitionPrefix(eventlog.DefaultClusterID, p)
}

func byRevision(a, b storedPut) int {
	return cmp.Or(cmp.Compare(a.mod, b.mod), cmp.Compare(a.key, b.key))
}
