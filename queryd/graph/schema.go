package graph

import (
	"strings"

	"github.com/graphql-go/graphql"

	"telemetry-pipeline/events/access"
	"telemetry-pipeline/events/metric"
)

// types holds the schema's object types. Hosts and GPUs refer to each other, so their fields are functions.
type types struct {
	scalars
	cluster, host, gpu, part, entry, page, update, item, clusterState *graphql.Object
}

// newSchema builds the schema around the engine's resolvers.
func (e *Engine) newSchema() (graphql.Schema, error) {
	t := &types{scalars: newScalars()}
	t.entry = newObject("TelemetryEntry", "Every reading of one entity at one exact time.", e.entryFields(t))
	t.page = newObject("TelemetryPage", "A page of history.", e.pageFields(t))
	t.part = newObject("GPUPart", "A part of a GPU that has readings of its own: a MIG instance, a link, a process.", e.partFields(t))
	t.gpu = newObject("GPU", "A GPU as its newest records show it.",
		graphql.FieldsThunk(func() graphql.Fields { return e.gpuFields(t) }))
	t.host = newObject("Host", "A host and its GPUs.",
		graphql.FieldsThunk(func() graphql.Fields { return e.hostFields(t) }))
	t.cluster = newObject("Cluster", "The whole fleet.", e.clusterFields(t))
	t.clusterState = newObject("ClusterState", "A cluster that this server serves.", e.clusterStateFields(t))
	t.item = newObject("GPUMetrics", "A GPU's changed readings.", e.itemFields(t))
	t.update = newObject("GPUMetricsUpdate", "One step of a live stream.", e.updateFields(t))
	return graphql.NewSchema(graphql.SchemaConfig{
		Query:        e.newRoot("Query", e.queryFields(t)),
		Subscription: e.newRoot("Subscription", e.subscriptionFields(t)),
	})
}

// newObject returns an object type; fields are graphql.Fields, or a thunk of them.
func newObject(name, description string, fields any) *graphql.Object {
	return graphql.NewObject(graphql.ObjectConfig{Name: name, Description: description, Fields: fields})
}

func listOf(of graphql.Type) graphql.Output {
	return graphql.NewNonNull(graphql.NewList(graphql.NewNonNull(of)))
}

func nonNull(of graphql.Type) *graphql.NonNull { return graphql.NewNonNull(of) }

func (e *Engine) queryFields(t *types) []rootField {
	limit := &graphql.ArgumentConfig{Type: graphql.Int, Description: "at most so many; all when left out"}
	return []rootField{
		{"clusters", access.Read, e.newField(listOf(t.clusterState), "The clusters that this server serves, by name.", nil, e.resolveClusters)},
		{"cluster", access.Read, e.newField(nonNull(t.cluster), "The whole fleet.", e.clusterArg(asOfArg(t)), e.inCluster(e.asOf(e.resolveCluster, nil)))},
		{"hosts", access.Read, e.newField(listOf(t.host), "Every host, by name.", e.clusterArg(withArgs(asOfArg(t), graphql.FieldConfigArgument{"limit": limit})), e.inCluster(e.asOf(e.resolveHosts, nil)))},
		{"host", access.Read, e.newField(t.host, "One host, null if it is not known.", e.clusterArg(withArgs(asOfArg(t), graphql.FieldConfigArgument{
			"name": {Type: nonNull(graphql.String)},
		})), e.inCluster(e.asOf(e.resolveHost, namedHost("name"))))},
		{"gpus", access.Read, e.newField(listOf(t.gpu), "Every GPU, by host and index.", e.clusterArg(withArgs(asOfArg(t), graphql.FieldConfigArgument{
			"host":  {Type: graphql.String, Description: "only GPUs of this host"},
			"limit": limit,
		})), e.inCluster(e.asOf(e.resolveGPUs, namedHost("host"))))},
		{"gpu", access.Read, e.newField(t.gpu, "One GPU, null if it is not known.", e.clusterArg(withArgs(asOfArg(t), graphql.FieldConfigArgument{
			"id": {Type: nonNull(graphql.ID), Description: "its UUID, host:index or host:pci-address"},
		})), e.inCluster(e.asOf(e.resolveGPU, ownGPU)))},
		{"telemetry", access.Read, e.newField(nonNull(t.page), "History, newest first.", e.clusterArg(withArgs(telemetryArgs(t), graphql.FieldConfigArgument{
			"host": {Type: graphql.NewList(nonNull(graphql.String)), Description: "only of these hosts"},
			"gpu":  {Type: graphql.NewList(nonNull(graphql.ID)), Description: "only of these GPUs: UUIDs, host:index, host:pci-address, or an index or address together with host"},
		})), e.inCluster(e.resolveTelemetry))},
	}
}

// telemetryArgs returns the arguments of every field that returns history.
func telemetryArgs(t *types) graphql.FieldConfigArgument {
	return graphql.FieldConfigArgument{
		"metric": {Type: graphql.NewList(nonNull(graphql.String)), Description: "only these metrics, by any name of theirs"},
		"start":  {Type: t.dateTime, Description: "not before: RFC 3339, or relative such as now-5m"},
		"end":    {Type: t.dateTime, Description: "not after"},
		"step":   {Type: graphql.String, Description: "sum up buckets of this length, from 1s to 366d, such as 30s, 1m, 1h or 1d; see series"},
		"agg": {
			Type: graphql.NewList(nonNull(graphql.String)),
			Description: "how a bucket's readings become one number: avg, min, max, last, p95, count. With step alone avg, but last for counters and codes. " +
				"raw, alone and without step, is what there is without step",
		},
		"limit":  {Type: graphql.Int, DefaultValue: defaultPage, Description: "entries of a page, or buckets with step; at most 10000"},
		"cursor": {Type: graphql.String, Description: "nextCursor of the page before"},
		"order":  {Type: graphql.String, DefaultValue: "desc", Description: "desc: newest first; asc: oldest first"},
	}
}

func withArgs(args, more graphql.FieldConfigArgument) graphql.FieldConfigArgument {
	for name, arg := range more {
		args[name] = arg
	}
	return args
}

// namedFields adds a field for each reading that has a name of its own.
func (e *Engine) namedFields(fields graphql.Fields, t *types, reading func(source any, metric string) any) graphql.Fields {
	for _, n := range metric.Named() {
		fields[camelCase(n.Name)] = e.newField(t.number, n.Description+" ("+n.Unit+"); null where absent.", nil, func(p graphql.ResolveParams) (any, error) {
			return reading(p.Source, n.Metric), nil
		})
	}
	return fields
}

// camelCase turns gpu_utilization into gpuUtilization.
func camelCase(name string) string {
	words := strings.Split(name, "_")
	for i, word := range words[1:] {
		words[i+1] = strings.ToUpper(word[:1]) + word[1:]
	}
	return strings.Join(words, "")
}
