package archive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
)

// Merge merges entries with adjacent ranges into one entry, with rollups. Of records that are equal in identity, metric,
// source, time and value it keeps only the first; every event stays in the event table. The result depends on the events
// alone, not on their distribution over entries or on earlier merges.
//
// The entries together hold at most MaxRecords records. Their objects stay in the store: they can be removed once the
// result has replaced the entries and no reader uses them any more.
func (s *Store) Merge(ctx context.Context, entries []Entry) (Entry, error) {
	e, err := s.mergeEntries(ctx, entries)
	if err != nil {
		return Entry{}, fmt.Errorf("merging %d archive entries: %w", len(entries), err)
	}
	return e, nil
}

func (s *Store) mergeEntries(ctx context.Context, entries []Entry) (Entry, error) {
	entries = slices.SortedFunc(slices.Values(entries), func(a, b Entry) int { return cmp.Compare(a.First.Number, b.First.Number) })
	if err := checkAdjacent(entries); err != nil {
		return Entry{}, err
	}
	first, last := &entries[0], &entries[len(entries)-1]
	c := entryBuilder{entry: Entry{Partition: first.Partition, First: first.First, Last: last.Last}, records: newRecordSet()}
	for i := range entries {
		if err := s.mergeOne(ctx, &c, &entries[i]); err != nil {
			return Entry{}, err
		}
	}
	return s.storeMerged(ctx, &c)
}

func checkAdjacent(entries []Entry) error {
	if len(entries) == 0 {
		return errors.New("there are none")
	}
	records, all := int64(0), int64(0)
	for i := range entries {
		e := &entries[i]
		records, all = records+e.Records, all+e.Events
		if i == 0 {
			continue
		}
		before := &entries[i-1]
		if e.Partition != before.Partition || !e.First.SameLog(before.Last) || e.First.Number != before.Last.Number+1 {
			return fmt.Errorf("the entry from revision %d of partition %d does not follow the one up to revision %d of partition %d",
				e.First.Number, e.Partition, before.Last.Number, before.Partition)
		}
	}
	if records > MaxRecords || all > MaxEvents {
		return fmt.Errorf("they have %d records of %d events, one entry holds at most %d and %d: merge fewer at a time",
			records, all, MaxRecords, MaxEvents)
	}
	return nil
}

// mergeOne adds the events and records of an entry to c.
func (s *Store) mergeOne(ctx context.Context, c *entryBuilder, e *Entry) error {
	rows, err := s.loadEvents(ctx, e)
	if err != nil {
		return err
	}
	t, err := s.loadRecords(ctx, e)
	if err != nil {
		return err
	}
	if int64(len(rows)) != e.Events || int64(len(t.times)) != e.Records {
		return fmt.Errorf("the objects of revisions %d to %d have %d events and %d records, their entry says %d and %d",
			e.First.Number, e.Last.Number, len(rows), len(t.times), e.Events, e.Records)
	}
	before := int32(len(c.table))
	for _, row := range rows {
		row.Event += before
		if err := c.addRow(row); err != nil {
			return err
		}
	}
	c.records.addTable(t, before)
	return nil
}

// addTable adds the rows of a table, and before to their event numbers.
func (g *recordSet) addTable(t *table, before int32) {
	all := make([]*seriesRecords, len(t.series))
	for i := range t.series {
		s := &t.series[i]
		all[i] = g.seriesFor(s.host, g.identityIndex(s.identity), s.metric, s.source)
	}
	absent := t.absent
	for _, r := range t.runs {
		s := all[r.series]
		for len(absent) > 0 && absent[0].Row < int(r.hi) {
			a := absent[0]
			a.Row += len(s.times) - int(r.lo)
			s.absent, absent = append(s.absent, a), absent[1:]
		}
		s.times = append(s.times, t.times[r.lo:r.hi]...)
		s.mantissas = append(s.mantissas, t.mantissas[r.lo:r.hi]...)
		s.exponents = append(s.exponents, t.exponents[r.lo:r.hi]...)
		for _, owner := range t.owners[r.lo:r.hi] {
			s.owners = append(s.owners, owner+before)
		}
	}
	g.records += int64(len(t.times))
}
