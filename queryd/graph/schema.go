package graph

import (
	"strings"

	"github.com/graphql-go/graphql"

	"telemetry-pipeline/events/metric"
)

// types are the schema's object types. Hosts and GPUs name each other, so their fields are given as
// functions.
type types struct {
	scalars
	cluster, host, gpu, part, entry, page, update, item *graphql.Object
}

// newSchema builds the schema around the engine's resolvers.
func (e *Engine) newSchema() (graphql.Schema, error) {
	t := &types{scalars: newScalars()}
	t.entry = object("TelemetryEntry", "Every reading of one entity at one exact time.", e.entryFields(t))
	t.page = object("TelemetryPage", "A page of history.", e.pageFields(t))
	t.part = object("GPUPart", "A part of a GPU that has readings of its own: a MIG instance, a link, a process.", e.partFields(t))
	t.gpu = object("GPU", "A GPU as its newest records show it.",
		graphql.FieldsThunk(func() graphql.Fields { return e.gpuFields(t) }))
	t.host = object("Host", "A host and its GPUs.",
		graphql.FieldsThunk(func() graphql.Fields { return e.hostFields(t) }))
	t.cluster = object("Cluster", "The whole fleet.", e.clusterFields(t))
	t.item = object("GPUMetrics", "A GPU's changed readings.", e.itemFields(t))
	t.update = object("GPUMetricsUpdate", "One step of a live stream.", e.updateFields(t))
	return graphql.NewSchema(graphql.SchemaConfig{
		Query:        object("Query", "", e.queryFields(t)),
		Subscription: object("Subscription", "", e.subscriptionFields(t)),
	})
}

// object makes an object type; fields are graphql.Fields, or a thunk of them.
func object(name, description string, fields any) *graphql.Object {
	return graphql.NewObject(graphql.ObjectConfig{Name: name, Description: description, Fields: fields})
}

func list(of graphql.Type) graphql.Output {
	return graphql.NewNonNull(graphql.NewList(graphql.NewNonNull(of)))
}

func must(of graphql.Type) *graphql.NonNull { return graphql.NewNonNull(of) }

func (e *Engine) queryFields(t *types) graphql.Fields {
	limit := &graphql.ArgumentConfig{Type: graphql.Int, Description: "at most so many; all when left out"}
	return graphql.Fields{
		"cluster": e.field(must(t.cluster), "The whole fleet.", asOfArg(t), e.asOf(e.cluster, nil)),
		"hosts":   e.field(list(t.host), "Every host, by name.", with(asOfArg(t), graphql.FieldConfigArgument{"limit": limit}), e.asOf(e.hosts, nil)),
		"host": e.field(t.host, "One host, null if it is not known.", with(asOfArg(t), graphql.FieldConfigArgument{
			"name": {Type: must(graphql.String)},
		}), e.asOf(e.host, namedHost("name"))),
		"gpus": e.field(list(t.gpu), "Every GPU, by host and index.", with(asOfArg(t), graphql.FieldConfigArgument{
			"host":  {Type: graphql.String, Description: "only those of this host"},
			"limit": limit,
		}), e.asOf(e.gpus, namedHost("host"))),
		"gpu": e.field(t.gpu, "One GPU, null if it is not known.", with(asOfArg(t), graphql.FieldConfigArgument{
			"id": {Type: must(graphql.ID), Description: "its UUID, or host:index"},
		}), e.asOf(e.gpu, ownGPU)),
		"telemetry": e.field(must(t.page), "History, newest first.", with(telemetryArgs(t), graphql.FieldConfigArgument{
			"host": {Type: graphql.NewList(must(graphql.String)), Description: "only of these hosts"},
			"gpu":  {Type: graphql.NewList(must(graphql.ID)), Description: "only of these GPUs: UUIDs, host:index, or an index together with host"},
		}), e.telemetry),
	}
}

// telemetryArgs are those of every field that gives history.
func telemetryArgs(t *types) graphql.FieldConfigArgument {
	return graphql.FieldConfigArgument{
		"metric": {Type: graphql.NewList(must(graphql.String)), Description: "only these metrics, by any name of theirs"},
		"start":  {Type: t.dateTime, Description: "not before: RFC 3339, or relative such as now-5m"},
		"end":    {Type: t.dateTime, Description: "not after"},
		"step":   {Type: graphql.String, Description: "sum up buckets of this length, from 1s to 366d, such as 30s, 1m, 1h or 1d; see series"},
		"agg": {
			Type: graphql.NewList(must(graphql.String)),
			Description: "how a bucket's readings become one number: avg, min, max, last, p95, count. With step alone avg, but last for counters and codes. " +
				"raw, alone and without step, is what there is without step",
		},
		"limit":  {Type: graphql.Int, DefaultValue: defaultPage, Description: "entries of a page, or buckets with step; at most 10000"},
		"cursor": {Type: graphql.String, Description: "nextCursor of the page before"},
		"order":  {Type: graphql.String, DefaultValue: "desc", Description: "desc: newest first; asc: oldest first"},
	}
}

func with(args, more graphql.FieldConfigArgument) graphql.FieldConfigArgument {
	for name, arg := range more {
		args[name] = arg
	}
	return args
}

// named adds a field for each of the readings that have a name of their own.
func (e *Engine) named(fields graphql.Fields, t *types, reading func(source any, metric string) any) graphql.Fields {
	for _, n := range metric.Named() {
		fields[camel(n.Name)] = e.field(t.number, n.Description+" ("+n.Unit+"); null where absent.", nil, func(p graphql.ResolveParams) (any, error) {
			return reading(p.Source, n.Metric), nil
		})
	}
	return fields
}

// camel turns gpu_utilization into gpuUtilization.
func camel(name string) string {
	words := strings.Split(name, "_")
	for i, word := range words[1:] {
		words[i+1] = strings.ToUpper(word[:1]) + word[1:]
	}
	return strings.Join(words, "")
}
