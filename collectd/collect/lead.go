package collect

import (
	"context"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/collectd/partition"
	"telemetry-pipeline/events/wait"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

// leadPartition is the partition whose owner leads its generation from state to state. No other leader is elected.
const leadPartition = 0

// leadGeneration leads a generation for as long as the claim on its leadPartition lives: from building to complete,
// and to active if requested. In the active generation it removes the retired ones. Each step is one transaction
// under the guard of the claim, so the next owner continues from the stored state.
func (c *Collector) leadGeneration(ctx context.Context, w *generationRun, claim *partition.Claim) {
	for ctx.Err() == nil {
		all, changed := c.status.currentGenerations()
		step, cancel := context.WithCancel(ctx)
		go func() { // ends with step
			select {
			case <-changed:
				cancel()
			case <-step.Done():
			}
		}()
		err := c.advanceGeneration(step, w, all, claim)
		stale := step.Err() != nil
		cancel()
		switch {
		case stale:
			continue
		case err != nil && !errors.Is(err, snapshot.ErrChanged):
			c.lg.Warn("leading a generation failed; trying again", "generation", w.generation, "err", err)
			fallthrough
		case err != nil:
			wait.Sleep(ctx, c.cfg.PollInterval)
		default:
			select {
			case <-changed:
			case <-ctx.Done():
			}
		}
	}
}

// advanceGeneration takes the next step of a generation from its state in all.
func (c *Collector) advanceGeneration(ctx context.Context, w *generationRun, all snapshot.Generations, claim *partition.Claim) error {
	info, there := all.All[w.generation]
	if !there {
		return nil
	}
	switch {
	case info.State == snapshot.Building:
		if err := c.awaitGoal(ctx, w, info); err != nil {
			return err
		}
		info.State = snapshot.Complete
		if err := c.gens.Move(ctx, w.generation, info, claim.Guard()); err != nil {
			return err
		}
		c.lg.Info("the generation is complete: it has reached the head of the log at its creation", "generation", w.generation, "activate", info.Activate)
	case info.State == snapshot.Complete && info.Activate:
		if err := c.awaitGoal(ctx, w, info); err != nil {
			return err
		}
		evict := func(g projections.Generation) clientv3.Op { return c.owner.Evict(string(g)) }
		return c.gens.Activate(ctx, all, w.generation, evict, claim.Guard())
	case info.State == snapshot.Active:
		return c.removeRetired(ctx, all)
	}
	return nil
}

// awaitGoal waits until the stored offsets of every partition reach the revision at which the generation's record was
// written.
func (c *Collector) awaitGoal(ctx context.Context, w *generationRun, info snapshot.GenerationInfo) error {
	goal, err := c.log.Head(ctx)
	if err != nil {
		return fmt.Errorf("reading the head of the log: %w", err)
	}
	goal.Number = info.Revision
	return c.gens.WaitAll(ctx, w.generation, goal)
}

// removeRetired removes retired generations: of this model version after RemovalGrace, which is the time for query servers
// to go over to the active one, then of other versions after UpgradeGrace. Query servers of another version
// cannot go over. They serve the generation that they have, and read its history in etcd, until they are exchanged.
func (c *Collector) removeRetired(ctx context.Context, all snapshot.Generations) error {
	isOwn := func(info snapshot.GenerationInfo) bool { return info.ModelVersion == c.version }
	if err := c.removeAfter(ctx, all, c.cfg.RemovalGrace, isOwn); err != nil {
		return err
	}
	isForeign := func(info snapshot.GenerationInfo) bool { return info.ModelVersion != c.version }
	return c.removeAfter(ctx, all, c.cfg.UpgradeGrace, isForeign)
}

// removeAfter removes the retired generations that match, after a wait.
func (c *Collector) removeAfter(ctx context.Context, all snapshot.Generations, grace time.Duration, match func(snapshot.GenerationInfo) bool) error {
	waited := false
	for g, info := range all.All {
		if info.State != snapshot.Retired || !match(info) {
			continue
		}
		if !waited && !wait.Sleep(ctx, grace) {
			return ctx.Err()
		}
		waited = true
		c.lg.Info("removing a retired generation", "generation", g, "model_version", info.ModelVersion)
		if err := c.gens.Remove(ctx, g, info, func(int) {}); err != nil {
			return err
		}
	}
	return nil
}
