package retain

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"telemetry-pipeline/events/wait"
)

// What a compaction leaves of etcd's history: watches near the head need no more, and readers of a revision that they
// hold on to are short of time only while etcd grows fast.
const (
	keptHistory     = time.Minute
	keptUnderGrowth = 10 * time.Second
	sampleEvery     = 2 * time.Second
)

// Compact makes etcd forget its history in time, until ctx ends: at the configured pace, and at once when etcd has grown by
// CompactBytes. One collector does it for all. Where etcd compacts by itself, there is nothing left to do at the pace.
func (k *Keeper) Compact(ctx context.Context) {
	if k.cfg.CompactInterval < 0 {
		return
	}
	c := compactor{Keeper: k, at: time.Now()}
	for wait.Sleep(ctx, sampleEvery) {
		if err := c.step(ctx, time.Now()); err != nil && ctx.Err() == nil {
			k.lg.Warn("compacting etcd's history failed; trying again", "err", err)
			wait.Sleep(ctx, 10*sampleEvery)
		}
	}
}

// compactor remembers which revisions there were when.
type compactor struct {
	*Keeper
	revisions aged[int64] // heads of the log
	at        time.Time   // of the last compaction
	base      int64       // least that was in use since then
	done      int64       // compacted up to here
}

func (c *compactor) step(ctx context.Context, now time.Time) error {
	head, err := c.log.Head(ctx)
	if err != nil {
		return fmt.Errorf("asking for the head of the log: %w", err)
	}
	c.revisions.set(head.Number, now)
	c.pressure.level(ctx) // measures, if that was some time ago
	used, _, _ := c.pressure.seen()
	if c.base == 0 || used.InUse < c.base {
		c.base = used.InUse
	}
	kept := keptHistory
	switch {
	case used.InUse-c.base >= c.cfg.CompactBytes:
		kept = keptUnderGrowth
	case now.Sub(c.at) < c.cfg.CompactInterval:
		return nil
	}
	upto, known := c.revisions.before(now.Add(-kept))
	if !known || upto <= c.done {
		return nil
	}
	c.at, c.done, c.base = now, upto, used.InUse
	return c.compact(ctx, upto)
}

func (c *compactor) compact(ctx context.Context, upto int64) error {
	_, err := c.etcd.Compact(ctx, upto)
	if errors.Is(err, rpctypes.ErrCompacted) {
		return nil // somebody else did
	}
	if err != nil {
		return fmt.Errorf("compacting etcd up to revision %d: %w", upto, err)
	}
	c.metrics.compactions.Inc()
	c.lg.Debug("compacted etcd's history", "upto", upto)
	return nil
}
