package graph

import (
	"encoding/json"
	"github.com/graphql-go/graphql"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

func (e *Engine) gpus(p graphql.ResolveParams) (any, error) {
	state := root(p).state
	host, given := p.Args["host"].(string)
	if !given {
		return limited(p, state.GPUs())
	}
	if h, ok := state.Host(events.HostID(host)); ok {
		return limited(p, h.GPUs)
	}
	return []*projections.GPU{}, nil
}

func (e *Engine) gpu(p graphql.ResolveParams) (any, error) {
	id, _ := p.Args["id"].(string)
	if g, ok := root(p).state.GPU(events.GPUID(id)); ok {
		return g, nil
	}
	return nil, nil
}

func (e *Engine) gpuFields(t *types) graphql.Fields {
	fields := graphql.Fields{
		"id": e.field(must(graphql.ID), "Its UUID, or host:index when it has none.", nil,
			of(func(_ view, g *projections.GPU) any { return string(g.ID) })),
		"host": e.field(must(graphql.String), "The host that its newest record is from.", nil,
			of(func(_ view, g *projections.GPU) any { return string(g.Host) })),
		"hosts": e.field(list(graphql.String), "Every host that it was seen on.", nil,
			of(func(_ view, g *projections.GPU) any { return g.Hosts })),
		"status": e.field(must(graphql.String), "active, stale or missing.", nil,
			of(func(v view, g *projections.GPU) any { return v.gpuStatus(g) })),
		"firstSeen": e.field(must(t.dateTime), "Its earliest record time.", nil,
			of(func(_ view, g *projections.GPU) any { return g.FirstSeen })),
		"lastSeen": e.field(must(t.dateTime), "Its newest record time.", nil,
			of(func(_ view, g *projections.GPU) any { return g.LastSeen })),
		"metrics": e.field(must(t.prepared), "The latest value of every metric, by canonical name.", nil,
			of(func(_ view, g *projections.GPU) any { return values(g.Latest) })),
		"metricTimes": e.field(must(t.prepared), "The time of each latest reading, by canonical name.", nil,
			of(func(_ view, g *projections.GPU) any { return times(g.Latest) })),
		"absent": e.field(must(t.prepared), "Why a metric has no value now, by canonical name.", nil,
			of(func(_ view, g *projections.GPU) any { return absent(g.Latest) })),
		"absentText": e.field(must(t.prepared), aboutAbsentText, nil,
			of(func(_ view, g *projections.GPU) any { return absentText(g.Latest) })),
		"parts": e.field(list(t.part), "Its parts that have readings of their own.", nil,
			of(func(_ view, g *projections.GPU) any { return g.Parts })),
		"telemetry": e.field(must(t.page), "Its history, newest first.", telemetryArgs(t), e.gpuTelemetry),
	}
	e.identity(fields, t, func(source any) *events.Identity { return &source.(*projections.GPU).Identity })
	return e.named(fields, t, func(source any, metric string) any { return value(source.(*projections.GPU).Latest, metric) })
}

func (e *Engine) partFields(t *types) graphql.Fields {
	fields := graphql.Fields{
		"name": e.field(must(graphql.String), "Its kind and number: mig:1, nvlink:3, pid:4711.", nil,
			of(func(_ view, p projections.Part) any { return p.Name })),
		"lastSeen": e.field(must(t.dateTime), "Its newest record time.", nil,
			of(func(_ view, p projections.Part) any { return p.LastSeen })),
		"metrics": e.field(must(t.prepared), "The latest value of every metric, by canonical name.", nil,
			of(func(_ view, p projections.Part) any { return values(p.Latest) })),
		"metricTimes": e.field(must(t.prepared), "The time of each latest reading, by canonical name.", nil,
			of(func(_ view, p projections.Part) any { return times(p.Latest) })),
		"absent": e.field(must(t.prepared), "Why a metric has no value now, by canonical name.", nil,
			of(func(_ view, p projections.Part) any { return absent(p.Latest) })),
		"absentText": e.field(must(t.prepared), aboutAbsentText, nil,
			of(func(_ view, p projections.Part) any { return absentText(p.Latest) })),
	}
	return e.identity(fields, t, func(source any) *events.Identity { id := source.(projections.Part).Identity; return &id })
}

// identity adds what a source said about where readings come from, null where it said nothing.
func (e *Engine) identity(fields graphql.Fields, t *types, identity func(source any) *events.Identity) graphql.Fields {
	text := func(description string, get func(*events.Identity) string) *graphql.Field {
		return e.field(graphql.String, description, nil, func(p graphql.ResolveParams) (any, error) {
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
	fields["labels"] = e.field(must(t.prepared), "Every other label of the source, by name.", nil, func(p graphql.ResolveParams) (any, error) {
		return labels(identity(p.Source)), nil
	})
	return fields
}

func labels(id *events.Identity) map[string]string {
	m := make(map[string]string, len(id.Labels))
	for _, l := range id.Labels {
		m[l.Name] = l.Value
	}
	return m
}

// value gives a metric's latest value, nil where it has none.
func value(latest []projections.Latest, metric string) any {
	l, ok := projections.Find(latest, metric)
	if !ok || l.Value.Absent != events.Present {
		return nil
	}
	return exact(l.Value.Number)
}

func values(latest []projections.Latest) map[string]json.RawMessage {
	m := make(map[string]json.RawMessage, len(latest))
	for _, l := range latest {
		if l.Value.Absent == events.Present {
			m[l.Metric] = exact(l.Value.Number)
		}
	}
	return m
}

func times(latest []projections.Latest) map[string]string {
	m := make(map[string]string, len(latest))
	for _, l := range latest {
		m[l.Metric] = l.At.String()
	}
	return m
}

func absent(latest []projections.Latest) map[string]string {
	m := map[string]string{}
	for _, l := range latest {
		if l.Value.Absent != events.Present {
			m[l.Metric] = l.Value.Absent.String()
		}
	}
	return m
}

const aboutAbsentText = "What the source wrote in place of a value, by canonical name; nothing where it wrote nothing."

func absentText(latest []projections.Latest) map[string]string {
	m := map[string]string{}
	for _, l := range latest {
		if l.Value.Raw != "" {
			m[l.Metric] = l.Value.Raw
		}
	}
	return m
}
