package retain

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"telemetry-pipeline/events/wait"
)

// These bounds keep enough of etcd's history: watches near the head need no more, and readers that hold an old
// revision are short of time only while etcd grows fast.
const (
	keptHistory     = time.Minute
	keptUnderGrowth = 10 * time.Second
	sampleEvery     = 2 * time.Second
)

// Compact compacts etcd's history until ctx ends: at the configured interval, and at once when etcd has grown by
// CompactBytes. One collector does it for all. Where etcd compacts by itself, nothing is left to do at the interval.
func (k *Keeper) Compact(ctx context.Context) {
	if k.cfg.CompactInterval < 0 {
		return
	}
	c := compactor{Keeper: k, compactedAt: time.Now()}
	defer k.compactionRefused.Store(false) // the next collector that compacts finds out by itself
	for wait.Sleep(ctx, sampleEvery) {
		if err := c.compactDue(ctx, time.Now()); err != nil && ctx.Err() == nil && !errors.Is(err, ErrCompactionRefused) {
			k.lg.Warn("compacting etcd's history failed; trying again", "err", err)
			wait.Sleep(ctx, 10*sampleEvery)
		}
	}
}

// ErrCompactionRefused: etcd compacts only for its role root, which collectors seldom have.
var ErrCompactionRefused = errors.New("etcd refuses compaction, so it grows until it is full: start each member of etcd with " +
	"--auto-compaction-mode=periodic --auto-compaction-retention=5m and collectd with COMPACT_INTERVAL=-1s, " +
	"or grant collectd's user the role root (docs/runbooks/etcd-access.md)")

// Degraded returns ErrCompactionRefused if etcd refused the last compaction, or nil.
func (k *Keeper) Degraded() error {
	if k.compactionRefused.Load() {
		return ErrCompactionRefused
	}
	return nil
}

// noteRefusal counts a refused compaction, and logs the first in a row.
func (k *Keeper) noteRefusal(err error) {
	k.metrics.refused.Inc()
	if !k.compactionRefused.Swap(true) {
		k.lg.Error("compacting etcd's history is refused; trying again without further messages", "err", err)
	}
}

// compactor remembers the revisions of the last minutes.
type compactor struct {
	*Keeper
	revisions     valueHistory[int64] // heads of the log
	compactedAt   time.Time           // of the last compaction
	leastInUse    int64               // least bytes in use since then
	compactedUpto int64               // compacted up to here
}

func (c *compactor) compactDue(ctx context.Context, now time.Time) error {
	head, err := c.log.Head(ctx)
	if err != nil {
		return fmt.Errorf("asking for the head of the log: %w", err)
	}
	c.revisions.record(head.Number, now)
	c.pressure.currentLevel(ctx) // measures if the last measurement is old
	used, _, _ := c.pressure.lastMeasurement()
	if c.leastInUse == 0 || used.InUse < c.leastInUse {
		c.leastInUse = used.InUse
	}
	kept := keptHistory
	switch {
	case used.InUse-c.leastInUse >= c.cfg.CompactBytes:
		kept = keptUnderGrowth
	case now.Sub(c.compactedAt) < c.cfg.CompactInterval:
		return nil
	}
	upto, known := c.revisions.valueAt(now.Add(-kept))
	if !known || upto <= c.compactedUpto {
		return nil
	}
	c.compactedAt, c.compactedUpto, c.leastInUse = now, upto, used.InUse
	return c.compactUpto(ctx, upto)
}

func (c *compactor) compactUpto(ctx context.Context, upto int64) error {
	_, err := c.etcd.Compact(ctx, upto)
	if errors.Is(err, rpctypes.ErrCompacted) {
		return nil // another collector compacted
	}
	if errors.Is(err, rpctypes.ErrPermissionDenied) || errors.Is(err, rpctypes.ErrUserEmpty) {
		err = fmt.Errorf("%w; this is user %s: %w", ErrCompactionRefused, c.root.User(), err)
		c.noteRefusal(err)
		return err
	}
	if err != nil {
		return fmt.Errorf("compacting etcd up to revision %d: %w", upto, err)
	}
	c.compactionRefused.Store(false)
	c.metrics.compactions.Inc()
	c.lg.Debug("compacted etcd's history", "upto", upto)
	return nil
}
