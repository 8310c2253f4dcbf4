package graph

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"time"

	"github.com/graphql-go/graphql"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/queryd/live"
)

// Subscribe runs a subscription. It yields the results one by one until ctx ends, the reader stops or the hub closes.
// If the request is refused, it returns only the error.
//
// Each step executes the document once with the hub's message as the root field's value. The library's own loop is
// not used: it leaks goroutines when a reader stops (graphql-go issues 758 to 760).
func (e *Engine) Subscribe(ctx context.Context, req Request) (iter.Seq[[]byte], *Result) {
	results, refused := e.openSubscription(ctx, req)
	counted := &Result{Operation: "subscription"}
	if refused != nil {
		counted = &Result{Operation: "subscription", Refused: true, Unanswered: refused.Unanswered}
	}
	e.countOperation(counted)
	return results, refused
}

func (e *Engine) openSubscription(ctx context.Context, req Request) (iter.Seq[[]byte], *Result) {
	if e.several != nil {
		return e.subscribeToSeveral(ctx, req)
	}
	feed, err := e.feedFor(ctx)
	if err != nil {
		return nil, &Result{JSON: refusalJSON(err), Refused: true}
	}
	v := e.newView(feed.State())
	doc, op, err := e.guard.admitRequest(req, sizes{hosts: v.state.CountHosts(), gpus: v.state.CountGPUs()})
	if err == nil && op.Operation != "subscription" {
		err = badRequest("not a subscription: send queries as such")
	}
	if err != nil {
		return nil, &Result{JSON: refusalJSON(err), Refused: true}
	}
	run := func(message *live.Message, options *live.Options) *graphql.Result {
		root := e.newView(feed.State())
		ctx := context.WithValue(ctx, stepKey{}, &step{update: updateOf(message), options: options})
		return e.run(ctx, root, doc, req)
	}
	// The first execution has no message: it resolves the arguments, and finds errors in them.
	options := live.Options{Snapshot: true}
	if first := run(nil, &options); first.HasErrors() {
		return nil, &Result{JSON: e.encodeResult(first), Refused: true}
	}
	sub, err := feed.Subscribe(options)
	if err != nil {
		return nil, &Result{JSON: refusalJSON(err), Refused: true}
	}
	return e.streamResults(ctx, sub, run), nil
}

// streamResults yields a result for each message that carries readings.
func (e *Engine) streamResults(ctx context.Context, sub *live.Subscription, run func(*live.Message, *live.Options) *graphql.Result) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		defer sub.Close()
		for {
			m, err := sub.Next(ctx)
			if err != nil {
				if ctx.Err() == nil && !errors.Is(err, live.ErrClosed) {
					yield(refusalJSON(err))
				}
				return
			}
			if m.Kind != live.Snapshot && m.Kind != live.Update {
				continue
			}
			if !e.pushResult(ctx, m, func() *graphql.Result { return run(m, nil) }, yield) {
				return
			}
		}
	}
}

// pushResult yields the result for a message, and records that as the push of the traces that led to the message.
func (e *Engine) pushResult(ctx context.Context, m *live.Message, run func() *graphql.Result, yield func([]byte) bool) (wanted bool) {
	ctx, push := e.cfg.Tracer.StartLinked(ctx, "push", time.Now(), m.TakeTraces())
	push.SetText("telemetry.stream", "graphql")
	defer push.End(nil)
	wanted = yield(e.encodeResult(run()))
	e.lg.LogAttrs(ctx, slog.LevelDebug, "pushed", slog.String("stream", "graphql"), slog.Int64("revision", m.At.Number))
	return wanted
}

// step is the state of a subscription's root field: the first execution fills options from its arguments, later ones
// return messages.
type step struct {
	update  *update
	options *live.Options
	cluster string // of several: the one that the arguments select, "" for all
}

// update is a message with the position behind it. Of several clusters that is a position in each, and the message is of one.
type update struct {
	*live.Message
	token   string
	cluster string // "" where there is one
}

// updateOf returns a message of the one cluster, nil for none.
func updateOf(m *live.Message) *update {
	if m == nil {
		return nil
	}
	return &update{Message: m, token: string(m.Token)}
}

type stepKey struct{}

