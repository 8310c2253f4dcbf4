package graph

import (
	"context"
	"time"

	"github.com/graphql-go/graphql"

	"telemetry-pipeline/events"
)

// addCluster adds the field cluster to an object's fields, where there are several clusters.
func (e *Engine) addCluster(fields graphql.Fields, resolve resolver) {
	if e.several != nil {
		fields["cluster"] = e.newField(nonNull(graphql.String), "The cluster that it is from.", nil, resolve)
	}
}

// resolveClusters returns the clusters that the caller may see.
func (e *Engine) resolveClusters(p graphql.ResolveParams) (any, error) {
	return e.listClusters(p.Context, currentView(p))
}

// listClusters returns the clusters that a caller may see: several, or the one there is.
func (e *Engine) listClusters(ctx context.Context, v view) ([]Cluster, error) {
	if e.several != nil {
		return append([]Cluster{}, e.clustersOf(ctx, v.parts.selected)...), nil
	}
	feed, err := e.feedFor(ctx)
	if err != nil {
		return nil, err
	}
	one := Cluster{Name: e.cfg.ClusterID, State: "current", Feed: feed}
	if err := feed.Degraded(); err != nil {
		one.State, one.Reason, one.Since = "behind", err.Error(), feed.State().AsOf()
	}
	return []Cluster{one}, nil
}

func (e *Engine) clusterStateFields(t *types) graphql.Fields {
	count := func(description string, of func(c Cluster) int) *graphql.Field {
		return e.newField(graphql.Int, description+" Null while it is away.", nil, fromSource(func(_ view, c Cluster) any {
			if c.Feed == nil {
				return nil
			}
			return of(c)
		}))
	}
	at := func(description string, of func(c Cluster) time.Time) *graphql.Field {
		return e.newField(t.dateTime, description, nil, fromSource(func(_ view, c Cluster) any {
			if at := of(c); !at.IsZero() {
				return events.TimestampOf(at)
			}
			return nil
		}))
	}
	return graphql.Fields{
		"name": e.newField(nonNull(graphql.String), "Its name.", nil, fromSource(func(_ view, c Cluster) any { return c.Name })),
		"state": e.newField(nonNull(graphql.String), "current; behind: its last known view is served; away: nothing is known of it.", nil,
			fromSource(func(_ view, c Cluster) any { return c.State })),
		"reason": e.newField(graphql.String, "Why it is not current.", nil, fromSource(func(_ view, c Cluster) any {
			if c.Reason == "" {
				return nil
			}
			return c.Reason
		})),
		"since":     at("Since when it is not current.", func(c Cluster) time.Time { return c.Since }),
		"hostCount": count("Its hosts.", func(c Cluster) int { return c.Feed.State().CountHosts() }),
		"gpuCount":  count("Its GPUs.", func(c Cluster) int { return c.Feed.State().Totals(0).GPUs }),
		"asOf": at("When its view was last known to be current.", func(c Cluster) time.Time {
			if c.Feed == nil {
				return time.Time{}
			}
			return c.Feed.State().AsOf()
		}),
	}
}
