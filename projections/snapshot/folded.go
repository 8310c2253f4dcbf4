package snapshot

import (
	"context"
	"errors"
	"iter"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// WatchFolded returns the folded positions of the partitions of the active generation: first of all partitions that
// have been folded, then of each that changes. When another generation becomes active its positions follow, and they
// may be behind the earlier ones. It survives and ends like WatchOffsets.
func (s *Store) WatchFolded(ctx context.Context) iter.Seq2[map[events.Partition]events.Revision, error] {
	return func(yield func(map[events.Partition]events.Revision, error) bool) {
		for g, err := range s.activeGenerations(ctx) {
			if err != nil {
				yield(nil, err)
				return
			}
			if !s.foldedWhileActive(ctx, g, yield) {
				return
			}
		}
	}
}

// foldedWhileActive yields the positions of g and reports whether it ended because another generation became active.
func (s *Store) foldedWhileActive(ctx context.Context, g projections.Generation,
	yield func(map[events.Partition]events.Revision, error) bool) (switched bool) {
	ctx, end := s.whileActive(ctx, g)
	defer end()
	for changed, err := range s.WatchOffsets(ctx, g) {
		if errors.Is(context.Cause(ctx), errSwitched) {
			return true
		}
		if err != nil {
			yield(nil, err)
			return false
		}
		folded := make(map[events.Partition]events.Revision, len(changed))
		for p, o := range changed {
			folded[p] = o.Live
			if o.Series.Number < o.Live.Number {
				folded[p] = o.Series
			}
		}
		if !yield(folded, nil) {
			return false
		}
	}
	return errors.Is(context.Cause(ctx), errSwitched)
}
