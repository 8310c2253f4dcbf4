package graph

import (
	"encoding/json"
	"strings"

	"github.com/graphql-go/graphql"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/history"
	"telemetry-pipeline/queryd/live"
)

func (e *Engine) resolveTelemetry(p graphql.ResolveParams) (any, error) {
	q, err := pageQuery(p)
	if err != nil {
		return nil, err
	}
	for _, name := range stringList(p.Args["host"]) {
		q.Hosts = append(q.Hosts, events.HostID(name))
	}
	for _, id := range stringList(p.Args["gpu"]) {
		if len(q.Hosts) == 0 && id != "" && strings.Trim(id, "0123456789") == "" {
			return nil, badInput("argument gpu: %q is an index, which is of a host: name it by host, or write host:index, or the UUID", id)
		}
		for _, s := range readableView(p).states() {
			q.GPUs = append(q.GPUs, filterGPUs(s, q.Hosts, id)...)
		}
	}
	return e.queryPage(p, q)
}

// filterGPUs returns the names of the GPUs that a filter names: by id, host:index or host:pci-address, or by index or address
// on the requested hosts. An unknown GPU stays in the filter, so that the filter then matches nothing.
func filterGPUs(state *live.State, hosts []events.HostID, id string) []events.GPUID {
	if _, ok := state.GPU(events.GPUID(id)); ok {
		return []events.GPUID{events.GPUID(id)}
	}
	found := []events.GPUID{events.GPUID(id)}
	for _, host := range hosts {
		name := events.GPUID(string(host) + ":" + id) // of a GPU that has left the view, too
		if g, ok := state.GPU(name); ok {
			name = g.OwnName()
		}
		found = append(found, name)
	}
	return found
}

func (e *Engine) resolveGPUTelemetry(p graphql.ResolveParams) (any, error) {
	q, err := pageQuery(p)
	if err != nil {
		return nil, err
	}
	q.GPUs = []events.GPUID{p.Source.(*projections.GPU).OwnName()}
	return e.queryPage(p, q)
}

// queryPage reads a page of history, in buckets if the query has a step.
func (e *Engine) queryPage(p graphql.ResolveParams, q history.Query) (any, error) {
	ctx, cancel := e.historyContext(p.Context)
	defer cancel()
	v := readableView(p)
	out := &historyPage{query: q}
	var err error
	switch {
	case v.parts != nil:
		out, err = e.readParts(ctx, v, q)
	case q.Step != 0:
		var page history.BucketPage
		page, err = v.past.Buckets(ctx, v.state, q)
		out.buckets, out.next = page.Buckets, page.Next
	default:
		var page history.Page
		page, err = v.past.Telemetry(ctx, v.state, q)
		out.entries, out.next = page.Entries, page.Next
	}
	if err != nil {
		return nil, e.historyError(ctx, err)
	}
	return out, nil
}

// pageQuery parses the arguments that every field of history has.
func pageQuery(p graphql.ResolveParams) (history.Query, error) {
	var q history.Query
	q.Limit, _ = p.Args["limit"].(int)
	if q.Limit < 1 || q.Limit > history.MaxLimit {
		return q, badInput("limit %d: give 1 to %d", q.Limit, history.MaxLimit)
	}
	switch order, _ := p.Args["order"].(string); order {
	case "desc":
	case "asc":
		q.Oldest = true
	default:
		return q, badInput("order %q: give asc or desc", order)
	}
	cursor, _ := p.Args["cursor"].(string)
	q.Cursor = history.Cursor(cursor)
	for _, name := range stringList(p.Args["metric"]) {
		q.Metrics = append(q.Metrics, canonicalMetric(name))
	}
	err := stepOf(p, &q)
	if err != nil {
		return q, err
	}
	if q.From, q.HasFrom, err = timeArg(p, "start"); err != nil {
		return q, err
	}
	q.To, q.HasTo, err = timeArg(p, "end")
	return q, err
}

// stepOf parses the arguments step and agg.
func stepOf(p graphql.ResolveParams, q *history.Query) (err error) {
	names := stringList(p.Args["agg"])
	text, given := p.Args["step"].(string)
	if given {
		if q.Step, err = history.ParseStep(text); err != nil {
			return badInput("step %q: give %s", text, history.StepSyntax)
		}
	}
	if q.Aggregates, err = history.ParseAggregates(names, q.Step); err != nil {
		return badInput("agg: %v", err)
	}
	return nil
}

// canonicalMetric returns the metric for any of its names; an unknown name stays as it is.
func canonicalMetric(name string) string {
	m, _, _ := metric.Lookup(name)
	return m.Name
}

