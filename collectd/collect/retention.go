package collect

import (
	"context"

	"telemetry-pipeline/collectd/retain"
	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// keep archives what is folded here and removes from etcd what need not be there, once the generation is the active
// one. It ends with ctx, or when the claim is lost, which the next commit notices.
func (f *follower) keep(ctx context.Context) {
	if f.keeper == nil {
		return
	}
	select {
	case <-f.work.active:
		f.keeper.Keep(ctx, retain.Partition{
			ID: f.partition, Generation: f.gen, Guard: f.guard.Guard, Folded: f.state.kept, Cool: f.state.cool,
		})
	case <-ctx.Done():
	}
}

// compact compacts etcd's history while this collector leads the active generation.
func (c *Collector) compact(ctx context.Context, w *work) {
	if c.keeper == nil {
		return
	}
	select {
	case <-w.active:
		c.keeper.Compact(ctx)
	case <-ctx.Done():
	}
}

// beginCold begins a generation with history in etcd from the hot window on alone: what is older and archived is read from
// the archive. Without that a rebuild would bring all of it back.
func (f *follower) beginCold(ctx context.Context) error {
	if f.keeper == nil {
		return nil
	}
	archived, hotFrom, err := f.keeper.Begin(ctx, f.partition)
	if err != nil {
		return err
	}
	f.archived = archived.Number
	if f.state.offsets.Series.Number == 0 {
		f.state.hotFrom = max(f.state.hotFrom, hotFrom)
	}
	return nil
}

// isCold tells whether an event's records of a window need no chunk: they are archived, and queries look there.
func (f *follower) isCold(w projections.Window, ev *events.Event) bool {
	return ev.Revision.Number <= f.archived && w < f.state.coldBefore()
}

// coldBefore is where the windows begin that are in etcd.
func (s *state) coldBefore() projections.Window {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hotFrom
}

// kept tells how far the partition is folded and stored. When nothing waits to be stored that is how far it is folded,
// though the stored offsets, which a quiet partition seldom writes, may be behind: there are no events in between.
func (s *state) kept() retain.Folded {
	s.mu.Lock()
	defer s.mu.Unlock()
	upto := older(s.offsets.Live, s.offsets.Series)
	if !s.saving && s.records == 0 && len(s.dirty) == 0 && s.folded.Number > upto.Number {
		upto = s.folded
	}
	return retain.Folded{Upto: upto, Records: s.total, HotFrom: s.offsets.HotFrom}
}

// cool has the offsets say that windows from some one on are in etcd, and returns when that is stored.
func (s *state) cool(ctx context.Context, from projections.Window) error {
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
