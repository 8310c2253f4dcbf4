package trace

import (
	"context"
	"sync/atomic"

	api "go.opentelemetry.io/otel/trace"
)

// MaxSteps is the maximum number of steps that StartChild starts in the trace of a request or a fold. A live stream appends for days.
const MaxSteps = 1000

type stepsKey struct{}

// boundSteps returns ctx with the bound of the trace that was started in it.
func boundSteps(ctx context.Context) context.Context {
	return context.WithValue(ctx, stepsKey{}, new(atomic.Int64))
}

// WithTraceOf returns ctx in the trace of another context, such as a request's, if that is sampled.
func WithTraceOf(ctx, of context.Context) context.Context {
	span := api.SpanFromContext(of)
	if !span.IsRecording() {
		return ctx
	}
	return context.WithValue(api.ContextWithSpan(ctx, span), stepsKey{}, of.Value(stepsKey{}))
}

// takeStep reports whether the trace of ctx may have another step.
func takeStep(ctx context.Context) bool {
	taken, bounded := ctx.Value(stepsKey{}).(*atomic.Int64)
	return !bounded || taken.Add(1) <= MaxSteps
}
