package archive

import (
	"context"
	"errors"
	"time"

	"telemetry-pipeline/events"
)

// store writes the objects of what was collected.
func (s *Store) store(ctx context.Context, c *collected) (Entry, error) {
	e := c.entry
	if len(c.table) == 0 {
		return e, nil
	}
	out := newRecordWriter()
	for r := range c.records.rows(false) {
		if err := out.add(r); err != nil {
			return Entry{}, err
		}
	}
	if err := s.storeRecords(ctx, &e, out); err != nil {
		return Entry{}, err
	}
	return e, s.storeEvents(ctx, &e, c.table)
}

// storeMerged is store without repeats and with rollups.
func (s *Store) storeMerged(ctx context.Context, c *collected) (Entry, error) {
	e := c.entry
	if len(c.table) == 0 {
		return e, nil
	}
	out, rollers := newRecordWriter(), c.rollers()
	for r := range c.records.rows(true) {
		err := out.add(r)
		for _, roller := range rollers {
			err = errors.Join(err, roller.add(&r))
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

// rollers gives a roller for each kind of rollup that is worth its bytes.
func (c *collected) rollers() []*roller {
	minutes := roller{step: events.Timestamp(time.Minute)}
	for r := range c.records.rows(true) {
		_ = minutes.add(&r) // counting cannot fail
	}
	_ = minutes.flush()
	hours := &roller{step: events.Timestamp(time.Hour), out: newRollupWriter(Hours)}
	if minutes.readings < minuteReadings*minutes.buckets {
		return []*roller{hours}
	}
	return []*roller{{step: minutes.step, out: newRollupWriter(Minutes)}, hours}
}

func (s *Store) storeEvents(ctx context.Context, e *Entry, table []eventRow) error {
	content, err := writeEvents(table)
	if err != nil {
		return err
	}
	return s.add(ctx, e, Events, content, len(table))
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
	return s.add(ctx, e, Records, content, int(out.rows))
}

// storeRollup writes an object of minutes or hours, if it has rows.
func (s *Store) storeRollup(ctx context.Context, e *Entry, r *roller) error {
	if err := r.flush(); err != nil || r.out.rows == 0 {
		return err
	}
	content, err := r.out.close()
	if err != nil {
		return err
	}
	return s.add(ctx, e, r.out.kind, content, r.out.rows)
}

// add stores an object and adds it to its entry.
func (s *Store) add(ctx context.Context, e *Entry, kind Kind, content []byte, rows int) error {
	o, err := s.put(ctx, e, kind, content, int64(rows))
	if err != nil {
		return err
	}
	e.Objects = append(e.Objects, o)
	return nil
}
