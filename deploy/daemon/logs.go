package daemon

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"

	"golang.org/x/term"

	"telemetry-pipeline/events/access"
	"telemetry-pipeline/events/redact"
	"telemetry-pipeline/events/trace"
)

// logConfig configures the log of a process or a command.
type logConfig struct {
	level  slog.Level
	format logFormat
}

// logFormat is a form of the lines of a log.
type logFormat string

// The forms of lines.
const (
	autoFormat logFormat = "auto" // text on a terminal, JSON elsewhere
	textFormat logFormat = "text"
	jsonFormat logFormat = "json"
)

// MarshalText returns the name of the format, for the default of its flag.
func (f logFormat) MarshalText() ([]byte, error) { return []byte(f), nil }

// UnmarshalText parses the name of a format.
func (f *logFormat) UnmarshalText(text []byte) error {
	switch name := logFormat(text); name {
	case autoFormat, textFormat, jsonFormat:
		*f = name
		return nil
	}
	return fmt.Errorf("there is no log format %.40q: it is auto (text on a terminal, else JSON), text or json", text)
}

// registerFlags registers the flags of a log that shows records from a level on, unless a flag says otherwise.
func (c *logConfig) registerFlags(fs *flag.FlagSet, least slog.Level) {
	fs.TextVar(&c.level, "log.level", least, "least level that is logged: DEBUG, INFO, WARN or ERROR")
	fs.TextVar(&c.format, "log.format", autoFormat, "form of the log's lines: text for people, json for programs, or auto: text when standard error is a terminal, else json")
}

// newLogger returns a logger that writes to w, with the trace of the context where there is one. Secrets are left out of everything that it and loggers made of it write.
func (c *logConfig) newLogger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.level}
	var lines slog.Handler = slog.NewJSONHandler(w, options)
	if c.format == textFormat || c.format != jsonFormat && isTerminal(w) {
		lines = slog.NewTextHandler(w, options)
	}
	return slog.New(requestHandler{trace.LogHandler{Handler: redact.NewHandler(lines)}})
}

// requestHandler is a handler of logs that adds the ids of the request to the lines that are written for one.
type requestHandler struct{ slog.Handler }

// Handle passes a record on, with the ids of the request of ctx.
func (h requestHandler) Handle(ctx context.Context, r slog.Record) error {
	ids := access.RequestIDsFrom(ctx)
	if ids.Request != "" {
		r = r.Clone()
		r.AddAttrs(slog.String("request_id", ids.Request))
		if ids.Correlation != "" {
			r.AddAttrs(slog.String("correlation_id", ids.Correlation))
		}
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs returns a handler of records with these attributes.
func (h requestHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return requestHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup returns a handler whose attributes are in a group.
func (h requestHandler) WithGroup(name string) slog.Handler {
	return requestHandler{h.Handler.WithGroup(name)}
}

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	file, is := w.(*os.File)
	return is && term.IsTerminal(int(file.Fd()))
}
