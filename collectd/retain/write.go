package retain

import (
	"context"
	"fmt"
	"time"

	"telemetry-pipeline/events/archive"
)

// pendingRecords are folded and not archived yet. They are measured by reading the events, and then estimated from
// the numbers of folded and of archived records. Records folded during a measurement may be missed, so it is repeated
// from time to time.
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

// archiveEntry records that an entry of some of them is written.
func (w *pendingRecords) archiveEntry(e *archive.Entry, now time.Time) {
	w.records, w.since = max(0, w.records-e.Records), time.Time{}
	switch {
	case w.records == 0:
	case e.AppendedTo != 0:
		w.since = e.AppendedTo.Time()
	default:
		w.since = now
	}
}

// archivePending moves events into one object of the archive when enough are pending, or have been for long enough.
// Fewer are enough when an upload is over, when a stream lasts or when etcd is too full. It reports whether it wrote an
// object.
func (t *partitionKeeper) archivePending(ctx context.Context) (wrote bool, err error) {
	f, now := t.Folded(), time.Now()
	if f.Upto.Number <= t.part.Head.At.Number {
		return false, nil
	}
	t.pending.update(f, now)
	if now.Sub(t.pending.measuredAt) >= t.cfg.ArchiveInterval {
		if err := t.measurePending(ctx, f); err != nil {
			return false, err
		}
	}
	if !t.isArchiveDue(ctx) {
		return false, nil
	}
	return t.archiveBatch(ctx, f)
}

// streamsFrom is the time after which an upload that goes on is taken for a stream.
const streamsFrom = 30 * time.Second

// isArchiveDue reports whether pending records are to be archived now. A stream is archived in more, smaller objects, so
// that the work is spread over time and partitions; merging makes them large.
func (t *partitionKeeper) isArchiveDue(ctx context.Context) bool {
	w, enough := &t.pending, int64(t.cfg.ArchiveRecords)
	switch {
	case w.since.IsZero():
		return false
	case w.records >= enough, time.Since(w.since) >= t.cfg.ArchiveInterval,
		w.records >= enough/4 && time.Since(w.since) >= streamsFrom:
		return true
	}
	return w.records >= enough/8 && (t.isQuiet() || t.pressure.currentLevel(ctx) > 0)
}

// measurePending counts the pending records.
func (t *partitionKeeper) measurePending(ctx context.Context, f Folded) error {
	done, err := t.acquireWriter(ctx)
	if err != nil {
		return err
	}
	defer done(0)
	measured := pendingRecords{measuredAt: time.Now(), foldedRecords: f.Records}
	for ev, err := range t.log.Read(ctx, t.ID, t.part.Head.At, f.Upto) {
		if err != nil {
			return fmt.Errorf("reading the events to be archived: %w", err)
		}
		if measured.since.IsZero() {
			if measured.since = ev.AppendedAt.Time(); ev.AppendedAt == 0 {
				measured.since = time.Now()
			}
		}
		measured.records += int64(ev.Records())
	}
	t.pending = measured
	return nil
}

// maxEvents bounds the events of one object when they are small, such as events of live streams.
const maxEvents = archive.MaxEvents / 16

// archiveBatch stores an object of pending events and lists it, unless objects rest.
func (t *partitionKeeper) archiveBatch(ctx context.Context, f Folded) (wrote bool, err error) {
	done, err := t.takeTurn(ctx, t.pending.records >= 2*int64(t.cfg.ArchiveRecords), t.pressure.currentLevel(ctx))
	if done == nil || err != nil {
		return false, err
	}
	began := time.Now()
	defer func() { done(time.Since(began)) }()
	r := archive.Range{Partition: t.ID, After: t.part.Head.At, Upto: f.Upto, EnoughRecords: int64(t.cfg.ArchiveRecords), EnoughEvents: maxEvents}
	e, err := t.store.Write(ctx, r, t.log.Read(ctx, t.ID, r.After, r.Upto))
	if err != nil {
		return false, err
	}
	if err := t.manifest.Add(ctx, &t.part, e, t.Guard()); err != nil {
		return false, err
	}
	t.pending.archiveEntry(&e, began)
	t.heads.record(e.Last.Number, time.Now())
	t.metrics.countArchived(&e, time.Since(began))
	t.metrics.setGauges(&t.part)
	t.lg.Debug("archived", "upto", e.Last.Number, "events", e.Events, "records", e.Records, "bytes", e.Bytes(), "took", time.Since(began))
	return true, nil
}
