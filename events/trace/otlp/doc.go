// Package otlp sends the spans of a process to a collector of traces by OTLP, over HTTP or gRPC.
//
// In: settings by their standard names (OTEL_…), spans of package trace. Out: requests to the receiver. Without an address of a
// receiver there is no Provider. A slow or absent receiver never holds up work: spans wait in a bounded queue, and those that find
// it full are dropped. At its end the Provider sends the spans that wait, within a few seconds.
package otlp
