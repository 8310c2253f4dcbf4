package trace_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	api "go.opentelemetry.io/otel/trace"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/trace"
)

func contextWith(t events.TraceContext, flags api.TraceFlags) context.Context {
	return api.ContextWithRemoteSpanContext(context.Background(), api.NewSpanContext(api.SpanContextConfig{TraceID: t.Trace, SpanID: t.Span, TraceFlags: flags, Remote: true}))
}

func exampleTrace(n byte) events.TraceContext {
	return events.TraceContext{Trace: [16]byte{n}, Span: [8]byte{n, 1}}
}

// newTracer returns a tracer that samples as callers do, and its spans.
func newTracer(t *testing.T) (*trace.Tracer, *tracetest.InMemoryExporter) {
	t.Helper()
	out := tracetest.NewInMemoryExporter()
	p := sdk.NewTracerProvider(sdk.WithSyncer(out), sdk.WithSampler(sdk.ParentBased(sdk.AlwaysSample(), sdk.WithRemoteParentNotSampled(sdk.NeverSample()))))
	t.Cleanup(func() { _ = p.Shutdown(context.Background()) })
	return trace.New(p), out
}

func TestStepsOfATrace(t *testing.T) {
	tracer, out := newTracer(t)
	caller := exampleTrace(1)
	ctx, request := tracer.StartRequest(contextWith(caller, api.FlagsSampled))
	server := trace.WithTraceOf(t.Context(), ctx)
	in, step := trace.StartChild(server, "append")
	step.SetCount("telemetry.events", 3)
	step.End(errors.New("host node-7 is away"))
	request.SetName("POST /upload")
	request.End(nil)
	folded := trace.ContextOf(in)
	_, fold := tracer.StartLinked(t.Context(), "fold", time.Now().Add(-time.Second), []events.TraceContext{folded, exampleTrace(2)})
	fold.End(nil)

	spans := out.GetSpans()
	if len(spans) != 3 {
		t.Fatalf("got %d spans, want 3: %+v", len(spans), spans)
	}
	first, second, third := spans[0], spans[1], spans[2]
	if second.Name != "POST /upload" || second.SpanContext.TraceID() != caller.Trace || second.Parent.SpanID() != caller.Span || second.SpanKind != api.SpanKindServer {
		t.Errorf("the request is %+v, want a server's step of its caller's trace", second)
	}
	if first.Name != "append" || first.Parent.SpanID() != second.SpanContext.SpanID() || folded.Trace != caller.Trace || folded.Span != first.SpanContext.SpanID() {
		t.Errorf("the append is %+v with context %v, want a step of the request", first, folded)
	}
	if first.Status.Code != codes.Error || first.Status.Description != "" || len(first.Events) != 0 {
		t.Errorf("a failed step has status %+v and events %v, want an error without its text", first.Status, first.Events)
	}
	if third.Parent.IsValid() || third.SpanContext.TraceID() == caller.Trace || len(third.Links) != 2 || third.Links[0].SpanContext.SpanID() != folded.Span || third.EndTime.Sub(third.StartTime) < time.Second {
		t.Errorf("the fold is %+v, want a trace of its own with a link to the append", third)
	}
}

func TestOnlySampledTracesAreRecorded(t *testing.T) {
	tracer, out := newTracer(t)
	for name, t2 := range map[string]*trace.Tracer{"unsampled": tracer, "off": nil, "no provider": trace.New(nil)} {
		in := contextWith(exampleTrace(1), 0)
		ctx, request := t2.StartRequest(in)
		if request.IsRecorded() || ctx != in || !trace.ContextOf(ctx).IsZero() || trace.WithTraceOf(t.Context(), ctx) != t.Context() {
			t.Errorf("%s: the request is recorded", name)
		}
		if child, step := trace.StartChild(ctx, "append"); child != ctx || step.IsRecorded() {
			t.Errorf("%s: a step is recorded", name)
		}
		if linked, fold := t2.StartLinked(ctx, "fold", time.Now(), nil); linked != ctx || fold.IsRecorded() {
			t.Errorf("%s: a fold without traces is recorded", name)
		}
		request.SetName("n")
		request.SetText("k", "v")
		request.SetCount("k", 1)
		request.Fail()
		request.End(nil)
	}
	if spans := out.GetSpans(); len(spans) != 0 {
		t.Errorf("got spans %+v, want none", spans)
	}
	if got := trace.ContextOf(contextWith(exampleTrace(1), api.FlagsSampled)); got != exampleTrace(1) {
		t.Errorf("the context of a sampled trace is %v", got)
	}
}

func TestTracesHaveBounds(t *testing.T) {
	tracer, out := newTracer(t)
	ctx, request := tracer.StartRequest(contextWith(exampleTrace(1), api.FlagsSampled))
	stream := trace.WithTraceOf(trace.WithTraceOf(t.Context(), ctx), ctx)
	for n := range trace.MaxSteps + 10 {
		step, span := trace.StartChild(stream, "append")
		if within := n < trace.MaxSteps; span.IsRecorded() != within || trace.ContextOf(step).IsZero() == within {
			t.Fatalf("step %d: recorded %t, in the trace %t", n+1, span.IsRecorded(), !trace.ContextOf(step).IsZero())
		}
		span.End(nil)
	}
	request.End(nil)
	var causes []events.TraceContext
	for n := range byte(trace.MaxLinks + 5) {
		causes = append(causes, exampleTrace(n+1))
	}
	_, fold := tracer.StartLinked(t.Context(), "fold", time.Now(), causes)
	fold.End(nil)
	spans := out.GetSpans()
	if n := len(spans[len(spans)-1].Links); n != trace.MaxLinks {
		t.Errorf("a fold has %d links, want %d", n, trace.MaxLinks)
	}
}

// TestNothingIsPaidWithoutTraces: all that hot paths call.
func TestNothingIsPaidWithoutTraces(t *testing.T) {
	ctx, off := t.Context(), (*trace.Tracer)(nil)
	got := testing.AllocsPerRun(100, func() {
		in, span := trace.StartChild(ctx, "append")
		span.SetCount("telemetry.events", 1)
		_ = trace.ContextOf(in)
		span.End(nil)
		in, span = off.StartLinked(trace.WithTraceOf(in, ctx), "fold", time.Time{}, nil)
		_, request := off.StartRequest(in)
		request.End(nil)
		span.End(nil)
	})
	if got != 0 {
		t.Errorf("got %v allocations, want none", got)
	}
}
