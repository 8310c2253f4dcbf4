package program

import (
	"context"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections/snapshot"
	"telemetry-pipeline/queryd/query"
)

// shown are projections that are visible once the query server of this process shows them, and not only stored: who
// uploads here asks here.
type shown struct {
	*snapshot.Store
	serving *query.Server
}

// WaitVisible is that of the stored projections, and then the query server's.
func (v shown) WaitVisible(ctx context.Context, upto map[events.Partition]events.Revision) error {
	if err := v.Store.WaitVisible(ctx, upto); err != nil {
		return err
	}
	return v.serving.WaitVisible(ctx, upto)
}
