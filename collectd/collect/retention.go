package collect

import (
	"context"

	"telemetry-pipeline/collectd/retain"
	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// runRetention archives the folded events of this partition and removes unneeded keys from etcd, once the generation
// is active. It ends with ctx, or when the claim is lost, which the next commit notices.
func (f *follower) runRetention(ctx context.Context) {
	if f.keeper == nil {
		return
	}
	select {
	case <-f.run.active:
		f.keeper.Keep(ctx, retain.Partition{
			ID: f.partition, Generation: f.gen, Guard: f.guard.Guard, Folded: f.state.storedProgress, Cool: f.state.raiseHotFrom,
		})
	case <-ctx.Done():
	}
}

// compactEtcd compacts etcd's history while this collector leads the active generation.
func (c *Collector) compactEtcd(ctx context.Context, w *generationRun) {
	if c.keeper == nil {
		return
	}
	select {
	case <-w.active:
		c.keeper.Compact(ctx)
	case <-ctx.Done():
	}
}

// loadRetention makes a new generation keep history in etcd from the hot window on only: older, archived history is
// read from the archive. Otherwise a rebuild would bring all of it back.
func (f *follower) loadRetention(ctx context.Context) error {
	if f.keeper == nil {
		return nil
	}
	archived, hotFrom, err := f.keeper.GenerationStart(ctx, f.partition)
	if err != nil {
		return err
	}
	f.archived = archived.Number
	if f.state.offsets.Series.Number == 0 {
		f.state.hotFrom = max(f.state.hotFrom, hotFrom)
	}
	return nil
}

// isCold reports whether an event's records of a window need no chunk: they are archived, and queries read the
// archive.
func (f *follower) isCold(w projections.Window, ev *events.Event) bool {
	return ev.Revision.Number <= f.archived && w < f.state.coldBefore()
}

// coldBefore returns the first window whose history is in etcd.
func (s *state) coldBefore() projections.Window {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hotFrom
}

// storedProgress returns the position up to which the partition is folded and stored. When nothing waits to be stored
// it is the folded position, although the stored offsets, which an idle partition seldom writes, may lag: there are
// no events in between.
func (s *state) storedProgress() retain.Folded {
	s.mu.Lock()
	defer s.mu.Unlock()
	upto := earlierRevision(s.offsets.Live, s.offsets.Series)
	if !s.saving && s.records == 0 && len(s.dirty) == 0 && s.folded.Number > upto.Number {
		upto = s.folded
	}
	return retain.Folded{Upto: upto, Records: s.total, HotFrom: s.offsets.HotFrom}
}

// raiseHotFrom makes the offsets declare that etcd holds the windows from the given one on, and returns when those
// offsets are stored.
func (s *state) raiseHotFrom(ctx context.Context, from projections.Window) error {
	for {
		s.mu.Lock()
		s.hotFrom = max(s.hotFrom, from)
		done, stored := s.offsets.HotFrom >= from, s.stored
		s.mu.Unlock()
		if done {
			return nil
		}
		s.changed.Set()
		select {
		case <-stored:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
