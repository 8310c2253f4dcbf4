package archive

import (
	"context"
	"errors"
	"time"

	"telemetry-pipeline/events"
)

// storeEntry writes the records and events objects and returns their entry.
func (s *Store) storeEntry(ctx context.Context, c *entryBuilder) (Entry, error) {
	e := c.entry
	if len(c.table) == 0 {
		return e, nil
	}
	out := newRecordWriter(s.fast)
	for r := range c.records.sortedRows(false) {
		if err := out.addRow(r); err != nil {
			return Entry{}, err
		}
	}
	if err := s.storeRecords(ctx, &e, out); err != nil {
		return Entry{}, err
	}
	return e, s.storeEvents(ctx, &e, c.table)
}

// storeMerged is like storeEntry, but drops repeated records and adds rollups.
func (s *Store) storeMerged(ctx context.Context, c *entryBuilder) (Entry, error) {
	e := c.entry
	if len(c.table) == 0 {
		return e, nil
	}
	out, rollers := newRecordWriter(s.best), c.rollupBuilders(s.fast)
	for r := range c.records.sortedRows(true) {
		err := out.addRow(r)
		for _, roller := range rollers {
			err = errors.Join(err, roller.addRow(&r))
		}
		if err != nil {
			return Entry{}, err
		}
	}
	if err := s.storeRecords(ctx, &e, out); err != nil {
		return Entry{}, err
	}
	if err := s.storeEvents(ctx, &e, c.table); err != nil {
		return Entry{}, err
	}
	for _, r := range rollers {
		if err := s.storeRollup(ctx, &e, r); err != nil {
			return Entry{}, err
		}
	}
	return e, nil
}

// rollupBuilders returns a builder for each kind of rollup that is worth its bytes.
func (c *entryBuilder) rollupBuilders(codec *pageCodec) []*rollupBuilder {
	minutes := rollupBuilder{step: events.Timestamp(time.Minute)}
	for r := range c.records.sortedRows(true) {
		_ = minutes.addRow(&r) // counting cannot fail
	}
	_ = minutes.flushBucket() // as above
	hours := &rollupBuilder{step: events.Timestamp(time.Hour), out: newRollupWriter(Hours, codec)}
	if minutes.readings < minuteReadings*minutes.buckets {
		return []*rollupBuilder{hours}
	}
	return []*rollupBuilder{{step: minutes.step, out: newRollupWriter(Minutes, codec)}, hours}
}

func (s *Store) storeEvents(ctx context.Context, e *Entry, table []eventRow) error {
	content, err := writeEvents(table, s.fast)
	if err != nil {
		return err
	}
	return s.addObject(ctx, e, Events, content, len(table))
}

// storeRecords writes the records object, if there are records.
func (s *Store) storeRecords(ctx context.Context, e *Entry, out *recordWriter) error {
	if out.rows == 0 {
		return nil
	}
	content, err := out.close()
	if err != nil {
		return err
	}
	e.Records, e.From, e.To = out.rows, out.from, out.to
	return s.addObject(ctx, e, Records, content, int(out.rows))
}

// storeRollup writes an object of minutes or hours, if it has rows.
func (s *Store) storeRollup(ctx context.Context, e *Entry, r *rollupBuilder) error {
	if err := r.flushBucket(); err != nil || r.out.rows == 0 {
		return err
	}
	content, err := r.out.close()
	if err != nil {
		return err
	}
	return s.addObject(ctx, e, r.out.kind, content, r.out.rows)
}

// addObject stores an object and appends it to its entry.
func (s *Store) addObject(ctx context.Context, e *Entry, kind Kind, content []byte, rows int) error {
	o, err := s.storeObject(ctx, e, kind, content, int64(rows))
	if err != nil {
		return err
	}
	e.Objects = append(e.Objects, o)
	return nil
}
