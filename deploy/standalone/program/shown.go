package program

import (
	"context"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections/snapshot"
	"telemetry-pipeline/queryd/query"
)

// shown are projections that are visible once the query server of this process shows them, and not only stored: a
// client that uploads here asks here.
type shown struct {
	*snapshot.Store
	serving *query.Server
}

// WaitVisible waits for the stored projections, and then for the query server.
func (v shown) WaitVisible(ctx context.Context, upto map[events.Partition]events.Revision) error {
	if err := v.Store.WaitVisible(ctx, upto); err != nil {
		return err
	}
	return v.serving.WaitVisible(ctx, upto)
}
