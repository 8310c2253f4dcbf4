package trace

import (
	"context"
	"time"

	api "go.opentelemetry.io/otel/trace"

	"telemetry-pipeline/events"
)

// Scope is the name of the instrumentation in spans.
const Scope = "telemetry-pipeline"

// MaxLinks is the maximum number of traces to which a span links.
const MaxLinks = 32

// Tracer starts traces. The nil Tracer records nothing.
type Tracer struct{ tracer api.Tracer }

// New returns a tracer that records spans with a provider; the nil Tracer without one.
func New(p api.TracerProvider) *Tracer {
	if p == nil {
		return nil
	}
	return &Tracer{p.Tracer(Scope)}
}

// StartRequest starts the step of a server that answers a request, in the trace of the remote span in ctx if there is one. It
// returns ctx and the zero Span unless the trace is sampled.
func (t *Tracer) StartRequest(ctx context.Context) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	in, span := t.tracer.Start(ctx, "request", api.WithSpanKind(api.SpanKindServer))
	if !span.IsRecording() {
		return ctx, Span{}
	}
	return boundSteps(in), Span{span}
}

// StartLinked starts a trace of its own that links to the traces which led to it, of more than MaxLinks to some of them. Its first
// step began at an earlier time. Without links, or if it is not sampled, it returns ctx and the zero Span.
func (t *Tracer) StartLinked(ctx context.Context, name string, began time.Time, causes []events.TraceContext) (context.Context, Span) {
	if t == nil || len(causes) == 0 {
		return ctx, Span{}
	}
	links := make([]api.Link, min(len(causes), MaxLinks))
	for i := range links {
		links[i].SpanContext = api.NewSpanContext(api.SpanContextConfig{
			TraceID: causes[i].Trace, SpanID: causes[i].Span, TraceFlags: api.FlagsSampled, Remote: true})
	}
	in, span := t.tracer.Start(ctx, name, api.WithNewRoot(), api.WithTimestamp(began), api.WithLinks(links...))
	if !span.IsRecording() {
		return ctx, Span{}
	}
	return boundSteps(in), Span{span}
}
