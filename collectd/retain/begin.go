package retain

import (
	"context"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// GenerationStart returns the start of a generation that is folded from the beginning: the position up to which events are
// archived, and the first window whose events it needs in etcd nevertheless.
func (k *Keeper) GenerationStart(ctx context.Context, p events.Partition) (archived events.Revision, hotFrom projections.Window, err error) {
	if k.store == nil {
		return archived, 0, nil
	}
	head, err := k.manifest.Head(ctx, p)
	if err != nil || head.At.Number == 0 {
		return archived, 0, err
	}
	return head.At, projections.WindowOf(events.TimestampOf(time.Now().Add(-k.cfg.HotWindow))), nil
}
