package graph

import (
	"github.com/graphql-go/graphql"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live"
)

func (e *Engine) resolveGPUs(p graphql.ResolveParams) (any, error) {
	host, given := p.Args["host"].(string)
	if !given {
		return cutToLimit(p, joinStates(fieldView(p), (*live.State).GPUs))
	}
	gpus := joinStates(fieldView(p), func(s *live.State) []*projections.GPU {
		if h, ok := s.Host(events.HostID(host)); ok {
			return h.GPUs
		}
		return nil
	})
	if gpus == nil {
		return []*projections.GPU{}, nil
	}
	return cutToLimit(p, gpus)
}

func (e *Engine) resolveGPU(p graphql.ResolveParams) (any, error) {
	id, _ := p.Args["id"].(string)
	return findOnly(fieldView(p), "GPU "+id, func(s *live.State) (*projections.GPU, bool) { return s.GPU(events.GPUID(id)) })
}

func (e *Engine) gpuFields(t *types) graphql.Fields {
	fields := graphql.Fields{
		"id": e.newField(nonNull(graphql.ID), "Its UUID, else host:index or host:pci-address; host:uuid while another host, which had it first, reports it too.", nil,
			fromSource(func(_ view, g *projections.GPU) any { return string(g.ID) })),
		"host": e.newField(nonNull(graphql.String), "The host that it is on.", nil,
			fromSource(func(_ view, g *projections.GPU) any { return string(g.Host) })),
		"hosts": e.newField(listOf(graphql.String), "Every host that it was seen on.", nil,
			fromSource(func(_ view, g *projections.GPU) any { return g.Hosts })),
		"conflictHosts": e.newField(listOf(graphql.String), "Other hosts that report its UUID at the same time, sorted.", nil,
			fromSource(func(_ view, g *projections.GPU) any { return append([]events.HostID{}, g.Conflict...) })),
		"status": e.newField(nonNull(graphql.String), "active, stale or missing.", nil,
			fromSource(func(v view, g *projections.GPU) any { return v.gpuStatus(g) })),
		"firstSeen": e.newField(nonNull(t.dateTime), "Its earliest record time.", nil,
			fromSource(func(_ view, g *projections.GPU) any { return g.FirstSeen })),
		"lastSeen": e.newField(nonNull(t.dateTime), "Its newest record time.", nil,
			fromSource(func(_ view, g *projections.GPU) any { return g.LastSeen })),
		"metrics": e.newField(nonNull(t.prepared), "The latest value of every metric, by canonical name.", nil,
			fromSource(func(_ view, g *projections.GPU) any { return latestValues(g.Latest) })),
		"metricTimes": e.newField(nonNull(t.prepared), "The time of each latest reading, by canonical name.", nil,
			fromSource(func(_ view, g *projections.GPU) any { return latestTimes(g.Latest) })),
		"absent": e.newField(nonNull(t.prepared), "Why a metric has no value now, by canonical name.", nil,
			fromSource(func(_ view, g *projections.GPU) any { return latestAbsent(g.Latest) })),
		"absentText": e.newField(nonNull(t.prepared), aboutAbsentText, nil,
			fromSource(func(_ view, g *projections.GPU) any { return absentText(g.Latest) })),
		"parts": e.newField(listOf(t.part), "Its parts that have readings of their own.", nil,
			fromSource(func(_ view, g *projections.GPU) any { return g.Parts })),
		"telemetry": e.newField(nonNull(t.page), "Its history, newest first.", telemetryArgs(t), e.resolveGPUTelemetry),
	}
	e.addCluster(fields, fromSource(func(v view, _ *projections.GPU) any { return v.cluster }))
	e.identityFields(fields, t, func(source any) *events.Identity { return &source.(*projections.GPU).Identity })
	return e.namedFields(fields, t, func(source any, metric string) any { return latestValue(source.(*projections.GPU).Latest, metric) })
}

func (e *Engine) partFields(t *types) graphql.Fields {
	fields := graphql.Fields{
		"name": e.newField(nonNull(graphql.String), "Its kind and number: mig:1, nvlink:3, pid:4711.", nil,
			fromSource(func(_ view, p projections.Part) any { return p.Name })),
		"lastSeen": e.newField(nonNull(t.dateTime), "Its newest record time.", nil,
			fromSource(func(_ view, p projections.Part) any { return p.LastSeen })),
		"metrics": e.newField(nonNull(t.prepared), "The latest value of every metric, by canonical name.", nil,
			fromSource(func(_ view, p projections.Part) any { return latestValues(p.Latest) })),
		"metricTimes": e.newField(nonNull(t.prepared), "The time of each latest reading, by canonical name.", nil,
			fromSource(func(_ view, p projections.Part) any { return latestTimes(p.Latest) })),
		"absent": e.newField(nonNull(t.prepared), "Why a metric has no value now, by canonical name.", nil,
			fromSource(func(_ view, p projections.Part) any { return latestAbsent(p.Latest) })),
		"absentText": e.newField(nonNull(t.prepared), aboutAbsentText, nil,
			fromSource(func(_ view, p projections.Part) any { return absentText(p.Latest) })),
	}
	return e.identityFields(fields, t, func(source any) *events.Identity { id := source.(projections.Part).Identity; return &id })
}

// identityFields adds the source's description of the origin of readings, null where it has none.
func (e *Engine) identityFields(fields graphql.Fields, t *types, identity func(source any) *events.Identity) graphql.Fields {
	text := func(description string, get func(*events.Identity) string) *graphql.Field {
		return e.newField(graphql.String, description, nil, func(p graphql.ResolveParams) (any, error) {
			if s := get(identity(p.Source)); s != "" {
				return s, nil
			}
			return nil, nil
		})
	}
	fields["uuid"] = text("UUID.", func(id *events.Identity) string { return id.UUID })
	fields["gpuId"] = text("Index on its host.", func(id *events.Identity) string { return id.Index })
	fields["device"] = text("Device name on its host.", func(id *events.Identity) string { return id.Device })
	fields["modelName"] = text("Model.", func(id *events.Identity) string { return id.Model })
	fields["pciBusId"] = text("PCI address.", func(id *events.Identity) string { return id.PCI })
	fields["driverVersion"] = text("Driver version.", func(id *events.Identity) string { return id.Driver })
	fields["migInstanceId"] = text("MIG instance.", func(id *events.Identity) string { return id.MIG })
	fields["migProfile"] = text("MIG profile.", func(id *events.Identity) string { return id.MIGProfile })
	fields["pod"] = text("Kubernetes pod.", func(id *events.Identity) string { return id.Pod })
	fields["namespace"] = text("Kubernetes namespace.", func(id *events.Identity) string { return id.Namespace })
	fields["container"] = text("Kubernetes container.", func(id *events.Identity) string { return id.Container })
	fields["labels"] = e.newField(nonNull(t.prepared), "Every other label of the source, by name.", nil, func(p graphql.ResolveParams) (any, error) {
		return labelsJSON(identity(p.Source).Labels), nil
	})
	return fields
}
