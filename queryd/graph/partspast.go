package graph

import (
	"context"
	"sync"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/queryd/cells"
	"telemetry-pipeline/queryd/history"
	"telemetry-pipeline/queryd/live"
)

// boundedPast reads the history of a cluster. It stops waiting for a cluster whose etcd is not heard.
type boundedPast struct {
	clusterPast
	feed    *live.Feed
	timeout time.Duration
}

// bound returns a context that bounds a read.
func (b boundedPast) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return cells.WithPatience(ctx, b.feed, b.timeout)
}

// Telemetry returns a page of entries.
func (b boundedPast) Telemetry(ctx context.Context, s *live.State, q history.Query) (history.Page, error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	return b.clusterPast.Telemetry(ctx, s, q)
}

// AsOf returns the view at an instant.
func (b boundedPast) AsOf(ctx context.Context, s *live.State, at events.Timestamp, only []events.HostID) (*live.State, error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	return b.clusterPast.AsOf(ctx, s, at, only)
}

// Buckets returns a page of buckets.
func (b boundedPast) Buckets(ctx context.Context, s *live.State, q history.Query) (history.BucketPage, error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	return b.clusterPast.Buckets(ctx, s, q)
}

// readParts reads a page of history over the clusters of a view.
func (e *Engine) readParts(ctx context.Context, v view, q history.Query) (*historyPage, error) {
	out := &historyPage{query: q}
	var all []cells.Part
	for _, part := range v.parts.views {
		all = append(all, cells.Part{Cluster: part.cluster, State: part.state, Past: part.past.(boundedPast)})
	}
	var failed []cells.Failure
	if q.Step != 0 {
		page, err := cells.Buckets(ctx, all, q)
		if err != nil {
			return nil, err
		}
		out.buckets, out.clusters, out.next, failed = page.Items, page.Clusters, page.Next, page.Failed
	} else {
		page, err := cells.Telemetry(ctx, all, q)
		if err != nil {
			return nil, err
		}
		out.entries, out.clusters, out.next, failed = page.Items, page.Clusters, page.Next, page.Failed
	}
	for _, f := range failed {
		e.lg.WarnContext(ctx, "a cluster's history is missing in an answer", "cluster", f.Cluster, "err", f.Err)
		v.missing.addCluster(f.Cluster, "away", "its history cannot be read at the moment")
	}
	return out, nil
}

// restoreParts returns a view of several clusters at an instant, without the clusters whose past cannot be read.
func (e *Engine) restoreParts(ctx context.Context, v view, at events.Timestamp, only func(s *live.State) []events.HostID) (view, error) {
	restored, errs := make([]view, len(v.parts.views)), make([]error, len(v.parts.views))
	var running sync.WaitGroup
	for i, part := range v.parts.views {
		running.Go(func() {
			restored[i] = part
			restored[i].now = at.Time()
			restored[i].state, errs[i] = part.past.AsOf(ctx, part.state, at, only(part.state))
		})
	}
	running.Wait()
	then := &parts{names: v.parts.names}
	for i, err := range errs {
		if err == nil {
			then.views = append(then.views, restored[i])
			continue
		}
		e.lg.WarnContext(ctx, "a cluster's past is missing in an answer", "cluster", v.parts.views[i].cluster, "err", err)
		v.missing.addCluster(v.parts.views[i].cluster, "away", "its past cannot be read at the moment")
	}
	if len(then.views) == 0 && len(errs) > 0 {
		return v, errs[0]
	}
	v.origin = &origin{parts: then, missing: v.missing}
	return v, nil
}
