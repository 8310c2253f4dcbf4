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

// removeCold takes chunks of history out of etcd that are archived and cold. First readers are told, by Offsets.HotFrom,
// that such windows are in the archive; then, after the grace, they go.
func (t *tenure) removeCold(ctx context.Context, now time.Time) error {
	if now.Sub(t.chunksAt) < 10*t.cfg.Look {
		return nil
	}
	t.chunksAt = now
	f := t.Folded()
	t.hot.set(f.HotFrom, now)
	chunks, err := t.saved.Chunks(ctx, t.Generation, t.ID, max(t.part.Head.At.Number, f.Upto.Number))
	if err != nil {
		return err
	}
	cold, next := t.coldOf(ctx, chunks, now, f.HotFrom)
	if err := t.extend(ctx, f, cold); err != nil {
		return err
	}
	if next > f.HotFrom {
		if err := t.Cool(ctx, next); err != nil {
			return err
		}
		t.hot.set(next, time.Now())
	}
	old := now.Add(-t.cfg.Grace)
	head, _ := t.heads.before(old)
	hotFrom, known := t.hot.before(old)
	if !known {
		return nil
	}
	return t.removeChunks(ctx, slices.DeleteFunc(cold, func(c snapshot.StoredChunk) bool { return c.Window >= hotFrom || c.Revision > head }))
}

// coldOf gives the chunks that are cold, and the least HotFrom with which they may go: those whose hour has ended longer ago
// than the hot window, and those of a future that is farther away, once their events were appended that long ago.
func (t *tenure) coldOf(ctx context.Context, chunks []snapshot.StoredChunk, now time.Time, hotFrom projections.Window) ([]snapshot.StoredChunk, projections.Window) {
	level := t.pressure.level(ctx)
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

// extend moves the head up to cold chunks of events that are all archived: a chunk is written after its events, and the
// partition may have been quiet since.
func (t *tenure) extend(ctx context.Context, f Folded, cold []snapshot.StoredChunk) error {
	behind := slices.ContainsFunc(cold, func(c snapshot.StoredChunk) bool {
		return c.Revision > t.part.Head.At.Number && c.Revision <= f.Upto.Number
	})
	if !behind || !t.waiting.since.IsZero() {
		return nil
	}
	done, err := t.alone(ctx)
	if err != nil {
		return err
	}
	defer done()
	g, err := t.gather(ctx, f.Upto)
	if err != nil || len(g.events) > 0 {
		return err // they are archived in their turn
	}
	e, err := t.store.Write(ctx, archive.Range{Partition: t.ID, After: t.part.Head.At, Upto: g.upto}, sequence(nil))
	if err != nil {
		return err
	}
	if err := t.manifest.Add(ctx, &t.part, e, t.Guard()); err != nil {
		return err
	}
	t.heads.set(e.Last.Number, time.Now())
	return nil
}

// removeChunks deletes chunks at the pace.
func (t *tenure) removeChunks(ctx context.Context, chunks []snapshot.StoredChunk) error {
	if len(chunks) == 0 {
		return nil
	}
	n, err := t.saved.RemoveChunks(ctx, chunks, t.paced, t.Guard())
	t.metrics.chunksRemoved.n.Add(int64(n))
	return err
}
