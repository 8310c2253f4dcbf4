package eventlog_test

import (
	"errors"
	"strings"
	"testing"

	api "go.opentelemetry.io/otel/trace"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
)

// TestATraceMakesNoEventTooLarge: the largest event that fits is stored in a sampled trace as well, without its context.
func TestATraceMakesNoEventTooLarge(t *testing.T) {
	l := eventstest.OpenLog(t, eventstest.Config(t))
	const limit = 1400 << 10
	ctx := api.ContextWithRemoteSpanContext(t.Context(), api.NewSpanContext(api.SpanContextConfig{TraceID: [16]byte{1}, SpanID: [8]byte{1}, TraceFlags: api.FlagsSampled, Remote: true}))
	// The id of an upload is stored as it is, so its length sets the size of the value.
	ev := eventstest.BigEvent("h1", 0, 1<<20)
	ev.Upload = events.UploadID(strings.Repeat("u", limit))
	_, err := l.Append(ctx, []events.Event{ev})
	refused, ok := errors.AsType[*eventlog.TooLargeError](err)
	if !ok {
		t.Fatalf("got %v, want a TooLargeError", err)
	}
	ev.Upload = ev.Upload[:limit-(refused.Bytes-limit)]
	if _, err := l.Append(ctx, []events.Event{ev}); err != nil {
		t.Fatalf("appending an event of %d bytes: %v", limit, err)
	}
	small := eventstest.Event("h1", 1)
	if _, err := l.Append(ctx, []events.Event{small}); err != nil {
		t.Fatal(err)
	}
	partition := events.PartitionOf("h1", l.Facts().Partitions)
	head, err := l.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for ev, err := range l.Read(t.Context(), partition, events.Revision{}, head) {
		if err != nil {
			t.Fatal(err)
		}
		n++
		if large := len(ev.Upload) > 1000; large != ev.Trace.IsZero() {
			t.Errorf("the event of upload %.10q has trace %q, want one only where there is room", ev.Upload, ev.Trace)
		}
	}
	if n != 2 {
		t.Errorf("the log has %d events, want 2", n)
	}
}
