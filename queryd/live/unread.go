package live

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/wait"
	"telemetry-pipeline/projections"
)

// unreader finds the partitions with events that are not folded (eventlog.Log). A partition without events saves no
// new positions, so its stored offset alone does not show that nothing is missing.
type unreader interface {
	Head(ctx context.Context) (events.Revision, error)
	UnreadPartitions(ctx context.Context, after map[events.Partition]events.Revision, upto events.Revision) ([]events.Partition, error)
}

// caughtUpPartitions are partitions without an unfolded event up to a position.
type caughtUpPartitions struct {
	switches   int // number of generation switches at the time of the check
	upto       events.Revision
	partitions []events.Partition
}

// A check walks over the log's keys, so it runs with each heartbeat, and for callers of Wait at most once in
// checkPause and for no more than a tenth of the time. A check can be slow because etcd was away and not because of
// the walk, so no pause is longer than the pause between heartbeats.
const (
	checkPause = 10 * time.Millisecond
	checkShare = 10
)

// followUnread finds the caught-up partitions, with every heartbeat and whenever a caller waits, until ctx ends. It
// returns an error when the log is no longer the log of facts.
func (h *Hub) followUnread(ctx context.Context, out chan<- caughtUpPartitions) error {
	beat := time.NewTicker(h.cfg.Heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-beat.C:
		case <-h.checkRequested.C():
		}
		start := time.Now()
		found, err := h.findCaughtUp(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, events.ErrForeign) {
			return fmt.Errorf("the log was replaced or set back under this process, which has to restart: %w", err)
		}
		h.setFailure("unread", err)
		if err == nil && len(found.partitions) > 0 {
			select {
			case out <- found:
			case <-ctx.Done():
				return nil
			}
		}
		wait.Sleep(ctx, min(max(checkPause, checkShare*time.Since(start)), h.cfg.Heartbeat))
	}
}

// findCaughtUp checks every partition whose offsets are behind the head for events there.
func (h *Hub) findCaughtUp(ctx context.Context) (caughtUpPartitions, error) {
	head, err := h.log.Head(ctx)
	if err != nil {
		return caughtUpPartitions{}, err
	}
	behind := map[events.Partition]events.Revision{}
	state := h.State()
	for p, at := range state.partitionsFolded {
		if at.Number < head.Number {
			behind[events.Partition(p)] = at
		}
	}
	unread, err := h.log.UnreadPartitions(ctx, behind, head)
	if err != nil {
		return caughtUpPartitions{}, err
	}
	for _, p := range unread {
		delete(behind, p)
	}
	found := caughtUpPartitions{switches: len(state.generationSwitches), upto: head}
	for p := range behind {
		found.partitions = append(found.partitions, p)
	}
	return found, nil
}

// applyCaughtUp records the caught-up partitions. The result holds for every later State of the generation too: a
// partition's position only grows.
func (v *view) applyCaughtUp(q caughtUpPartitions) *change {
	for _, p := range q.partitions {
		v.caughtUpTo[p] = max(v.caughtUpTo[p], q.upto.Number)
	}
	next := *v.state
	next.partitionsFolded = v.partitionsFolded()
	next.folded = lowestRevision(next.partitionsFolded, next.folded)
	v.state = &next
	return &change{streamPosition: next.streamPosition}
}

// partitionsFolded returns for each partition the position up to which it is folded: the smaller of its two offsets,
// or the later position up to which it has no events.
func (v *view) partitionsFolded() []events.Revision {
	all := make([]events.Revision, v.facts.Partitions)
	for p := range all {
		o := v.offsets[events.Partition(p)]
		all[p] = events.Revision{Epoch: v.facts.Epoch, Cluster: v.facts.Cluster,
			Number: max(min(v.offsetNumber(o.Live), v.offsetNumber(o.Series)), v.caughtUpTo[events.Partition(p)])}
	}
	return all
}

// hotFrom returns Offsets.HotFrom of each partition.
func (v *view) hotFrom() []projections.Window {
	all := make([]projections.Window, v.facts.Partitions)
	for p := range all {
		all[p] = v.offsets[events.Partition(p)].HotFrom
	}
	return all
}

// lowestRevision returns the position that every partition has reached, and otherwise if there are no partitions.
func lowestRevision(folds []events.Revision, otherwise events.Revision) events.Revision {
	if len(folds) == 0 {
		return otherwise
	}
	return slices.MinFunc(folds, func(a, b events.Revision) int { return cmp.Compare(a.Number, b.Number) })
}