func (e *Engine) subscriptionFields(t *types) []rootField {
	return []rootField{
		{"gpuMetrics", access.Read, e.newField(t.update, "The latest readings of the GPUs asked for, then the changes.", e.clusterArg(graphql.FieldConfigArgument{
			"host":   {Type: graphql.NewList(nonNull(graphql.String)), Description: "only of these hosts; * and ? match"},
			"gpu":    {Type: graphql.NewList(nonNull(graphql.ID)), Description: "only of these GPUs: UUIDs, host:index or host:pci-address; a name that another GPU gets follows it"},
			"metric": {Type: graphql.NewList(nonNull(graphql.String)), Description: "only these metrics, by any name of theirs"},
			"hz":     {Type: graphql.Float, Description: "updates a second at most; 4 when left out, at most 20"},
			"from":   {Type: graphql.String, Description: "go on after this token instead of starting with everything"},
		}), resolveGPUMetrics)},
	}
}

func resolveGPUMetrics(p graphql.ResolveParams) (any, error) {
	s, _ := p.Context.Value(stepKey{}).(*step)
	if s == nil {
		return nil, badInput("gpuMetrics is served as a subscription")
	}
	if s.options == nil {
		return s.update, nil
	}
	s.options.Filter.Hosts = stringList(p.Args["host"])
	for _, id := range stringList(p.Args["gpu"]) {
		s.options.Filter.GPUs = append(s.options.Filter.GPUs, events.GPUID(id))
	}
	for _, name := range stringList(p.Args["metric"]) {
		s.options.Filter.Metrics = append(s.options.Filter.Metrics, canonicalMetric(name))
	}
	s.cluster, _ = p.Args["cluster"].(string)
	s.options.Hz, _ = p.Args["hz"].(float64)
	from, _ := p.Args["from"].(string)
	s.options.From = live.Token(from)
	return nil, nil
}

func (e *Engine) updateFields(t *types) graphql.Fields {
	fields := graphql.Fields{
		"token": e.newField(nonNull(t.revision), "Where to go on from after a break: gpuMetrics(from: …).", nil,
			fromSource(func(_ view, m *update) any { return m.token })),
		"snapshot": e.newField(nonNull(graphql.Boolean), "These are all readings, not only changed ones.", nil,
			fromSource(func(_ view, m *update) any { return m.Kind == live.Snapshot })),
		"gpus": e.newField(listOf(t.item), "The GPUs that changed.", nil,
			fromSource(func(_ view, m *update) any { return m.Items })),
		"removed": e.newField(listOf(graphql.ID), "GPUs to forget: they are no longer known, or no longer the ones asked for; what is in gpus comes after.", nil, fromSource(func(_ view, m *update) any {
			ids := []string{}
			for _, id := range m.Removed {
				ids = append(ids, string(id))
			}
			return ids
		})),
	}
	e.addCluster(fields, fromSource(func(_ view, m *update) any { return m.cluster }))
	return fields
}

func (e *Engine) itemFields(t *types) graphql.Fields {
	fields := graphql.Fields{
		"id": e.newField(nonNull(graphql.ID), "The GPU.", nil,
			fromSource(func(_ view, i live.Item) any { return string(i.GPU) })),
		"host": e.newField(nonNull(graphql.String), "Its host.", nil,
			fromSource(func(_ view, i live.Item) any { return string(i.Host) })),
		"part": e.newField(graphql.String, "The part of the GPU, null for itself.", nil,
			fromSource(itemPart)),
		"timestamp": e.newField(nonNull(t.dateTime), "Newest record time of these readings.", nil,
			fromSource(func(_ view, i live.Item) any { return i.At })),
		"metrics": e.newField(nonNull(t.prepared), "The changed values, by canonical name.", nil,
			fromSource(func(_ view, i live.Item) any { return latestValues(i.Readings) })),
		"metricTimes": e.newField(nonNull(t.prepared), "The time of each, by canonical name.", nil,
			fromSource(func(_ view, i live.Item) any { return latestTimes(i.Readings) })),
		"absent": e.newField(nonNull(t.prepared), "Why a metric has no value now, by canonical name.", nil,
			fromSource(func(_ view, i live.Item) any { return latestAbsent(i.Readings) })),
		"absentText": e.newField(nonNull(t.prepared), aboutAbsentText, nil,
			fromSource(func(_ view, i live.Item) any { return absentText(i.Readings) })),
	}
	return e.namedFields(fields, t, func(source any, metric string) any { return latestValue(source.(live.Item).Readings, metric) })
}

func itemPart(_ view, i live.Item) any {
	if i.Part == "" {
		return nil
	}
	return i.Part
}
