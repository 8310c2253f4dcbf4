package graph

import (
	"slices"

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

func (e *Engine) cluster(p graphql.ResolveParams) (any, error) {
	v := root(p)
	gpus := v.state.GPUs()
	return &fleet{
		totals:  projections.Sum(gpus, v.hostSeen, events.TimestampOf(v.now)),
		models:  distinct(gpus, func(g *projections.GPU) string { return g.Identity.Model }),
		drivers: distinct(gpus, func(g *projections.GPU) string { return g.Identity.Driver }),
	}, nil
}

func distinct(gpus []*projections.GPU, of func(*projections.GPU) string) []string {
	names := []string{}
	for _, g := range gpus {
		if name := of(g); name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// hostSeen tells when a host was last seen.
func (v view) hostSeen(id events.HostID) events.Timestamp {
	if h, ok := v.state.Host(id); ok {
		return h.LastSeen
	}
	return 0
}

func (v view) gpuStatus(g *projections.GPU) string {
	return string(projections.StatusOf(g.LastSeen, v.hostSeen(g.Host), events.TimestampOf(v.now)))
}

func (e *Engine) clusterFields(t *types) graphql.Fields {
	count := func(description string, of func(projections.Totals) int) *graphql.Field {
		return e.field(must(graphql.Int), description, nil, func(p graphql.ResolveParams) (any, error) {
			return of(p.Source.(*fleet).totals), nil
		})
	}
	fields := graphql.Fields{
		"hostCount": e.field(must(graphql.Int), "Hosts known.", nil,
			of(func(v view, _ *fleet) any { return len(v.state.Hosts()) })),
		"gpuCount": count("GPUs known.", func(t projections.Totals) int { return t.GPUs }),
		"active":   count("GPUs with a record in the last five minutes.", func(t projections.Totals) int { return t.Active }),
		"stale":    count("GPUs without one.", func(t projections.Totals) int { return t.Stale }),
		"missing":  count("GPUs that are silent while their host is not.", func(t projections.Totals) int { return t.Missing }),
		"models": e.field(list(graphql.String), "Models in the fleet.", nil,
			of(func(_ view, f *fleet) any { return f.models })),
		"drivers": e.field(list(graphql.String), "Driver versions in the fleet.", nil,
			of(func(_ view, f *fleet) any { return f.drivers })),
		"position": e.field(must(t.revision), "Position of this view in the projections.", nil,
			of(func(v view, _ *fleet) any { return v.state.At().String() })),
		"folded": e.field(must(t.revision), "Position in the log up to which everything is folded.", nil,
			of(func(v view, _ *fleet) any { return v.state.Folded().String() })),
		"asOf": e.field(must(t.dateTime), "When this view was last known to be current.", nil,
			of(func(v view, _ *fleet) any { return events.TimestampOf(v.state.AsOf()) })),
	}
	return e.totalsFields(fields, t, func(source any) projections.Totals { return source.(*fleet).totals })
}

// totalsFields adds the sums over latest readings, null where no GPU has the metric.
func (e *Engine) totalsFields(fields graphql.Fields, t *types, totals func(source any) projections.Totals) graphql.Fields {
	sum := func(description string, of func(projections.Totals) *float64) *graphql.Field {
		return e.field(t.number, description, nil, func(p graphql.ResolveParams) (any, error) {
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

func (e *Engine) hosts(p graphql.ResolveParams) (any, error) {
	return limited(p, root(p).state.Hosts())
}

func (e *Engine) host(p graphql.ResolveParams) (any, error) {
	name, _ := p.Args["name"].(string)
	if h, ok := root(p).state.Host(events.HostID(name)); ok {
		return h, nil
	}
	return nil, nil
}

// limited cuts a list to the field's limit argument.
func limited[T any](p graphql.ResolveParams, all []T) (any, error) {
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
		"name": e.field(must(graphql.String), "Its name, as its telemetry gives it.", nil,
			of(func(_ view, h *live.Host) any { return string(h.ID) })),
		"status": e.field(must(graphql.String), "active or stale.", nil,
			of(hostStatus)),
		"firstSeen": e.field(must(t.dateTime), "Its earliest record time.", nil,
			of(func(_ view, h *live.Host) any { return h.FirstSeen })),
		"lastSeen": e.field(must(t.dateTime), "Its newest record time.", nil,
			of(func(_ view, h *live.Host) any { return h.LastSeen })),
		"gpuCount": e.field(must(graphql.Int), "GPUs whose newest record is from here.", nil,
			of(func(_ view, h *live.Host) any { return len(h.GPUs) })),
		"gpus": e.field(list(t.gpu), "Those GPUs, by index.", limit, func(p graphql.ResolveParams) (any, error) {
			return limited(p, p.Source.(*live.Host).GPUs)
		}),
	}
	return fields
}

func hostStatus(v view, h *live.Host) any {
	return string(projections.StatusOf(h.LastSeen, h.LastSeen, events.TimestampOf(v.now)))
}
