package archive

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"telemetry-pipeline/events"
)

// Range is the range of one partition's revisions with After < revision ≤ Upto. The zero After is the beginning of the log.
//
// With EnoughRecords or EnoughEvents the range ends with the revision at which it has so many, so that a writer need not
// hold events to count them.
type Range struct {
	Partition events.Partition
	After     events.Revision
	Upto      events.Revision

	EnoughRecords int64 // 0: no bound
	EnoughEvents  int   // 0: no bound
}

// newEntry returns the entry of a range, without objects.
func (r Range) newEntry() (Entry, error) {
	switch {
	case r.Upto.Number <= r.After.Number:
		return Entry{}, fmt.Errorf("the range after revision %d up to %d is empty", r.After.Number, r.Upto.Number)
	case r.After != (events.Revision{}) && !r.After.SameLog(r.Upto):
		return Entry{}, fmt.Errorf("the range begins at %s and ends at %s, which is of another log", r.After, r.Upto)
	}
	first := r.Upto
	first.Number = r.After.Number + 1
	return Entry{Partition: r.Partition, First: first, Last: r.Upto}, nil
}

// Write stores the events of a range and returns their entry. evs must yield all events of the range in order of revision,
// then key: the entry states that the range has no others. Write does not keep or change them, and asks for no more once the
// range has enough.
//
// The entry holds at most MaxRecords records and MaxEvents events; more are an error, and so is a violation of the
// conditions above. After an error no entry lists the objects, and calling again does no harm.
func (s *Store) Write(ctx context.Context, r Range, evs iter.Seq2[events.Event, error]) (Entry, error) {
	e, err := s.writeRange(ctx, r, evs)
	if err != nil {
		return Entry{}, fmt.Errorf("archiving partition %d, revisions %d to %d: %w", r.Partition, r.After.Number+1, r.Upto.Number, err)
	}
	return e, nil
}

func (s *Store) writeRange(ctx context.Context, r Range, evs iter.Seq2[events.Event, error]) (Entry, error) {
	e, err := r.newEntry()
	if err != nil {
		return Entry{}, err
	}
	c := entryBuilder{entry: e, records: newRecordSet()}
	for ev, err := range evs {
		if err == nil && c.hasEnough(&r, &ev) {
			c.entry.Last.Number = c.table[len(c.table)-1].Revision
			break
		}
		if err == nil {
			err = c.addEvent(&ev)
		}
		if err != nil {
			return Entry{}, err
		}
	}
	return s.storeEntry(ctx, &c)
}

// entryBuilder collects the contents of an entry.
type entryBuilder struct {
	entry   Entry
	table   []eventRow
	records *recordSet
}

// hasEnough reports whether the range ends before the next event: always between two revisions.
func (c *entryBuilder) hasEnough(r *Range, next *events.Event) bool {
	n := len(c.table)
	if n == 0 || c.table[n-1].Revision == next.Revision.Number {
		return false
	}
	return r.EnoughRecords > 0 && c.records.records >= r.EnoughRecords || r.EnoughEvents > 0 && n >= r.EnoughEvents
}

// addEvent adds the next event.
func (c *entryBuilder) addEvent(ev *events.Event) error {
	if !ev.Revision.SameLog(c.entry.Last) || ev.Revision.Number < c.entry.First.Number || ev.Revision.Number > c.entry.Last.Number {
		return fmt.Errorf("event %s has revision %s, outside of the range", ev.Key, ev.Revision)
	}
	row := rowOf(ev, int32(len(c.table)))
	if n := len(c.table); n > 0 && (c.table[n-1].Revision > row.Revision || c.table[n-1].Revision == row.Revision && strings.Compare(c.table[n-1].Key, row.Key) > 0) {
		return fmt.Errorf("event %s at revision %d is out of order", ev.Key, row.Revision)
	}
	if ev.Damage == nil {
		if err := ev.Check(); err != nil {
			return fmt.Errorf("event %s: %w", ev.Key, err)
		}
		c.records.addEvent(ev, row.Event)
	}
	return c.addRow(row)
}

// addRow adds a row of the event table, whose records are in c.records.
func (c *entryBuilder) addRow(row eventRow) error {
	c.table = append(c.table, row)
	c.entry.Events++
	if row.Damage != "" {
		c.entry.Damaged++
	}
	if at := events.Timestamp(row.AppendedAt); at != 0 {
		if c.entry.AppendedFrom == 0 {
			c.entry.AppendedFrom, c.entry.AppendedTo = at, at
		}
		c.entry.AppendedFrom, c.entry.AppendedTo = min(c.entry.AppendedFrom, at), max(c.entry.AppendedTo, at)
	}
	switch {
	case c.records.records > MaxRecords:
		return fmt.Errorf("there are more than %d records, which one entry cannot hold: archive fewer revisions at a time", MaxRecords)
	case len(c.table) > MaxEvents:
		return fmt.Errorf("there are more than %d events, which one entry cannot hold: archive fewer revisions at a time", MaxEvents)
	}
	return nil
}
