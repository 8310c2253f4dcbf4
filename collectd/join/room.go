package join

import (
	"context"
	"fmt"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/wait"
)

// fileShare is the share of the quota that etcd's file may take, free space included, as for uploads.
const fileShare = 0.95

// awaitRoom returns when etcd has room. Joined events leave etcd as others do, once they are archived.
func (r *run) awaitRoom(ctx context.Context) error {
	for {
		c, err := r.Log.Capacity(ctx)
		if err != nil {
			return err
		}
		reason := r.fullReason(c)
		if reason == "" {
			return nil
		}
		r.reportSometimes("waiting until events have left etcd (docs/runbooks/etcd-full.md): %s", reason)
		if !wait.Sleep(ctx, r.pause) {
			return context.Cause(ctx)
		}
	}
}

// fullReason returns the reason not to append now, or "".
func (r *run) fullReason(c eventlog.Capacity) string {
	inUse, file := quotaShare(c.InUse, c.Quota), quotaShare(c.Bytes, c.Quota)
	switch {
	case c.NoSpace:
		return "it takes no writes, since a member has raised the alarm"
	case inUse >= r.cfg.sizeShare():
		return fmt.Sprintf("%.0f %% of its quota are in use, and -size is %.0f", 100*inUse, 100*r.cfg.sizeShare())
	case file >= fileShare:
		return fmt.Sprintf("its file takes %.0f %% of its quota, so it has to be defragmented", 100*file)
	}
	return ""
}

// quotaShare returns a share of the quota; of no quota it is 0.
func quotaShare(bytes, quota int64) float64 {
	if quota == 0 {
		return 0
	}
	return float64(bytes) / float64(quota)
}

// awaitFolded returns when the collectors have folded partitions up to positions.
func (r *run) awaitFolded(ctx context.Context, upto map[events.Partition]events.Revision) error {
	for {
		within, cancel := context.WithTimeout(ctx, r.noticeSpan)
		err := r.Views.WaitVisible(within, upto)
		expired := within.Err() != nil
		cancel()
		if err == nil || !expired || ctx.Err() != nil {
			return err
		}
		r.reportSometimes("waiting until the collectors have folded the joined events: is collectd running?")
	}
}
