package collect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"telemetry-pipeline/events/follow"
	"telemetry-pipeline/events/wait"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

var errGenerationsUnknown = errors.New("generations are not known yet")

// runGenerations folds every generation of this collector's model version that is to be folded: the active one and
// its successor, concurrently, each started and stopped as it appears and disappears. It returns when ctx ends, or
// with an error that no retry can repair.
func (c *Collector) runGenerations(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer c.stopRuns()
	loop := follow.Loop{
		Watch: func(ctx context.Context, delivered func()) error {
			return c.watchGenerations(ctx, delivered, func(err error) { cancel(err) })
		},
		Pause:         wait.Fixed(c.cfg.PollInterval),
		IgnoreForeign: true, // the followers of partitions notice it, and end the collector
		Failed: func(err error, again time.Duration) {
			c.lg.Error("generations are not followed; trying again", "err", err, "again_in", again)
		},
	}
	return cmp.Or(loop.Run(ctx), context.Cause(ctx))
}

func (c *Collector) watchGenerations(ctx context.Context, delivered func(), failed func(error)) error {
	for all, err := range c.gens.WatchGenerations(ctx) {
		if err != nil {
			return err
		}
		delivered()
		if err := c.reconcile(ctx, all, failed); err != nil {
			return err
		}
	}
	return nil
}

// reconcile starts and stops generation runs to match the stored generations, and creates missing ones: the first
// generation of a cluster, and one of this collector's model version when the active one has an earlier version.
func (c *Collector) reconcile(ctx context.Context, all snapshot.Generations, failed func(error)) error {
	for g, w := range c.status.runs {
		if info, there := all.All[g]; !there || !info.State.Folded() {
			c.lg.Info("the generation is not folded any more", "generation", g)
			w.stop()
			<-w.done
			c.status.setRun(g, nil)
		}
	}
	for g, info := range all.All {
		if info.ModelVersion != c.version || !info.State.Folded() {
			continue
		}
		if w := c.status.runs[g]; w != nil {
			w.setInfo(info)
			continue
		}
		w := newGenerationRun(g, info)
		c.status.setRun(g, w)
		c.startRun(ctx, w, failed)
	}
	c.status.setGenerations(all)
	return c.ensureGeneration(ctx, all)
}

// ensureGeneration creates the generation that this collector needs, unless it exists.
func (c *Collector) ensureGeneration(ctx context.Context, all snapshot.Generations) error {
	if all.Active == "" {
		if _, err := c.gens.Begin(ctx, c.version); err != nil {
			return fmt.Errorf("making the first generation: %w", err)
		}
		return nil
	}
	active := all.All[all.Active].ModelVersion
	switch {
	case active > c.version:
		c.warnIdle(all.Active, active)
	case active < c.version && all.Successor(c.version) == "":
		g, err := c.gens.Create(ctx, all, c.version, true)
		if errors.Is(err, snapshot.ErrChanged) {
			return nil // another collector was faster; the watch delivers its generation
		}
		if err != nil {
			return fmt.Errorf("making a generation of model version %d: %w", c.version, err)
		}
		c.lg.Info("the active generation is of an earlier model version; its successor is folded beside it, and active once it is complete",
			"active", all.Active, "active_version", active, "generation", g, "model_version", c.version)
	}
	return nil
}

// warnIdle logs once per active generation that this collector has nothing to do any more.
func (c *Collector) warnIdle(active projections.Generation, version int) {
	if c.idleWarnedFor != active {
		c.idleWarnedFor = active
		c.lg.Warn("the active generation is of a newer model version, which this collector cannot fold; it is idle until it is upgraded",
			"active", active, "active_version", version, "model_version", c.version)
	}
}

// stopRuns stops the runs of all generations and waits for them.
func (c *Collector) stopRuns() {
	for _, w := range c.status.runs {
		w.stop()
	}
	for g, w := range c.status.runs {
		<-w.done
		c.status.setRun(g, nil)
	}
}
