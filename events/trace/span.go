package trace

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	api "go.opentelemetry.io/otel/trace"

	"telemetry-pipeline/events"
)

// Span is a step of a trace. The zero Span records nothing.
type Span struct{ span api.Span }

// StartChild starts a step of the trace of ctx. It returns ctx without its trace, and the zero Span, when the trace is not sampled
// or has MaxSteps already.
func StartChild(ctx context.Context, name string) (context.Context, Span) {
	parent := api.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, Span{}
	}
	if !takeStep(ctx) {
		return api.ContextWithSpan(ctx, nil), Span{}
	}
	ctx, span := parent.TracerProvider().Tracer(Scope).Start(ctx, name)
	return ctx, Span{span}
}

// ContextOf returns the trace context of ctx, zero unless it is sampled.
func ContextOf(ctx context.Context) (t events.TraceContext) {
	if c := api.SpanContextFromContext(ctx); c.IsValid() && c.IsSampled() {
		t.Trace, t.Span = c.TraceID(), c.SpanID()
	}
	return t
}

// Of returns the step that ctx is in, the zero Span outside of traces.
func Of(ctx context.Context) Span {
	if span := api.SpanFromContext(ctx); span.IsRecording() {
		return Span{span}
	}
	return Span{}
}

// IsRecorded reports whether the step is recorded.
func (s Span) IsRecorded() bool { return s.span != nil }

// SetName names the step after it was started.
func (s Span) SetName(name string) {
	if s.span != nil {
		s.span.SetName(name)
	}
}

// SetCount sets a number of the step. The key is a fixed word.
func (s Span) SetCount(key string, n int) {
	if s.span != nil {
		s.span.SetAttributes(attribute.Int(key, n))
	}
}

// SetText sets a text of the step. The key is a fixed word; the text names no host, GPU, file or caller.
func (s Span) SetText(key, text string) {
	if s.span != nil {
		s.span.SetAttributes(attribute.String(key, text))
	}
}

// Fail marks the step as failed.
func (s Span) Fail() {
	if s.span != nil {
		s.span.SetStatus(codes.Error, "")
	}
}

// End ends the step, as failed after an error. The text of the error is not kept, since it may name hosts.
func (s Span) End(err error) {
	if s.span == nil {
		return
	}
	if err != nil {
		s.Fail()
	}
	s.span.End()
}
