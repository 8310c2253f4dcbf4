package collect

import (
	"context"
	"errors"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/collectd/partition"
	"telemetry-pipeline/events/wait"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

// leadPartition is the partition whose owner leads its generation from state to state, so that nobody else has to be
// there for that.
const leadPartition = 0

// leadGeneration leads a generation for as long as the claim on its leadPartition lives: from building to complete, and
// to active if that is wanted. In the active generation it removes the retired ones. Each step is one transaction under
// the guard of the claim, so the next owner goes on from the stored state.
func (c *Collector) leadGeneration(ctx context.Context, w *work, claim *partition.Claim) {
	for ctx.Err() == nil {
		all, changed := c.picture.now()
		step, cancel := context.WithCancel(ctx)
		go func() { // ends with step
			select {
			case <-changed:
				cancel()
			case <-step.Done():
			}
		}()
		err := c.step(step, w, all, claim)
		stale := step.Err() != nil
		cancel()
		switch {
		case stale:
			continue
		case err != nil && !errors.Is(err, snapshot.ErrChanged):
			c.lg.Warn("leading a generation on failed; trying again", "generation", w.generation, "err", err)
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

// step does what there is to do for a generation as it is seen.
func (c *Collector) step(ctx context.Context, w *work, all snapshot.Generations, claim *partition.Claim) error {
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
		c.lg.Info("the generation is complete: it has reached what was the head when it was made", "generation", w.generation, "activate", info.Activate)
	case info.State == snapshot.Complete && info.Activate:
		if err := c.awaitGoal(ctx, w, info); err != nil {
			return err
		}
		evict := func(g projections.Generation) clientv3.Op { return c.owner.Evict(string(g)) }
		return c.gens.Activate(ctx, all, w.generation, evict, claim.Guard())
	case info.State == snapshot.Active:
		return c.clear(ctx, all)
	}
	return nil
}

// awaitGoal waits until every partition is stored up to where the record was written.
func (c *Collector) awaitGoal(ctx context.Context, w *work, info snapshot.GenerationInfo) error {
	goal, err := c.log.Head(ctx)
	if err != nil {
		return fmt.Errorf("asking for the head of the log: %w", err)
	}
	goal.Number = info.Revision
	return c.gens.WaitAll(ctx, w.generation, goal)
}

// clear removes retired generations. It leaves query servers time to turn to the active one.
func (c *Collector) clear(ctx context.Context, all snapshot.Generations) error {
	for g, info := range all.All {
		if info.State != snapshot.Retired {
			continue
		}
		if !wait.Sleep(ctx, c.cfg.RemovalGrace) {
			return ctx.Err()
		}
		c.lg.Info("removing a retired generation", "generation", g)
		if err := c.gens.Remove(ctx, g, info, func(int) {}); err != nil {
			return err
		}
	}
	return nil
}