func timeArg(p graphql.ResolveParams, arg string) (events.Timestamp, bool, error) {
	text, given := p.Args[arg].(string)
	if !given {
		return 0, false, nil
	}
	at, _, err := history.ParseTime(text, currentView(p).now)
	if err != nil {
		return 0, false, badInput("%s %q: give %s", arg, text, history.TimeSyntax)
	}
	return at, true, nil
}

// stringList returns a list argument's strings.
func stringList(arg any) []string {
	list, _ := arg.([]any)
	var all []string
	for _, v := range list {
		if s, ok := v.(string); ok {
			all = append(all, s)
		}
	}
	return all
}

// entryOf is an entry with its cluster, "" where there is one.
type entryOf struct {
	projections.Entry
	cluster string
}

// listEntries returns the entries of the page.
func (a *historyPage) listEntries() []entryOf {
	all := make([]entryOf, len(a.entries))
	for i := range a.entries {
		all[i] = entryOf{a.entries[i], a.clusterOf(i)}
	}
	return all
}

func (e *Engine) pageFields(t *types) graphql.Fields {
	return graphql.Fields{
		"entries": e.newField(listOf(t.entry), "The entries, in the order asked for; none with step, which has only series.", nil,
			fromSource(func(_ view, p *historyPage) any { return p.listEntries() })),
		"series": e.newField(nonNull(t.prepared), aboutSeries, nil,
			fromSource(func(_ view, p *historyPage) any { return p.seriesJSON() })),
		"count": e.newField(nonNull(graphql.Int), "How many entries they are, or buckets with step.", nil,
			fromSource(func(_ view, p *historyPage) any { return p.entryCount() })),
		"nextCursor": e.newField(graphql.String, "Where the next page starts; null at the end.", nil, fromSource(func(_ view, p *historyPage) any {
			if p.next == "" {
				return nil
			}
			return string(p.next)
		})),
	}
}

func (e *Engine) entryFields(t *types) graphql.Fields {
	fields := graphql.Fields{
		"timestamp": e.newField(nonNull(t.dateTime), "The record time.", nil,
			fromSource(func(_ view, n entryOf) any { return n.At })),
		"host": e.newField(nonNull(graphql.String), "The host.", nil,
			fromSource(func(_ view, n entryOf) any { return string(n.Host) })),
		"id": e.newField(nonNull(graphql.ID), "The GPU.", nil,
			fromSource(func(_ view, n entryOf) any { return string(n.Entity.GPU) })),
		"part": e.newField(graphql.String, "The part of the GPU, null for itself.", nil,
			fromSource(entryPart)),
		"metrics": e.newField(nonNull(t.prepared), "Every value, by canonical name.", nil,
			fromSource(func(_ view, n entryOf) any { return entryValues(n.Readings) })),
		"absent": e.newField(nonNull(t.prepared), "Why a metric has no value, by canonical name.", nil,
			fromSource(func(_ view, n entryOf) any { return entryAbsent(n.Readings) })),
		"absentText": e.newField(nonNull(t.prepared), aboutAbsentText, nil,
			fromSource(func(_ view, n entryOf) any { return entryAbsentText(n.Readings) })),
	}
	e.addCluster(fields, fromSource(func(_ view, n entryOf) any { return n.cluster }))
	e.identityFields(fields, t, func(source any) *events.Identity { return source.(entryOf).Identity })
	return e.namedFields(fields, t, func(source any, name string) any {
		if v, ok := entryValues(source.(entryOf).Readings)[name]; ok {
			return v
		}
		return nil
	})
}

func entryPart(_ view, n entryOf) any {
	if n.Entity.Part == "" {
		return nil
	}
	return n.Entity.Part
}

// entryValues returns each metric's value; of several at one time the first counts.
func entryValues(readings []projections.Reading) map[string]json.RawMessage {
	m := make(map[string]json.RawMessage, len(readings))
	for _, r := range readings {
		v := r.Value()
		if _, again := m[r.Metric()]; !again && v.Absent == events.Present {
			m[r.Metric()] = exactJSON(v.Number)
		}
	}
	return m
}

func entryAbsent(readings []projections.Reading) map[string]string {
	m := map[string]string{}
	for i, r := range readings {
		v := r.Value()
		if v.Absent != events.Present && (i == 0 || readings[i-1].Metric() != r.Metric()) {
			m[r.Metric()] = v.Absent.String()
		}
	}
	return m
}

func entryAbsentText(readings []projections.Reading) map[string]string {
	m := map[string]string{}
	for i, r := range readings {
		v := r.Value()
		if v.Raw != "" && (i == 0 || readings[i-1].Metric() != r.Metric()) {
			m[r.Metric()] = v.Raw
		}
	}
	return m
}
