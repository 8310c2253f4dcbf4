package retain

import (
	"context"
	"fmt"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections/snapshot"
)

// removeList is how many events are listed at a time.
const removeList = 3000

// revisitEvery is how often events are looked at that were in the quarantine when the others left.
const revisitEvery = time.Hour

// remove takes out of etcd what need not be there any more.
func (t *tenure) remove(ctx context.Context) error {
	now := time.Now()
	if now.Sub(t.lookedAt) < 10*t.cfg.Look && (t.store == nil || t.pressure.level(ctx) == 0) {
		return nil
	}
	t.lookedAt = now
	upto, err := t.mayLeave(ctx, now)
	if err != nil {
		return err
	}
	if now.Sub(t.allAt) > revisitEvery {
		t.removed, t.allAt = events.Revision{}, now
	}
	if upto.Number > t.removed.Number {
		if err := t.removeEvents(ctx, upto); err != nil {
			return err
		}
	}
	if t.store == nil {
		return t.removeExpiredChunks(ctx, upto)
	}
	if err := t.dropOld(ctx, now); err != nil {
		return err
	}
	return t.removeCold(ctx, now)
}

// mayLeave gives the position up to which events may leave the log.
func (t *tenure) mayLeave(ctx context.Context, now time.Time) (events.Revision, error) {
	if t.store == nil {
		return t.expire(ctx, now)
	}
	return t.archivedBefore(ctx, now.Add(-t.cfg.HotWindow)), nil
}

// archivedBefore is the end of the last entry whose events were appended before some time; under pressure of the last one.
func (t *tenure) archivedBefore(ctx context.Context, before time.Time) events.Revision {
	upto := t.part.Head.At
	if t.pressure.level(ctx) > 0 {
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

// removeEvents takes the events up to a position out of the log, but for those in the quarantine: they are not folded.
func (t *tenure) removeEvents(ctx context.Context, upto events.Revision) error {
	kept, err := t.quarantined(ctx)
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
		n, err := t.log.Remove(ctx, without(refs, kept), t.paced, t.Guard())
		t.metrics.eventsRemoved.n.Add(int64(n))
		if err != nil {
			return err
		}
	}
	t.removed = upto
	return nil
}

func (t *tenure) quarantined(ctx context.Context) (map[snapshot.EntryID]bool, error) {
	kept := map[snapshot.EntryID]bool{}
	for q, err := range t.saved.Quarantined(ctx, t.Generation, t.ID) {
		if err != nil {
			return nil, fmt.Errorf("listing the quarantine: %w", err)
		}
		kept[q.ID] = true
	}
	return kept, nil
}

func without(refs []events.Ref, kept map[snapshot.EntryID]bool) []events.Ref {
	if len(kept) == 0 {
		return refs
	}
	var rest []events.Ref
	for _, r := range refs {
		if !kept[snapshot.EntryIDOf(r.Key, r.Revision)] {
			rest = append(rest, r)
		}
	}
	return rest
}

// dropOld takes entries out of the archive that are older than it keeps.
func (t *tenure) dropOld(ctx context.Context, now time.Time) error {
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
	t.metrics.show(&t.part)
	return nil
}
