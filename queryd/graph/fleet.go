package graph

import (
	"slices"
	"strings"
	"time"

	"github.com/graphql-go/graphql"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live"
)

// fleet is the object behind Cluster.
type fleet struct {
	totals           projections.Totals
	hosts            int
	models, drivers  []string
	position, folded string
	asOf             time.Time
}

func (e *Engine) resolveCluster(p graphql.ResolveParams) (any, error) {
	v := fieldView(p)
	if v.parts != nil {
		return v.sumParts(), nil
	}
	return &fleet{
		totals:   v.state.Totals(v.timestamp()),
		hosts:    v.state.CountHosts(),
		models:   namesOf(v.state.Models()),
		drivers:  namesOf(v.state.Drivers()),
		position: v.state.At().String(), folded: v.state.Folded().String(), asOf: v.state.AsOf(),
	}, nil
}

// sumParts returns the fleet of several clusters: positions name the cluster of each, and it is as old as the oldest view.
func (v view) sumParts() *fleet {
	out := &fleet{}
	var models, drivers [][]live.NameCount
	var positions, folded []string
	for _, part := range v.parts.views {
		s := part.state
		v.now = part.now
		out.hosts += s.CountHosts()
		models, drivers = append(models, s.Models()), append(drivers, s.Drivers())
		positions = append(positions, part.cluster+"~"+s.At().String())
		folded = append(folded, part.cluster+"~"+s.Folded().String())
		if at := s.AsOf(); out.asOf.IsZero() || at.Before(out.asOf) {
			out.asOf = at
		}
	}
	out.totals = live.TotalsOf(v.states(), v.timestamp())
	out.models, out.drivers = namesOf(live.SumNames(models...)), namesOf(live.SumNames(drivers...))
	out.position, out.folded = strings.Join(positions, "."), strings.Join(folded, ".")
	return out
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
			fromSource(func(_ view, f *fleet) any { return f.hosts })),
		"gpuCount": count("GPUs known. One that several hosts report at once counts once, here and in all sums.", func(t projections.Totals) int { return t.GPUs }),
		"active":   count("GPUs with a record in the last five minutes.", func(t projections.Totals) int { return t.Active }),
		"stale":    count("GPUs without one.", func(t projections.Totals) int { return t.Stale }),
		"missing":  count("GPUs that are silent while their host is not.", func(t projections.Totals) int { return t.Missing }),
		"models": e.newField(listOf(graphql.String), "Models in the fleet.", nil,
			fromSource(func(_ view, f *fleet) any { return f.models })),
		"drivers": e.newField(listOf(graphql.String), "Driver versions in the fleet.", nil,
			fromSource(func(_ view, f *fleet) any { return f.drivers })),
		"position": e.newField(nonNull(t.revision), "Position of this view in the projections.", nil,
			fromSource(func(_ view, f *fleet) any { return f.position })),
		"folded": e.newField(nonNull(t.revision), "Position in the log up to which everything is folded.", nil,
			fromSource(func(_ view, f *fleet) any { return f.folded })),
		"asOf": e.newField(nonNull(t.dateTime), "When this view was last known to be current.", nil,
			fromSource(func(_ view, f *fleet) any { return events.TimestampOf(f.asOf) })),
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
	return cutToLimit(p, joinStates(fieldView(p), (*live.State).Hosts))
}

func (e *Engine) resolveHost(p graphql.ResolveParams) (any, error) {
	name, _ := p.Args["name"].(string)
	return findOnly(fieldView(p), "host "+name, func(s *live.State) (*live.Host, bool) { return s.Host(events.HostID(name)) })
}

// joinStates returns a list of a view, of several clusters the lists of all by the name of the cluster.
func joinStates[T any](v view, listOf func(*live.State) []T) []T {
	if v.parts == nil {
		return listOf(v.state)
	}
	var lists [][]T
	for _, s := range v.states() {
		lists = append(lists, listOf(s))
	}
	return slices.Concat(lists...)
}

// findOnly returns an object of a view, nil if it is not there. An object that is in several clusters is refused.
func findOnly[T any](v view, name string, find func(*live.State) (*T, bool)) (any, error) {
	var found *T
	var in []string
	if v.parts == nil {
		found, _ = find(v.state)
	} else {
		for _, part := range v.parts.views {
			if one, ok := find(part.state); ok {
				found, in = one, append(in, part.cluster)
			}
		}
	}
	switch {
	case len(in) > 1:
		return nil, badInput("%s is in several clusters; name one with the argument cluster; there are: %s", name, strings.Join(in, ", "))
	case found == nil:
		return nil, nil
	}
	return found, nil
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
	e.addCluster(fields, fromSource(func(v view, _ *live.Host) any { return v.cluster }))
	return fields
}

func hostStatus(v view, h *live.Host) any {
	return string(projections.StatusOf(h.LastSeen, h.LastSeen, events.TimestampOf(v.now)))
}
