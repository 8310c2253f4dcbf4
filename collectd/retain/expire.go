package retain

import (
	"context"
	"iter"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

// expireList is the number of events whose append times are checked at a time.
const expireList = 256

// heldDays bounds how long a generation being built keeps events in the log that have expired, in days of retention.
const heldDays = 2

// expiredUpto returns the position up to which events have expired where there is no archive: all up to it were
// appended before RETENTION_DAYS, and folded. An event whose value has no append time is as old as the one before it.
func (t *partitionKeeper) expiredUpto(ctx context.Context, now time.Time) (events.Revision, error) {
	if kept, err := t.archivedElsewhere(ctx); kept || err != nil {
		return t.removed, err
	}
	reached, err := t.expiredBefore(ctx, now.AddDate(0, 0, -t.cfg.RetentionDays))
	if err != nil || reached.Number <= t.removed.Number {
		return reached, err
	}
	held, some, err := t.heldFrom(ctx)
	if err != nil {
		return t.removed, err
	}
	if t.reportHeld(some && held.Number < reached.Number); !t.held {
		return reached, nil
	}
	past, err := t.expiredBefore(ctx, now.AddDate(0, 0, -heldDays*t.cfg.RetentionDays))
	if past.Number < held.Number {
		past = held
	}
	return past, err
}

// archivedElsewhere reports whether another collector has archived the partition. Then this one is misconfigured and
// removes nothing.
func (t *partitionKeeper) archivedElsewhere(ctx context.Context) (bool, error) {
	head, err := t.manifest.Head(ctx, t.ID)
	if err != nil || head.At.Number == 0 {
		return false, err
	}
	if !t.reportedArchive {
		t.reportedArchive = true
		t.lg.Error("this partition has an archive, and none is configured here: nothing leaves etcd; set -archive.url or ARCHIVE_URL as on the other collectors",
			"archived_upto", head.At.Number)
	}
	return true, nil
}

// expiredBefore returns the position before the first event that was appended after an instant. It walks the log from
// the events that were removed last.
func (t *partitionKeeper) expiredBefore(ctx context.Context, before time.Time) (events.Revision, error) {
	at, upto := t.removed, t.Folded().Upto
	for at.Number < upto.Number {
		q := events.Listing{Partition: t.ID, HasPartition: true, After: at, Upto: upto, Limit: expireList}
		refs, more, err := t.log.List(ctx, q)
		if err != nil {
			return at, err
		}
		for some := range growing(refs) {
			for ev, err := range t.log.Fetch(ctx, some) {
				if err != nil {
					return at, err
				}
				if ev.AppendedAt != 0 && ev.AppendedAt.Time().After(before) {
					at = ev.Revision
					at.Number--
					return at, nil
				}
			}
		}
		if !more {
			return upto, nil
		}
		at = refs[len(refs)-1].Revision
	}
	return at, nil
}

// growing cuts a list into pieces of 1, 2, 4 … so that little is read when the first one decides.
func growing(refs []events.Ref) iter.Seq[[]events.Ref] {
	return func(yield func([]events.Ref) bool) {
		for n := 1; len(refs) > 0; n *= 2 {
			n = min(n, len(refs))
			if !yield(refs[:n]) {
				return
			}
			refs = refs[n:]
		}
	}
}

// heldFrom returns the least position of generations that are being built: without an archive, events they have not
// read yet are nowhere else. some is false when there is no such generation.
func (t *partitionKeeper) heldFrom(ctx context.Context) (least events.Revision, some bool, err error) {
	all, err := t.saved.Generations(ctx)
	if err != nil {
		return least, false, err
	}
	for g, info := range all.All {
		if info.State != snapshot.Building && info.State != snapshot.Complete {
			continue
		}
		offsets, err := t.saved.Offsets(ctx, g)
		if err != nil {
			return least, false, err
		}
		if at := foldedUpto(offsets[t.ID]); !some || at.Number < least.Number {
			least, some = at, true
		}
	}
	return least, some, nil
}

func foldedUpto(o projections.Offsets) events.Revision {
	if o.Live.Number < o.Series.Number {
		return o.Live
	}
	return o.Series
}

// reportHeld logs when events begin to stay for a generation being built, and updates the gauge when that begins and
// ends.
func (t *partitionKeeper) reportHeld(held bool) {
	if held == t.held {
		return
	}
	t.held = held
	if held {
		t.metrics.held.Inc()
		t.lg.Info("a generation being built keeps expired events in the log, as there is no archive", "days_at_most", heldDays*t.cfg.RetentionDays)
		return
	}
	t.metrics.held.Dec()
}

// removeExpiredChunks removes chunks that hold records of expired events alone.
func (t *partitionKeeper) removeExpiredChunks(ctx context.Context, upto events.Revision) error {
	if upto.Number == 0 || time.Since(t.chunksCheckedAt) < 10*t.cfg.Look {
		return nil
	}
	t.chunksCheckedAt = time.Now()
	chunks, err := t.saved.Chunks(ctx, t.Generation, t.ID, upto.Number)
	if err != nil || len(chunks) == 0 {
		return err
	}
	return t.removeChunks(ctx, chunks)
}
