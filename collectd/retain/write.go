package retain

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
)

// pendingRecords are folded and not archived yet. They are measured by reading the events, and then estimated from
// the number of folded records. Records folded during a measurement may be missed, so it is repeated from time to
// time.
type pendingRecords struct {
	measuredAt    time.Time // zero: not measured yet
	records       int64
	foldedRecords int64     // Folded.Records when records was right
	since         time.Time // append of the first pending record; zero: there are none
}

// update brings the estimate up to date.
func (w *pendingRecords) update(f Folded, now time.Time) {
	if grown := f.Records - w.foldedRecords; grown > 0 {
		w.records += grown
		if w.since.IsZero() {
			w.since = now
		}
	}
	w.foldedRecords = f.Records
}

// archivePending moves events into one object of the archive when enough are pending, or have been for long enough.
// Fewer are enough when an upload is over or etcd is too full. It reports whether it wrote an object.
func (t *partitionKeeper) archivePending(ctx context.Context) (wrote bool, err error) {
	f, now := t.Folded(), time.Now()
	if f.Upto.Number <= t.part.Head.At.Number {
		return false, nil
	}
	t.pending.update(f, now)
	if now.Sub(t.pending.measuredAt) < t.cfg.ArchiveInterval && !t.isArchiveDue(ctx) {
		return false, nil
	}
	return t.archiveBatch(ctx, f)
}

// isArchiveDue reports whether pending records are to be archived now.
func (t *partitionKeeper) isArchiveDue(ctx context.Context) bool {
	w := &t.pending
	switch {
	case w.since.IsZero():
		return false
	case w.records >= int64(t.cfg.ArchiveRecords), time.Since(w.since) >= t.cfg.ArchiveInterval:
		return true
	}
	return w.records >= int64(t.cfg.ArchiveRecords)/8 && (t.isQuiet() || t.pressure.currentLevel(ctx) > 0)
}

// archiveBatch reads pending events, and writes an object of them if that is due.
func (t *partitionKeeper) archiveBatch(ctx context.Context, f Folded) (wrote bool, err error) {
	done, err := t.acquireWriter(ctx)
	if err != nil {
		return false, err
	}
	defer done()
	g, err := t.gatherEvents(ctx, f.Upto)
	if err != nil {
		return false, err
	}
	t.pending = pendingRecords{measuredAt: time.Now(), records: g.records, foldedRecords: f.Records, since: g.first}
	if !t.isArchiveDue(ctx) {
		return false, nil
	}
	return true, t.writeObject(ctx, &g)
}

// writeObject stores a batch of events and lists it.
func (t *partitionKeeper) writeObject(ctx context.Context, g *eventBatch) error {
	began := time.Now()
	r := archive.Range{Partition: t.ID, After: t.part.Head.At, Upto: g.upto}
	e, err := t.store.Write(ctx, r, eventSeq(g.events))
	if err != nil {
		return err
	}
	if err := t.manifest.Add(ctx, &t.part, e, t.Guard()); err != nil {
		return err
	}
	t.pending = pendingRecords{}
	t.heads.record(e.Last.Number, time.Now())
	t.metrics.countArchived(&e, time.Since(began))
	t.metrics.setGauges(&t.part)
	t.lg.Debug("archived", "upto", e.Last.Number, "events", e.Events, "records", e.Records, "bytes", e.Bytes(), "took", time.Since(began))
	return nil
}

// eventBatch is the events of one range of revisions.
type eventBatch struct {
	events  []events.Event
	records int64
	upto    events.Revision // all events after the head of the archive up to here
	first   time.Time       // append of the first of them; now where it has no append time
}

// maxEvents bounds the events of one object when they are small, such as events of live streams.
const maxEvents = archive.MaxEvents / 16

var errFull = errors.New("enough for one object")

// gatherEvents returns the events after the archive's head and up to a position, as many as make an object: always
// whole revisions.
func (t *partitionKeeper) gatherEvents(ctx context.Context, upto events.Revision) (eventBatch, error) {
	g := eventBatch{upto: upto}
	err := t.gatherInto(ctx, &g)
	if err != nil && !errors.Is(err, errFull) {
		return eventBatch{}, fmt.Errorf("reading the events to be archived: %w", err)
	}
	return g, nil
}

func (t *partitionKeeper) gatherInto(ctx context.Context, g *eventBatch) error {
	for ev, err := range t.log.Read(ctx, t.ID, t.part.Head.At, g.upto) {
		if err != nil {
			return err
		}
		if n := len(g.events); n > 0 && g.events[n-1].Revision != ev.Revision && (g.records >= int64(t.cfg.ArchiveRecords) || n >= maxEvents) {
			g.upto = g.events[n-1].Revision
			return errFull
		}
		if len(g.events) == 0 {
			if g.first = ev.AppendedAt.Time(); ev.AppendedAt == 0 {
				g.first = time.Now()
			}
		}
		g.events, g.records = append(g.events, ev), g.records+int64(ev.Records())
	}
	return nil
}

func eventSeq(all []events.Event) iter.Seq2[events.Event, error] {
	return func(yield func(events.Event, error) bool) {
		for _, ev := range all {
			if !yield(ev, nil) {
				return
			}
		}
	}
}
