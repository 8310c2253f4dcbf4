package archive

import (
	"context"
	"fmt"
	"iter"

	"telemetry-pipeline/events"
)

// Read gives the events of an entry after a revision, as they were written: in revision order, those of one revision by
// key, damaged ones with a events.DamageError. The zero after is the beginning. An event of a merged entry has only the
// records that no earlier one of the same entry has, and one whose records are all repeats is left out.
//
// The entry's objects are read whole and checked against their hashes before the first event is given; a
// DamagedError or ErrMissing tells that they do not hold what they should. What is given shares no memory with what
// comes later.
func (s *Store) Read(ctx context.Context, e Entry, after events.Revision) iter.Seq2[events.Event, error] {
	return func(yield func(events.Event, error) bool) {
		if err := s.read(ctx, &e, after, func(ev events.Event) bool { return yield(ev, nil) }); err != nil {
			yield(events.Event{}, fmt.Errorf("reading archived revisions %d to %d of partition %d: %w", e.First.Number, e.Last.Number, e.Partition, err))
		}
	}
}

func (s *Store) read(ctx context.Context, e *Entry, after events.Revision, yield func(events.Event) bool) error {
	if after != (events.Revision{}) && !after.SameLog(e.Last) {
		return events.ErrForeign
	}
	if after.Number >= e.Last.Number {
		return nil
	}
	all, t, err := s.load(ctx, e)
	if err != nil {
		return err
	}
	o, _ := e.Object(Records)
	a, err := assemble(t, all)
	if err != nil {
		return &DamagedError{o.Name, err.Error()}
	}
	for i := range all {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if all[i].Revision.Number <= after.Number {
			continue
		}
		if all[i].Damage == nil && !a.fill(&all[i], int32(i)) {
			continue
		}
		if !yield(all[i]) {
			return nil
		}
		all[i] = events.Event{}
	}
	return nil
}

// load reads the objects of an entry: its events without records, and the records.
func (s *Store) load(ctx context.Context, e *Entry) ([]events.Event, *table, error) {
	var all []events.Event
	t := newTableReader()
	if o, found := e.Object(Events); found {
		content, err := s.get(ctx, o)
		if err != nil {
			return nil, nil, err
		}
		if all, err = readEvents(content, e.Last); err != nil {
			return nil, nil, &DamagedError{o.Name, err.Error()}
		}
	}
	o, found := e.Object(Records)
	if !found {
		return all, &t.table, nil
	}
	content, err := s.get(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	f, err := openContent(o, content)
	if err != nil {
		return nil, nil, err
	}
	groups, err := rowGroups(o, f)
	if err != nil {
		return nil, nil, err
	}
	for _, g := range groups {
		if err := t.read(g, 0, g.rows); err != nil {
			return nil, nil, err
		}
	}
	return all, &t.table, nil
}
