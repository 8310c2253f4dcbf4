package tail

import (
	"context"
	"iter"
	"slices"
	"time"

	"telemetry-pipeline/events"
)

// log is what the command needs of the event log (eventlog.Log).
type log interface {
	stream
	Facts() events.Facts
	List(ctx context.Context, q events.Listing) (refs []events.Ref, more bool, err error)
	Fetch(ctx context.Context, refs []events.Ref) iter.Seq2[events.Event, error]
}

// page is how many events are listed at a time.
const page = 2000

// skew is how far the clocks of those who append may be apart: events do not come in order of their append times.
const skew = time.Minute

// whatIsThere shows what Config asks to begin with, of the log up to head.
func (t *tail) whatIsThere(ctx context.Context, head events.Revision) error {
	switch {
	case t.cfg.Last > 0:
		return t.last(ctx, head)
	case t.cfg.From != "":
		from, err := t.cfg.from(head)
		if err != nil {
			return err
		}
		from.Number = max(from.Number-1, 0)
		return t.between(ctx, from, head, 0)
	case t.cfg.Since > 0:
		least := time.Now().Add(-t.cfg.Since)
		from, err := t.before(ctx, head, events.TimestampOf(least.Add(-skew)))
		if err != nil {
			return err
		}
		return t.between(ctx, from, head, events.TimestampOf(least))
	default:
		return nil
	}
}

// listing is of the partition that the filter leaves, if it is one.
func (t *tail) listing(head events.Revision, newest bool) events.Listing {
	q := events.Listing{Upto: head, Newest: newest, Limit: page}
	if len(t.partitions) == 1 {
		q.Partition, q.HasPartition = t.partitions[0], true
	}
	return q
}

// before gives a position before all events that were appended after an instant, give or take skew: it looks at one
// event of each page, from the newest on.
func (t *tail) before(ctx context.Context, head events.Revision, least events.Timestamp) (events.Revision, error) {
	for q := t.listing(head, true); ; {
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

// between shows the events after a position and up to head that were appended at an instant or later, as far as they
// tell.
func (t *tail) between(ctx context.Context, after, head events.Revision, least events.Timestamp) error {
	for q := t.listing(head, false); ; {
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
			if err := t.out.show([]events.Event{ev}, 0); err != nil {
				return err
			}
		}
		if !more {
			return nil
		}
		after = refs[len(refs)-1].Revision
	}
}

// last shows the newest lines.
func (t *tail) last(ctx context.Context, head events.Revision) error {
	var found []events.Event // newest first
	have := 0
	for q := t.listing(head, true); have < t.cfg.Last; {
		refs, more, err := t.log.List(ctx, q)
		if err != nil {
			return err
		}
		for some := range slices.Chunk(refs, 64) {
			for ev, err := range t.log.Fetch(ctx, some) {
				if err != nil {
					return err
				}
				if n := t.out.lines.count(&ev); n > 0 && have < t.cfg.Last {
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
	return t.out.show(found, max(have-t.cfg.Last, 0))
}
