// Package trace records the steps of the pipeline as spans of distributed traces (OpenTelemetry).
//
// In: contexts of requests, the trace contexts of stored events and projections. Out: spans, to the provider of the process
// (events/trace/otlp sends them). Without a provider there is no Tracer: the nil Tracer and the zero Span do nothing, and
// nothing that is stored has a trace context.
//
// Attributes of spans are numbers, fixed words and ids of uploads. A span never has the name of a host, a GPU, a file or a
// caller, a token or the text of an error. Baggage is neither read nor passed on.
package trace
