package main

import (
	"context"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections/snapshot"
)

// visible waits in the generation that is being served, whichever that is.
type visible struct{ projections *snapshot.Store }

// WaitVisible returns once the active generation reflects the log up to these positions.
func (v visible) WaitVisible(ctx context.Context, upto map[events.Partition]events.Revision) error {
	active, err := v.projections.Active(ctx)
	if err != nil {
		return err
	}
	return v.projections.WaitEach(ctx, active, upto)
}
