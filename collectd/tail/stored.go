package tail

import (
	"context"
	"iter"
	"slices"
	"time"

	"telemetry-pipeline/events"
)

// log is the part of the event log that the command needs (eventlog.Log).
type log interface {
	stream
	Facts() events.Facts
	List(ctx context.Context, q events.Listing) (refs []events.Ref, more bool, err error)
	Fetch(ctx context.Context, refs []events.Ref) iter.Seq2[events.Event, error]
}

// listPage is the number of events listed at a time.
const listPage = 2000

// maxClockSkew bounds the difference between the clocks of writers: events do not come in order of their append
// times.
const maxClockSkew = time.Minute

// showStored shows the stored events that Config selects, up to head.
func (t *tail) showStored(ctx context.Context, head events.Revision) error {
	switch {
	case t.cfg.Last > 0:
		return t.showLast(ctx, head)
	case t.cfg.From != "":
		from, err := t.cfg.fromRevision(head)
		if err != nil {
			return err
		}
		from.Number = max(from.Number-1, 0)
		return t.showBetween(ctx, from, head, 0)
	case t.cfg.Since > 0:
		least := time.Now().Add(-t.cfg.Since)
		from, err := t.positionBefore(ctx, head, events.TimestampOf(least.Add(-maxClockSkew)))
		if err != nil {
			return err
		}
		return t.showBetween(ctx, from, head, events.TimestampOf(least))
	default:
		return nil
	}
}

// newListing returns a listing, of one partition if the filter leaves only one.
func (t *tail) newListing(head events.Revision, newest bool) events.Listing {
	q := events.Listing{Upto: head, Newest: newest, Limit: listPage}
	if len(t.partitions) == 1 {
		q.Partition, q.HasPartition = t.partitions[0], true
	}
	return q
}

// positionBefore returns a position before all events that were appended after an instant, within maxClockSkew: it
// reads one event of each page, from the newest on.
func (t *tail) positionBefore(ctx context.Context, head events.Revision, least events.Timestamp) (events.Revision, error) {
	for q := t.newListing(head, true); ; {
		refs, more, err := t.log.List(ctx, q)
		if err != nil || len(refs) == 0 {
			return events.Revision{}, err
		}
		oldest := refs[len(refs)-1]
		for ev, err := range t.log.Fetch(ctx, []events.Ref{oldest}) {
			if err != nil {
				return events.Revision{}, err
			}
			if ev.AppendedAt != 0 && ev.AppendedAt < least {
				return oldest.Revision, nil
			}
		}
		if !more {
			return events.Revision{}, nil
		}
		q.Upto = oldest.Revision
		q.Upto.Number--
	}
}

// showBetween shows the events after a position and up to head that were appended at an instant or later, and all
// damaged ones.
func (t *tail) showBetween(ctx context.Context, after, head events.Revision, least events.Timestamp) error {
	for q := t.newListing(head, false); ; {
		q.After = after
		refs, more, err := t.log.List(ctx, q)
		if err != nil || len(refs) == 0 {
			return err
		}
		for ev, err := range t.log.Fetch(ctx, refs) {
			if err != nil {
				return err
			}
			if ev.Damage == nil && ev.AppendedAt < least {
				continue
			}
			if err := t.out.writeEvents([]events.Event{ev}, 0); err != nil {
				return err
			}
		}
		if !more {
			return nil
		}
		after = refs[len(refs)-1].Revision
	}
}

// showLast shows the newest lines.
func (t *tail) showLast(ctx context.Context, head events.Revision) error {
	var found []events.Event // newest first
	have := 0
	for q := t.newListing(head, true); have < t.cfg.Last; {
		refs, more, err := t.log.List(ctx, q)
		if err != nil {
			return err
		}
		for some := range slices.Chunk(refs, 64) {
			for ev, err := range t.log.Fetch(ctx, some) {
				if err != nil {
					return err
				}
				if n := t.out.lines.lineCount(&ev); n > 0 && have < t.cfg.Last {
					found = append(found, ev)
					have += n
				}
			}
			if have >= t.cfg.Last {
				break
			}
		}
		if !more || len(refs) == 0 {
			break
		}
		q.Upto = refs[len(refs)-1].Revision
		q.Upto.Number--
	}
	slices.Reverse(found)
	return t.out.writeEvents(found, max(have-t.cfg.Last, 0))
}
