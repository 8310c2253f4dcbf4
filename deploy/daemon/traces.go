package daemon

import (
	"context"
	"crypto/rand"
	"log/slog"

	"go.opentelemetry.io/otel"

	"telemetry-pipeline/events/build"
	"telemetry-pipeline/events/trace/otlp"
)

// openTraces returns the provider of spans of a process, nil unless spans are sent. The instance has a random name: names of hosts
// stay out of traces. The library reports errors to one handler of the process, which logs them from here on.
func openTraces(ctx context.Context, c otlp.Config, name string, lg *slog.Logger) (*otlp.Provider, error) {
	p, err := otlp.Open(ctx, c, otlp.Service{Name: name, Version: build.Version(), Instance: rand.Text()}, lg)
	if err != nil {
		return nil, &UsageError{err.Error()}
	}
	if p != nil {
		otel.SetErrorHandler(otlp.NewErrorLog(lg))
	}
	return p, nil
}
