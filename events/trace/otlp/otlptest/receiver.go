// Package otlptest is a receiver of traces for tests: it takes requests of OTLP over HTTP and gRPC, and keeps their spans.
package otlptest

import (
	"context"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	wire "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// Span is a received span. Ids are hexadecimal.
type Span struct {
	Service, Name     string
	Trace, ID, Parent string
	Links             []string // ids of the spans that it links to
}

// Receiver keeps the spans that it receives. It is safe for concurrent use.
type Receiver struct {
	collector.UnimplementedTraceServiceServer

	mu         sync.Mutex
	spans      []Span
	attributes map[string]string // of the processes that sent them
}

// NewReceiver returns a receiver that does not listen yet.
func NewReceiver() *Receiver { return &Receiver{attributes: map[string]string{}} }

// Export takes a request over gRPC.
func (r *Receiver) Export(_ context.Context, req *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, of := range req.ResourceSpans {
		service := ""
		for _, a := range of.Resource.GetAttributes() {
			r.attributes[a.Key] = a.Value.GetStringValue()
			if a.Key == "service.name" {
				service = a.Value.GetStringValue()
			}
		}
		for _, in := range of.ScopeSpans {
			for _, s := range in.Spans {
				r.spans = append(r.spans, spanOf(service, s))
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

func spanOf(service string, s *wire.Span) Span {
	out := Span{Service: service, Name: s.Name, Trace: hex.EncodeToString(s.TraceId), ID: hex.EncodeToString(s.SpanId), Parent: hex.EncodeToString(s.ParentSpanId)}
	for _, l := range s.Links {
		out.Links = append(out.Links, hex.EncodeToString(l.SpanId))
	}
	return out
}

// Spans returns the spans that were received until now.
func (r *Receiver) Spans() []Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Span(nil), r.spans...)
}

// Attribute returns an attribute of the processes that sent spans, "" if none has it.
func (r *Receiver) Attribute(key string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.attributes[key]
}

// ListenHTTP receives over HTTP until tb ends, and returns the base address.
func (r *Receiver) ListenHTTP(tb testing.TB) string {
	tb.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", r.answerHTTP)
	s := httptest.NewServer(mux)
	tb.Cleanup(s.Close)
	return s.URL
}

func (r *Receiver) answerHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	var sent collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &sent)
	}
	if err != nil || req.Header.Get("Content-Type") != "application/x-protobuf" {
		http.Error(w, "this is no request of OTLP in protobuf", http.StatusBadRequest)
		return
	}
	answer, err := r.Export(req.Context(), &sent)
	if err == nil {
		body, err = proto.Marshal(answer)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
	_, _ = w.Write(body) // a sender that has left needs no answer
}

// ListenGRPC receives over gRPC until tb ends, and returns the address.
func (r *Receiver) ListenGRPC(tb testing.TB) string {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s := grpc.NewServer()
	collector.RegisterTraceServiceServer(s, r)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ln) }()
	tb.Cleanup(func() {
		s.Stop()
		if err := <-ended; err != nil {
			tb.Error(err)
		}
	})
	return "http://" + ln.Addr().String()
}
