package retain

import (
	"context"
	"fmt"
	"slices"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections/snapshot"
)

// removeList is the number of events listed at a time.
const removeList = 3000

// revisitEvery is the interval between two looks at events that were quarantined when the others expired.
const revisitEvery = time.Hour

// removeFromEtcd removes events and chunks that need not stay in etcd.
func (t *partitionKeeper) removeFromEtcd(ctx context.Context) error {
	now := time.Now()
	if now.Sub(t.removalCheckedAt) < 10*t.cfg.Look && (t.store == nil || t.pressure.currentLevel(ctx) == 0) {
		return nil
	}
	t.removalCheckedAt = now
	upto, err := t.removableUpto(ctx, now)
	if err != nil {
		return err
	}
	if now.Sub(t.removedResetAt) > revisitEvery {
		t.removed, t.removedResetAt = events.Revision{}, now
	}
	if upto.Number > t.removed.Number {
		if err := t.removeEvents(ctx, upto); err != nil {
			return err
		}
	}
	if t.store == nil {
		return t.removeExpiredChunks(ctx, upto)
	}
	if err := t.dropOldEntries(ctx, now); err != nil {
		return err
	}
	return t.removeColdChunks(ctx, now)
}

// removableUpto returns the position up to which events may leave the log.
func (t *partitionKeeper) removableUpto(ctx context.Context, now time.Time) (events.Revision, error) {
	if t.store == nil {
		return t.expiredUpto(ctx, now)
	}
	return t.archivedBefore(ctx, now.Add(-t.cfg.HotWindow)), nil
}

// archivedBefore returns the end of the last entry whose events were appended before an instant; under pressure, of
// the last entry.
func (t *partitionKeeper) archivedBefore(ctx context.Context, before time.Time) events.Revision {
	upto := t.part.Head.At
	if t.pressure.currentLevel(ctx) > 0 {
		return upto
	}
	upto = t.part.Head.Since
	for i := range t.part.Entries {
		e := &t.part.Entries[i]
		if e.AppendedTo.Time().After(before) {
			break
		}
		upto = t.part.At(i)
	}
	return upto
}

// removeEvents removes the events up to a position from the log. Quarantined events leave it as well where there is an
// archive, from which they are retried; without one they stay.
func (t *partitionKeeper) removeEvents(ctx context.Context, upto events.Revision) error {
	kept, err := t.quarantinedEvents(ctx)
	if err != nil {
		return err
	}
	after := t.removed
	for more := true; more; {
		var refs []events.Ref
		q := events.Listing{Partition: t.ID, HasPartition: true, After: after, Upto: upto, Limit: removeList}
		if refs, more, err = t.log.List(ctx, q); err != nil {
			return err
		}
		if len(refs) == 0 {
			break
		}
		after = refs[len(refs)-1].Revision
		n, err := t.log.Remove(ctx, kept.withoutKept(refs), t.waitPace, t.Guard())
		t.metrics.eventsRemoved.n.Add(int64(n))
		if err != nil {
			return err
		}
	}
	t.removed = upto
	return nil
}

// keptEvents are events that stay in the log because they are not folded.
type keptEvents struct {
	entries map[snapshot.EntryID]bool
	ranges  [][2]int64 // first and last revision of each summary, which lists none of its events
}

// quarantinedEvents returns the events that stay in the log: none where there is an archive.
func (t *partitionKeeper) quarantinedEvents(ctx context.Context) (keptEvents, error) {
	kept := keptEvents{entries: map[snapshot.EntryID]bool{}}
	if t.store != nil {
		return kept, nil
	}
	for q, err := range t.saved.Quarantined(ctx, t.Generation, t.ID) {
		switch {
		case err != nil:
			return kept, fmt.Errorf("listing the quarantine: %w", err)
		case q.ID.IsSummary():
			kept.ranges = append(kept.ranges, [2]int64{q.Revision.Number, q.LastRevision.Number})
		default:
			kept.entries[q.ID] = true
		}
	}
	return kept, nil
}

// withoutKept returns the refs of events that may leave the log.
func (k *keptEvents) withoutKept(refs []events.Ref) []events.Ref {
	if len(k.entries)+len(k.ranges) == 0 {
		return refs
	}
	return slices.DeleteFunc(slices.Clone(refs), func(r events.Ref) bool {
		within := func(span [2]int64) bool { return span[0] <= r.Revision.Number && r.Revision.Number <= span[1] }
		return k.entries[snapshot.EntryIDOf(r.Key, r.Revision)] || slices.ContainsFunc(k.ranges, within)
	})
}

// dropOldEntries drops entries that are older than ArchiveDays from the archive.
func (t *partitionKeeper) dropOldEntries(ctx context.Context, now time.Time) error {
	if t.cfg.ArchiveDays <= 0 {
		return nil
	}
	before, n := now.AddDate(0, 0, -t.cfg.ArchiveDays), 0
	for n < len(t.part.Entries) && t.part.Entries[n].AppendedTo.Time().Before(before) {
		n++
	}
	if n = min(n, maxDropped); n == 0 {
		return nil
	}
	if err := t.manifest.Drop(ctx, &t.part, n, t.Guard()); err != nil {
		return err
	}
	t.lg.Info("the archive does not keep these entries any longer", "entries", n, "upto", t.part.Head.Since.Number)
	t.metrics.setGauges(&t.part)
	return nil
}
