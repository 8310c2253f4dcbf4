package query

import (
	"context"
	"iter"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

// store is what the server needs of the stored projections (projections/snapshot.Store): what the hub
// follows, and series.
type store interface {
	Load(ctx context.Context, g projections.Generation) (projections.Batch, error)
	Watch(ctx context.Context, g projections.Generation, after events.Revision) iter.Seq2[projections.Batch, error]
	WatchActive(ctx context.Context) iter.Seq2[projections.Generation, error]
	Series(ctx context.Context, g projections.Generation, p events.Partition,
		host events.HostID, windows []projections.Window) ([]snapshot.WindowSeries, error)
}

// log is what the server needs of the event log (events.Log): what is not folded yet.
type log interface {
	Facts() events.Facts
	Head(ctx context.Context) (events.Revision, error)
	Unread(ctx context.Context, after map[events.Partition]events.Revision, upto events.Revision) ([]events.Partition, error)
}

// windows gives history the series of a store, so that it need not know where they are kept.
type windows struct{ store store }

// Series reads windows of a host; those without records are left out.
func (w windows) Series(ctx context.Context, g projections.Generation, p events.Partition,
	host events.HostID, of []projections.Window) (map[projections.Window]projections.Series, error) {
	list, err := w.store.Series(ctx, g, p, host, of)
	if err != nil {
		return nil, err
	}
	out := make(map[projections.Window]projections.Series, len(list))
	for _, one := range list {
		out[one.Window] = one.Series
	}
	return out, nil
}
