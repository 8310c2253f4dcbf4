package snapshot

import (
	"context"
	"testing"
	"time"

	api "go.opentelemetry.io/otel/trace"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventstest"
)

// TestReadersLearnTheTraceOfACommit: of one in a sampled trace, and of no later one.
func TestReadersLearnTheTraceOfACommit(t *testing.T) {
	f := newFixture(t)
	guard := f.claimPartition(0)
	start, err := f.Load(t.Context(), generation)
	if err != nil {
		t.Fatal(err)
	}
	from := events.TraceContext{Trace: [16]byte{1}, Span: [8]byte{2}}
	in := func(flags api.TraceFlags) context.Context {
		return api.ContextWithRemoteSpanContext(t.Context(), api.NewSpanContext(api.SpanContextConfig{TraceID: from.Trace, SpanID: from.Span, TraceFlags: flags, Remote: true}))
	}
	host := hostsOf(0, 1)[0]
	want := []events.TraceContext{{}, from, {}, {}}
	for n, ctx := range []context.Context{t.Context(), in(api.FlagsSampled), in(0), t.Context()} {
		if err := f.Save(ctx, generation, 0, f.foldEvents(int64(n)+1, eventstest.Event(host, n)), guard); err != nil {
			t.Fatal(err)
		}
	}
	for b, err := range f.Watch(timeoutContext(t, time.Minute), generation, start.At) {
		if err != nil {
			t.Fatal(err)
		}
		if len(b.Hosts) == 0 {
			continue
		}
		if b.Trace != want[0] {
			t.Errorf("%d commits before the last: got trace %q, want %q", len(want)-1, b.Trace, want[0])
		}
		if want = want[1:]; len(want) == 0 {
			break
		}
	}
	again, err := f.Load(t.Context(), generation)
	if err != nil || again.Trace != (events.TraceContext{}) {
		t.Errorf("a load has trace %q (%v), want none", again.Trace, err)
	}
}
