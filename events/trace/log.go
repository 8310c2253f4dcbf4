package trace

import (
	"context"
	"log/slog"

	api "go.opentelemetry.io/otel/trace"
)

// LogHandler is a handler of logs that adds trace_id and span_id to the lines that are written in a sampled trace.
type LogHandler struct{ slog.Handler }

// Handle writes a line.
func (h LogHandler) Handle(ctx context.Context, r slog.Record) error {
	if c := api.SpanContextFromContext(ctx); c.IsValid() && c.IsSampled() {
		r = r.Clone()
		r.AddAttrs(slog.String("trace_id", c.TraceID().String()), slog.String("span_id", c.SpanID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs returns the handler with attributes in all lines.
func (h LogHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return LogHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup returns the handler with a group around the attributes that follow.
func (h LogHandler) WithGroup(name string) slog.Handler { return LogHandler{h.Handler.WithGroup(name)} }
