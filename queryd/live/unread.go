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
)

// unreader tells what of the log is not folded (eventlog.Log). A partition without events saves no new
// positions, so stored offsets alone do not tell that nothing of it is missing.
type unreader interface {
	Head(ctx context.Context) (events.Revision, error)
	Unread(ctx context.Context, after map[events.Partition]events.Revision, upto events.Revision) ([]events.Partition, error)
}

// quiet says of partitions that they have no event up to a position that is not folded.
type quiet struct {
	era        int // how many generations were served when it was asked
	upto       events.Revision
	partitions []events.Partition
}

// Asking the log costs it a walk over its keys, so it is done with each heartbeat, and for those who Wait
// at most once in askPause and for no more than a tenth of the time. How long an answer took may tell of
// an etcd that was away and not of the walk, so no pause is longer than the one between heartbeats.
const (
	askPause = 10 * time.Millisecond
	askShare = 10
)

// followUnread finds out which partitions are quiet, with every heartbeat and whenever somebody asks, until ctx
// ends. It fails when the log is not the one that facts tell of any more.
func (h *Hub) followUnread(ctx context.Context, out chan<- quiet) error {
	beat := time.NewTicker(h.cfg.Heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-beat.C:
		case <-h.asked.C():
		}
		start := time.Now()
		found, err := h.findQuiet(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, events.ErrForeign) {
			return fmt.Errorf("the log was replaced or set back under this process, which has to start anew: %w", err)
		}
		h.troubled("unread", err)
		if err == nil && len(found.partitions) > 0 {
			select {
			case out <- found:
			case <-ctx.Done():
				return nil
			}
		}
		wait.Sleep(ctx, min(max(askPause, askShare*time.Since(start)), h.cfg.Heartbeat))
	}
}

// findQuiet asks for every partition whose offsets are behind the head whether it has events there.
func (h *Hub) findQuiet(ctx context.Context) (quiet, error) {
	head, err := h.log.Head(ctx)
	if err != nil {
		return quiet{}, err
	}
	behind := map[events.Partition]events.Revision{}
	state := h.State()
	for p, at := range state.folds {
		if at.Number < head.Number {
			behind[events.Partition(p)] = at
		}
	}
	unread, err := h.log.Unread(ctx, behind, head)
	if err != nil {
		return quiet{}, err
	}
	for _, p := range unread {
		delete(behind, p)
	}
	found := quiet{era: len(state.eras), upto: head}
	for p := range behind {
		found.partitions = append(found.partitions, p)
	}
	return found, nil
}

// settle takes in which partitions are quiet. What it says holds for every later State of the
// generation too: a partition's position only grows.
func (v *view) settle(q quiet) *change {
	for _, p := range q.partitions {
		v.quiet[p] = max(v.quiet[p], q.upto.Number)
	}
	next := *v.state
	next.folds = v.folds()
	next.folded = lowest(next.folds, next.folded)
	v.state = &next
	return &change{place: next.place}
}

// folds gives for each partition how far it is folded: its smaller offset, or further where it is quiet.
func (v *view) folds() []events.Revision {
	all := make([]events.Revision, v.facts.Partitions)
	for p := range all {
		o := v.offsets[events.Partition(p)]
		all[p] = events.Revision{Epoch: v.facts.Epoch, Cluster: v.facts.Cluster,
			Number: max(min(v.number(o.Live), v.number(o.Series)), v.quiet[events.Partition(p)])}
	}
	return all
}

// lowest is the position that every partition has reached, otherwise where there is none.
func lowest(folds []events.Revision, otherwise events.Revision) events.Revision {
	if len(folds) == 0 {
		return otherwise
	}
	return slices.MinFunc(folds, func(a, b events.Revision) int { return cmp.Compare(a.Number, b.Number) })
}
