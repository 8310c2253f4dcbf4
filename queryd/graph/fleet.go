package graph

import (
	"github.com/graphql-go/graphql"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live"
)

// fleet is the object behind Cluster.
type fleet struct {
	totals          projections.Totals
	models, drivers []string
}

func (e *Engine) resolveCluster(p graphql.ResolveParams) (any, error) {
	v := fieldView(p)
	return &fleet{
		totals:  v.state.Totals(events.TimestampOf(v.now)),
		models:  namesOf(v.state.Models()),
		drivers: namesOf(v.state.Drivers()),
	}, nil
}

func namesOf(counts []live.NameCount) []string {
	names := make([]string, len(counts))
	for i, n := range counts {
		names[i] = n.Name
	}
	return names
}

func (v view) gpuStatus(g *projections.GPU) string {
	return string(projections.StatusOf(g.LastSeen, v.state.HostSeen(g.Host), events.TimestampOf(v.now)))
}

func (e *Engine) clusterFields(t *types) graphql.Fields {
	count := func(description string, of func(projections.Totals) int) *graphql.Field {
		return e.newField(nonNull(graphql.Int), description, nil, func(p graphql.ResolveParams) (any, error) {
			return of(p.Source.(*fleet).totals), nil
		})
	}
	fields := graphql.Fields{
		"hostCount": e.newField(nonNull(graphql.Int), "Hosts known.", nil,
			fromSource(func(v view, _ *fleet) any { return v.state.CountHosts() })),
		"gpuCount": count("GPUs known. One that several hosts report at once counts once, here and in all sums.", func(t projections.Totals) int { return t.GPUs }),
		"active":   count("GPUs with a record in the last five minutes.", func(t projections.Totals) int { return t.Active }),
		"stale":    count("GPUs without one.", func(t projections.Totals) int { return t.Stale }),
		"missing":  count("GPUs that are silent while their host is not.", func(t projections.Totals) int { return t.Missing }),
		"models": e.newField(listOf(graphql.String), "Models in the fleet.", nil,
			fromSource(func(_ view, f *fleet) any { return f.models })),
		"drivers": e.newField(listOf(graphql.String), "Driver versions in the fleet.", nil,
			fromSource(func(_ view, f *fleet) any { return f.drivers })),
		"position": e.newField(nonNull(t.revision), "Position of this view in the projections.", nil,
			fromSource(func(v view, _ *fleet) any { return v.state.At().String() })),
		"folded": e.newField(nonNull(t.revision), "Position in the log up to which everything is folded.", nil,
			fromSource(func(v view, _ *fleet) any { return v.state.Folded().String() })),
		"asOf": e.newField(nonNull(t.dateTime), "When this view was last known to be current.", nil,
			fromSource(func(v view, _ *fleet) any { return events.TimestampOf(v.state.AsOf()) })),
	}
	return e.totalsFields(fields, t, func(source any) projections.Totals { return source.(*fleet).totals })
}

// totalsFields adds the sums over latest readings, null if no GPU has the metric.
func (e *Engine) totalsFields(fields graphql.Fields, t *types, totals func(source any) projections.Totals) graphql.Fields {
	sum := func(description string, of func(projections.Totals) *float64) *graphql.Field {
		return e.newField(t.number, description, nil, func(p graphql.ResolveParams) (any, error) {
			if v := of(totals(p.Source)); v != nil {
				return *v, nil
			}
			return nil, nil
		})
	}
	fields["gpuUtilizationAvg"] = sum("Mean utilisation, %.", func(t projections.Totals) *float64 { return t.UtilizationAvg })
	fields["memoryUsedMb"] = sum("Memory in use, MiB.", func(t projections.Totals) *float64 { return t.MemoryUsedMiB })
	fields["memoryFreeMb"] = sum("Memory free, MiB.", func(t projections.Totals) *float64 { return t.MemoryFreeMiB })
	fields["powerDraw"] = sum("Power drawn, W.", func(t projections.Totals) *float64 { return t.PowerWatts })
	fields["temperatureMax"] = sum("Hottest GPU, °C.", func(t projections.Totals) *float64 { return t.TemperatureMax })
	return fields
}

func (e *Engine) resolveHosts(p graphql.ResolveParams) (any, error) {
	return cutToLimit(p, fieldView(p).state.Hosts())
}

func (e *Engine) resolveHost(p graphql.ResolveParams) (any, error) {
	name, _ := p.Args["name"].(string)
	if h, ok := fieldView(p).state.Host(events.HostID(name)); ok {
		return h, nil
	}
	return nil, nil
}

// cutToLimit cuts a list to the field's limit argument.
func cutToLimit[T any](p graphql.ResolveParams, all []T) (any, error) {
	limit, given := p.Args["limit"].(int)
	if !given {
		return all, nil
	}
	if limit < 1 {
		return nil, badInput("limit %d: give at least 1", limit)
	}
	return all[:min(limit, len(all))], nil
}

func (e *Engine) hostFields(t *types) graphql.Fields {
	limit := graphql.FieldConfigArgument{"limit": {Type: graphql.Int, Description: "at most so many; all when left out"}}
	fields := graphql.Fields{
		"name": e.newField(nonNull(graphql.String), "Its name, as in its telemetry.", nil,
			fromSource(func(_ view, h *live.Host) any { return string(h.ID) })),
		"status": e.newField(nonNull(graphql.String), "active or stale.", nil,
			fromSource(hostStatus)),
		"firstSeen": e.newField(nonNull(t.dateTime), "Its earliest record time.", nil,
			fromSource(func(_ view, h *live.Host) any { return h.FirstSeen })),
		"lastSeen": e.newField(nonNull(t.dateTime), "Its newest record time.", nil,
			fromSource(func(_ view, h *live.Host) any { return h.LastSeen })),
		"gpuCount": e.newField(nonNull(graphql.Int), "GPUs whose newest record is from here.", nil,
			fromSource(func(_ view, h *live.Host) any { return len(h.GPUs) })),
		"gpus": e.newField(listOf(t.gpu), "Those GPUs, by index.", limit, func(p graphql.ResolveParams) (any, error) {
			return cutToLimit(p, p.Source.(*live.Host).GPUs)
		}),
	}
	return fields
}

func hostStatus(v view, h *live.Host) any {
	return string(projections.StatusOf(h.LastSeen, h.LastSeen, events.TimestampOf(v.now)))
}
