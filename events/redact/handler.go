package redact

import (
	"context"
	"log/slog"
)

// Handler is a handler of logs that removes secrets from records before another handler gets them.
type Handler struct {
	next   slog.Handler
	secret bool // the group that is open is named like a secret: everything in it is one
}

// NewHandler returns a handler in front of another one.
func NewHandler(next slog.Handler) *Handler { return &Handler{next: next} }

// Enabled reports whether the next handler is.
func (h *Handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle passes a record on, without its secrets. A record that has none is passed on as it is, and nothing is allocated for it.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	if h.isClean(&r) {
		return h.next.Handle(ctx, r)
	}
	out := slog.NewRecord(r.Time, r.Level, Text(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(h.redactAttr(a))
		return true
	})
	return h.next.Handle(ctx, out)
}

func (h *Handler) isClean(r *slog.Record) bool {
	clean := isClean(r.Message)
	if clean {
		r.Attrs(func(a slog.Attr) bool {
			clean = !h.secret && isCleanAttr(a)
			return clean
		})
	}
	return clean
}

func (h *Handler) redactAttr(a slog.Attr) slog.Attr {
	if h.secret {
		return slog.String(a.Key, Hidden)
	}
	return Attr(a)
}

// WithAttrs returns a handler of records with these attributes.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	redacted := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		redacted[i] = h.redactAttr(a)
	}
	return &Handler{h.next.WithAttrs(redacted), h.secret}
}

// WithGroup returns a handler whose attributes are in a group.
func (h *Handler) WithGroup(name string) slog.Handler {
	return &Handler{h.next.WithGroup(name), h.secret || IsSecretKey(name)}
}
