package otlp

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"

	"telemetry-pipeline/events/trace"
)

// Bounds of the spans that wait for the receiver, and of their content.
const (
	maxQueued     = 2048
	maxBatch      = 512
	maxAttributes = 16
	exportTimeout = 3 * time.Second
)

// Service names a process in its traces.
type Service struct{ Name, Version, Instance string }

// Provider records the spans of a process. The nil Provider records nothing.
type Provider struct {
	provider *sdk.TracerProvider
	lg       *slog.Logger
}

// Open returns the provider of a process, nil when no receiver is configured. Its errors are of settings: it does not connect.
func Open(ctx context.Context, c Config, of Service, lg *slog.Logger) (*Provider, error) {
	if err := c.checkFlags(); err != nil || c.address() == "" {
		return nil, err
	}
	out, err := openExporter(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("opening the sender of traces: %w", err)
	}
	batches := sdk.NewBatchSpanProcessor(out, sdk.WithMaxQueueSize(maxQueued), sdk.WithMaxExportBatchSize(maxBatch), sdk.WithExportTimeout(exportTimeout))
	return newProvider(ctx, c, of, batches, lg)
}

// NewRecording returns a provider that hands each span to an exporter at its end.
func NewRecording(ctx context.Context, c Config, of Service, out sdk.SpanExporter) (*Provider, error) {
	return newProvider(ctx, c, of, sdk.NewSimpleSpanProcessor(out), slog.New(slog.DiscardHandler))
}

func openExporter(ctx context.Context, c Config) (*otlptrace.Exporter, error) {
	if c.protocol() == GRPC {
		return otlptracegrpc.New(ctx, otlptracegrpc.WithEndpointURL(c.address()), otlptracegrpc.WithTimeout(exportTimeout))
	}
	return otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(c.address()), otlptracehttp.WithTimeout(exportTimeout))
}

func newProvider(ctx context.Context, c Config, of Service, out sdk.SpanProcessor, lg *slog.Logger) (*Provider, error) {
	limits := sdk.NewSpanLimits()
	limits.AttributeCountLimit, limits.LinkCountLimit = maxAttributes, trace.MaxLinks
	described, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", of.Name),
		attribute.String("service.version", of.Version), attribute.String("service.instance.id", of.Instance)), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("reading OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	p := sdk.NewTracerProvider(
		sdk.WithSampler(c.newSampler()),
		sdk.WithRawSpanLimits(limits), sdk.WithSpanProcessor(out), sdk.WithResource(described))
	return &Provider{p, lg}, nil
}

// Tracer returns the tracer of the process, nil of the nil Provider.
func (p *Provider) Tracer() *trace.Tracer {
	if p == nil {
		return nil
	}
	return trace.New(p.provider)
}

// Run sends spans until ctx ends, then the spans that still wait, for a few seconds at most. Spans that cannot be sent are no error
// of the process: they are logged.
func (p *Provider) Run(ctx context.Context) error {
	<-ctx.Done()
	if p == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), exportTimeout)
	defer cancel()
	if err := p.provider.Shutdown(ctx); err != nil {
		p.lg.Warn("the last spans may not have been sent", "err", err)
	}
	return nil
}

// rootSampler samples the traces that link to a sampled one, and a share of the others.
type rootSampler struct{ ratio sdk.Sampler }

// ShouldSample decides on a trace that begins here.
func (s rootSampler) ShouldSample(p sdk.SamplingParameters) sdk.SamplingResult {
	for _, link := range p.Links {
		if link.SpanContext.IsSampled() {
			return sdk.SamplingResult{Decision: sdk.RecordAndSample}
		}
	}
	return s.ratio.ShouldSample(p)
}

// Description returns the sampler's name.
func (s rootSampler) Description() string { return "LinkedOr{" + s.ratio.Description() + "}" }
