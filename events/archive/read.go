package archive

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"telemetry-pipeline/events"
)

// Read returns the events of an entry after a revision, as they were written: in order of revision, then key, damaged ones
// with an events.DamageError. The zero after is the beginning. An event of a merged entry has only the records that no
// earlier event of the same entry has, and an event whose records are all repeats is left out.
//
// The entry's objects are read whole and checked against their hashes before the first event is returned; objects that do
// not match are a DamagedError or ErrMissing. Returned events share no memory with later ones.
func (s *Store) Read(ctx context.Context, e Entry, after events.Revision) iter.Seq2[events.Event, error] {
	return func(yield func(events.Event, error) bool) {
		if err := s.readAfter(ctx, &e, after, func(ev events.Event) bool { return yield(ev, nil) }); err != nil {
			yield(events.Event{}, fmt.Errorf("reading archived revisions %d to %d of partition %d: %w", e.First.Number, e.Last.Number, e.Partition, err))
		}
	}
}

// ReadAt returns the events of an entry at some revisions of its log, in ascending order, as Read does, except that an
// event whose records are all repeats is returned without records. The entry's objects are read once.
func (s *Store) ReadAt(ctx context.Context, e Entry, revisions []int64) iter.Seq2[events.Event, error] {
	return func(yield func(events.Event, error) bool) {
		selected := func(revision int64) bool { _, found := slices.BinarySearch(revisions, revision); return found }
		if err := s.readEntry(ctx, &e, selected, true, func(ev events.Event) bool { return yield(ev, nil) }); err != nil {
			yield(events.Event{}, fmt.Errorf("reading %d archived revisions from %d to %d of partition %d: %w",
				len(revisions), e.First.Number, e.Last.Number, e.Partition, err))
		}
	}
}

func (s *Store) readAfter(ctx context.Context, e *Entry, after events.Revision, yield func(events.Event) bool) error {
	if after != (events.Revision{}) && !after.SameLog(e.Last) {
		return events.ErrForeign
	}
	if after.Number >= e.Last.Number {
		return nil
	}
	return s.readEntry(ctx, e, func(revision int64) bool { return revision > after.Number }, false, yield)
}

// readEntry yields the selected events of an entry; with repeats also those whose records are all repeats, without
// records.
func (s *Store) readEntry(ctx context.Context, e *Entry, selected func(revision int64) bool, repeats bool, yield func(events.Event) bool) error {
	all, t, err := s.loadEntry(ctx, e)
	if err != nil {
		return err
	}
	o, _ := e.Object(Records)
	a, err := newAssembly(t, all)
	if err != nil {
		return &DamagedError{o.Name, err.Error()}
	}
	for i := range all {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if !selected(all[i].Revision.Number) {
			continue
		}
		if all[i].Damage == nil && !a.fillEvent(&all[i], int32(i)) && !repeats {
			continue
		}
		if !yield(all[i]) {
			return nil
		}
		all[i] = events.Event{}
	}
	return nil
}

// loadEntry reads the objects of an entry and returns its events without records, and its records.
func (s *Store) loadEntry(ctx context.Context, e *Entry) ([]events.Event, *table, error) {
	rows, err := s.loadEvents(ctx, e)
	if err != nil {
		return nil, nil, err
	}
	all := make([]events.Event, len(rows))
	for i := range rows {
		if all[i], err = rows[i].toEvent(e.Last); err != nil {
			o, _ := e.Object(Events)
			return nil, nil, &DamagedError{o.Name, fmt.Sprintf("event %d: %v", i, err)}
		}
	}
	t, err := s.loadRecords(ctx, e)
	return all, t, err
}

// loadEvents returns the event table of an entry.
func (s *Store) loadEvents(ctx context.Context, e *Entry) ([]eventRow, error) {
	o, found := e.Object(Events)
	if !found {
		return nil, nil
	}
	content, err := s.readObject(ctx, o)
	if err != nil {
		return nil, err
	}
	rows, err := readEvents(content)
	if err != nil {
		return nil, &DamagedError{o.Name, err.Error()}
	}
	return rows, nil
}

// loadRecords returns all records of an entry.
func (s *Store) loadRecords(ctx context.Context, e *Entry) (*table, error) {
	t := newTableReader()
	o, found := e.Object(Records)
	if !found {
		return &t.table, nil
	}
	content, err := s.readObject(ctx, o)
	if err != nil {
		return nil, err
	}
	f, err := openContent(o, content)
	if err != nil {
		return nil, err
	}
	groups, err := rowGroups(o, f, recordColumns)
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		if err := t.readRows(g, 0, g.rows); err != nil {
			return nil, err
		}
	}
	return &t.table, nil
}
