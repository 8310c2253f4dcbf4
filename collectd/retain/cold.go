package retain

import (
	"context"
	"slices"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/archive/manifest"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

const maxDropped = manifest.MaxReplaced

// removeColdChunks removes cold, archived chunks of history from etcd. Offsets.HotFrom first directs readers to the
// archive for such windows; the chunks are removed after the grace.
func (t *partitionKeeper) removeColdChunks(ctx context.Context, now time.Time) error {
	if now.Sub(t.chunksCheckedAt) < 10*t.cfg.Look {
		return nil
	}
	t.chunksCheckedAt = now
	f := t.Folded()
	t.hot.record(f.HotFrom, now)
	chunks, err := t.saved.Chunks(ctx, t.Generation, t.ID, max(t.part.Head.At.Number, f.Upto.Number))
	if err != nil {
		return err
	}
	cold, next := t.coldChunks(ctx, chunks, now, f.HotFrom)
	if err := t.extendHead(ctx, f, cold); err != nil {
		return err
	}
	if next > f.HotFrom {
		if err := t.Cool(ctx, next); err != nil {
			return err
		}
		t.hot.record(next, time.Now())
	}
	old := now.Add(-t.cfg.Grace)
	head, _ := t.heads.valueAt(old)
	hotFrom, known := t.hot.valueAt(old)
	if !known {
		return nil
	}
	return t.removeChunks(ctx, slices.DeleteFunc(cold, func(c snapshot.StoredChunk) bool { return c.Window >= hotFrom || c.Revision > head }))
}

// coldChunks returns the cold chunks and the least HotFrom with which they may be removed. A chunk is cold when its
// hour ended longer ago than the hot window; a chunk of a farther future is cold once its events were appended that
// long ago.
func (t *partitionKeeper) coldChunks(ctx context.Context, chunks []snapshot.StoredChunk, now time.Time, hotFrom projections.Window) ([]snapshot.StoredChunk, projections.Window) {
	level := t.pressure.currentLevel(ctx)
	window := t.cfg.HotWindow >> level
	if level == maxLevel {
		window = 0
	}
	before := projections.WindowOf(events.TimestampOf(now.Add(-window)))
	future := projections.WindowOf(events.TimestampOf(now.Add(t.cfg.HotWindow))) + 1
	appended := t.archivedBefore(ctx, now.Add(-t.cfg.HotWindow)).Number
	var cold []snapshot.StoredChunk
	for _, c := range chunks {
		if c.Window >= before && (c.Window <= future || c.Revision > appended) {
			continue
		}
		cold = append(cold, c)
		if c.Revision <= t.part.Head.At.Number {
			hotFrom = max(hotFrom, c.Window+1)
		}
	}
	return cold, hotFrom
}

// extendHead moves the head up to cold chunks whose events are all archived: a chunk is written after its events, and
// the partition may have been quiet since.
func (t *partitionKeeper) extendHead(ctx context.Context, f Folded, cold []snapshot.StoredChunk) error {
	behind := slices.ContainsFunc(cold, func(c snapshot.StoredChunk) bool {
		return c.Revision > t.part.Head.At.Number && c.Revision <= f.Upto.Number
	})
	if !behind || !t.pending.since.IsZero() {
		return nil
	}
	done, err := t.acquireWriter(ctx)
	if err != nil {
		return err
	}
	defer done(0)
	for _, err := range t.log.Read(ctx, t.ID, t.part.Head.At, f.Upto) {
		return err // there are events, which are archived in their turn
	}
	none := func(func(events.Event, error) bool) {}
	e, err := t.store.Write(ctx, archive.Range{Partition: t.ID, After: t.part.Head.At, Upto: f.Upto}, none)
	if err != nil {
		return err
	}
	if err := t.manifest.Add(ctx, &t.part, e, t.Guard()); err != nil {
		return err
	}
	t.heads.record(e.Last.Number, time.Now())
	return nil
}

// removeChunks deletes chunks at the configured pace.
func (t *partitionKeeper) removeChunks(ctx context.Context, chunks []snapshot.StoredChunk) error {
	if len(chunks) == 0 {
		return nil
	}
	n, err := t.saved.RemoveChunks(ctx, chunks, t.waitPace, t.Guard())
	t.metrics.chunksRemoved.n.Add(int64(n))
	return err
}
