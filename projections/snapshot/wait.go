package snapshot

import (
	"context"
	"fmt"
	"iter"
	"maps"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/etcd"
	"telemetry-pipeline/projections"
)

// WatchOffsets returns the offsets of all partitions of a generation that have offsets, then those that change. It
// survives compaction and the loss of etcd, and ends when ctx does, or with an error that waiting does not mend.
func (s *Store) WatchOffsets(ctx context.Context, g projections.Generation) iter.Seq2[map[events.Partition]projections.Offsets, error] {
	return func(yield func(map[events.Partition]projections.Offsets, error) bool) {
		from := s.keys.offsetsPrefix(g)
		err := s.followRange(ctx, etcd.Range{From: from, End: prefixEnd(from)}, func(changes []*clientv3.Event) (bool, error) {
			changed := make(map[events.Partition]projections.Offsets, len(changes))
			for _, ev := range changes {
				if ev.Type != clientv3.EventTypePut {
					continue
				}
				if err := s.putOffsets(changed, g, ev.Kv); err != nil {
					return false, err
				}
			}
			return len(changed) == 0 || yield(changed, nil), nil
		})
		if err != nil {
			yield(nil, fmt.Errorf("watching offsets of generation %s: %w", g, err))
		}
	}
}

// WaitFolded blocks until the offsets (live and series) of partitions have reached upto, or ctx ends.
func (s *Store) WaitFolded(ctx context.Context, g projections.Generation, upto events.Revision, partitions []events.Partition) error {
	each := make(map[events.Partition]events.Revision, len(partitions))
	for _, p := range partitions {
		each[p] = upto
	}
	return s.WaitEach(ctx, g, each)
}

// WaitAll is WaitFolded for all partitions of the log.
func (s *Store) WaitAll(ctx context.Context, g projections.Generation, upto events.Revision) error {
	each := make(map[events.Partition]events.Revision, s.facts.Partitions)
	for p := range events.Partition(s.facts.Partitions) {
		each[p] = upto
	}
	return s.WaitEach(ctx, g, each)
}

// WaitEach is WaitFolded with a position for each partition.
func (s *Store) WaitEach(ctx context.Context, g projections.Generation, upto map[events.Partition]events.Revision) error {
	missing := maps.Clone(upto)
	for p, r := range upto {
		if !s.isOwnRevision(r) {
			return fmt.Errorf("waiting for %v to be folded: %w", r, events.ErrForeign)
		}
		if r.Number == 0 {
			delete(missing, p)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	for changed, err := range s.WatchOffsets(ctx, g) {
		if err != nil {
			return fmt.Errorf("waiting for %d partitions to be folded: %w", len(missing), err)
		}
		for p, o := range changed {
			if r, waiting := missing[p]; waiting && hasReached(o.Live, r) && hasReached(o.Series, r) {
				delete(missing, p)
			}
		}
		if len(missing) == 0 {
			return nil
		}
	}
	return context.Cause(ctx)
}

func hasReached(at, want events.Revision) bool { return at.SameLog(want) && at.Number >= want.Number }
