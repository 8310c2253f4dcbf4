package eventstest

import (
	"context"
	"testing"

	api "go.opentelemetry.io/otel/trace"

	"telemetry-pipeline/events"
)

// inTrace returns a context in a trace that another process began.
func inTrace(ctx context.Context, t events.TraceContext, flags api.TraceFlags) context.Context {
	return api.ContextWithRemoteSpanContext(ctx, api.NewSpanContext(api.SpanContextConfig{TraceID: t.Trace, SpanID: t.Span, TraceFlags: flags, Remote: true}))
}

// testTrace: events have the trace in which they were created, if it is sampled, and are the same event in every trace.
func testTrace(t *testing.T, s Subject) {
	first := events.TraceContext{Trace: [16]byte{1}, Span: [8]byte{2}}
	second := events.TraceContext{Trace: [16]byte{3}, Span: [8]byte{4}}
	for _, step := range []struct {
		ctx     context.Context
		event   events.Event
		created bool
	}{
		{inTrace(t.Context(), first, api.FlagsSampled), Event("h1", 1), true},
		{inTrace(t.Context(), second, api.FlagsSampled), Event("h1", 1), false},
		{t.Context(), Event("h1", 1), false},
		{inTrace(t.Context(), second, 0), Event("h1", 2), true},
		{t.Context(), Event("h1", 3), true},
		{inTrace(t.Context(), second, api.FlagsSampled), Event("h1", 3), false},
		{inTrace(t.Context(), second, api.FlagsSampled), Event("h1", 4), true},
	} {
		got, err := s.Append(step.ctx, []events.Event{step.event})
		if err != nil || got[0].Created != step.created {
			t.Fatalf("appending: got %+v and error %v, want created %t", got, err, step.created)
		}
	}
	all := readAll(t, s, events.PartitionOf("h1", s.Facts().Partitions), events.Revision{})
	want := []events.TraceContext{first, {}, {}, second}
	if len(all) != len(want) {
		t.Fatalf("the log has %d events, want %d", len(all), len(want))
	}
	for i := range all {
		if all[i].Trace != want[i] {
			t.Errorf("event %d: got trace %q, want %q", i+1, all[i].Trace, want[i])
		}
	}
}
