package collect

import (
	"context"

	"telemetry-pipeline/collectd/foreign"
	"telemetry-pipeline/collectd/partition"
	"telemetry-pipeline/collectd/retain"
)

// takeForeign imports the keys of foreign producers while this collector leads the active generation.
func (c *Collector) takeForeign(ctx context.Context, w *generationRun, claim *partition.Claim) {
	if c.foreign == nil {
		return
	}
	select {
	case <-w.active:
		c.foreign.Run(ctx, claim.Guard())
	case <-ctx.Done():
	}
}

// Status returns the retention status and the status of foreign producers' keys.
func (c *Collector) Status(ctx context.Context) (any, error) {
	kept, err := c.keeper.Status(ctx)
	return struct {
		retain.Status
		Foreign foreign.Status `json:"foreign"`
	}{kept, c.foreign.Status()}, err
}
