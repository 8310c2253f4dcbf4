package otlp

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	api "go.opentelemetry.io/otel/trace"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/trace"
	"telemetry-pipeline/events/trace/otlp/otlptest"
)

var someTrace = events.TraceContext{Trace: [16]byte{1}, Span: [8]byte{2}}

// lockedBuffer is a log's output that may be read while it is written.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// open returns the provider of a configuration, and a function that stops it in order.
func open(t *testing.T, c Config, lg *slog.Logger) (*Provider, func()) {
	t.Helper()
	p, err := Open(t.Context(), c, Service{Name: "ingestd", Version: "v1", Instance: "i"}, lg)
	if err != nil || p == nil {
		t.Fatalf("opening %+v: got %v and error %v", c, p, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("running: %v", err)
		}
	})
	t.Cleanup(stop)
	return p, stop
}

// record records a trace of two steps.
func record(tracer *trace.Tracer) {
	ctx, fold := tracer.StartLinked(context.Background(), "fold", time.Now(), []events.TraceContext{someTrace})
	_, save := trace.StartChild(ctx, "save projections")
	save.End(nil)
	fold.End(nil)
}

func TestSpansAreSentAtTheEnd(t *testing.T) {
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
	for _, protocol := range []Protocol{HTTP, GRPC} {
		r := otlptest.NewReceiver()
		address := map[Protocol]func(testing.TB) string{HTTP: r.ListenHTTP, GRPC: r.ListenGRPC}[protocol](t)
		p, stop := open(t, Config{Endpoint: address, Protocol: protocol}, slog.New(slog.DiscardHandler))
		record(p.Tracer())
		stop()
		spans := r.Spans()
		if len(spans) != 2 || spans[0].Name != "save projections" || spans[1].Name != "fold" || spans[0].Parent != spans[1].ID || len(spans[1].Links) != 1 {
			t.Errorf("%s: the receiver got %+v, want both steps", protocol, spans)
		}
		for key, want := range map[string]string{"service.name": "ingestd", "service.version": "v1", "service.instance.id": "i", "deployment.environment.name": "test"} {
			if got := r.Attribute(key); got != want {
				t.Errorf("%s: attribute %s is %q, want %q", protocol, key, got, want)
			}
		}
	}
}

// TestASilentReceiverHoldsUpNothing: a receiver takes requests and never answers. More steps end than may wait, and the process stops.
func TestASilentReceiverHoldsUpNothing(t *testing.T) {
	release := make(chan struct{})
	asked := make(chan struct{}, 1000)
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-release
	}))
	defer silent.Close()
	defer close(release)
	var log lockedBuffer
	p, stop := open(t, Config{Endpoint: silent.URL}, slog.New(slog.NewTextHandler(&log, nil)))
	for range 5 * maxQueued {
		record(p.Tracer()) // returns while no request was answered
	}
	<-asked
	stop() // returns although none ever is
	if text := log.String(); !strings.Contains(text, "the last spans may not have been sent") || !strings.Contains(text, "deadline") {
		t.Errorf("the log is %q, want the reason why spans were lost", text)
	}
}

// TestAnAbsentReceiverIsLogged: nothing listens, errors reach the handler of the process, and the process stops.
func TestAnAbsentReceiverIsLogged(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	var log lockedBuffer
	lg := slog.New(slog.NewTextHandler(&log, nil))
	was := otel.GetErrorHandler()
	otel.SetErrorHandler(NewErrorLog(lg))
	defer otel.SetErrorHandler(was)
	p, stop := open(t, Config{TracesEndpoint: "http://" + ln.Addr().String() + "/v1/traces"}, lg)
	record(p.Tracer())
	stop()
	if text := log.String(); !strings.Contains(text, "spans cannot be sent") && !strings.Contains(text, "the last spans may not have been sent") {
		t.Errorf("the log is %q, want the reason why spans were lost", text)
	}
}

func TestErrorsAreLoggedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		l := NewErrorLog(slog.New(slog.NewTextHandler(&log, nil)))
		for _, wait := range []time.Duration{0, time.Second, 30 * time.Second, time.Minute, time.Second} {
			time.Sleep(wait)
			l.Handle(errors.New("away"))
		}
		if n := strings.Count(log.String(), "err=away"); n != 2 {
			t.Errorf("got %d lines, want 2:\n%s", n, log.String())
		}
	})
}

func TestSampling(t *testing.T) {
	remote := func(flags api.TraceFlags) context.Context {
		return api.ContextWithRemoteSpanContext(t.Context(), api.NewSpanContext(api.SpanContextConfig{TraceID: [16]byte{9}, SpanID: [8]byte{9}, TraceFlags: flags, Remote: true}))
	}
	for _, c := range []struct {
		config                    Config
		begun, unsampled, sampled bool // which requests are recorded: without a caller's trace, and by what that says
		linked                    bool // whether a fold of a sampled upload is recorded
	}{
		{Config{}, false, false, true, true},
		{Config{Ratio: 1}, true, false, true, true},
		{Config{Sampler: Ratio, Ratio: 1}, true, false, true, true},
		{Config{Sampler: All}, true, false, true, true},
		{Config{Sampler: Never, Ratio: 1}, false, false, true, true},
		{Config{Sampler: OwnRatio, Ratio: 1}, true, true, true, true},
		{Config{Sampler: OwnRatio}, false, false, false, true},
		{Config{Sampler: OwnAll}, true, true, true, true},
		{Config{Sampler: OwnNever, Ratio: 1}, false, false, false, false},
	} {
		out := tracetest.NewInMemoryExporter()
		p, err := NewRecording(t.Context(), c.config, Service{Name: "ingestd"}, out)
		if err != nil {
			t.Fatal(err)
		}
		for ctx, want := range map[context.Context]bool{t.Context(): c.begun, remote(0): c.unsampled, remote(api.FlagsSampled): c.sampled} {
			_, span := p.Tracer().StartRequest(ctx)
			if span.IsRecorded() != want {
				t.Errorf("%+v: recorded %t, want %t, in %v", c.config, span.IsRecorded(), want, api.SpanContextFromContext(ctx))
			}
		}
		ctx, fold := p.Tracer().StartLinked(t.Context(), "fold", time.Now(), []events.TraceContext{someTrace})
		_, save := trace.StartChild(ctx, "save projections")
		if fold.IsRecorded() != c.linked || save.IsRecorded() != c.linked {
			t.Errorf("%+v: a fold of a sampled upload is recorded: %t, and its step: %t, want %t", c.config, fold.IsRecorded(), save.IsRecorded(), c.linked)
		}
	}
}

func TestFlags(t *testing.T) {
	for text, want := range map[string]string{
		"": "off",
		"-otel.exporter.otlp.endpoint=http://h:4318":                                                  "http://h:4318/v1/traces",
		"-otel.exporter.otlp.endpoint=https://h/otlp/":                                                "https://h/otlp/v1/traces",
		"-otel.exporter.otlp.endpoint=http://h:4318 -otel.exporter.otlp.traces.endpoint=http://t:9/x": "http://t:9/x",
		"-otel.exporter.otlp.endpoint=http://h:4317 -otel.exporter.otlp.protocol=grpc":                "http://h:4317",
		"-otel.exporter.otlp.endpoint=http://h:4318 -otel.sdk.disabled":                               "off",
		"-otel.traces.sampler.arg=0.1 -otel.traces.sampler=parentbased_always_on":                     "off",
		"-otel.exporter.otlp.endpoint=h:4317":                                                         "flag otel.exporter.otlp.endpoint is no address",
		"-otel.exporter.otlp.traces.endpoint=http://":                                                 "flag otel.exporter.otlp.traces.endpoint is no address",
		"-otel.exporter.otlp.protocol=http/json":                                                      "flag otel.exporter.otlp.protocol is",
		"-otel.exporter.otlp.endpoint=http://h:4317 -otel.exporter.otlp.traces.protocol=grpc":         "http://h:4317",
		"-otel.exporter.otlp.endpoint=http://h:4318 -otel.traces.exporter=none":                       "off",
		"-otel.traces.exporter=console":                                                               "flag otel.traces.exporter is",
		"-otel.traces.sampler=jaeger_remote":                                                          "flag otel.traces.sampler is",
		"-otel.exporter.otlp.traces.protocol=udp":                                                     "flag otel.exporter.otlp.traces.protocol is",
		"-otel.traces.sampler.arg=1.5":                                                                "flag otel.traces.sampler.arg is 1.5",
		"-otel.traces.sampler.arg=NaN":                                                                "flag otel.traces.sampler.arg is NaN",
	} {
		var c Config
		fs := flag.NewFlagSet("", flag.ContinueOnError)
		c.Flags(fs)
		if err := fs.Parse(strings.Fields(text)); err != nil {
			t.Fatal(err)
		}
		p, err := Open(t.Context(), c, Service{}, nil)
		got := c.address()
		switch {
		case err != nil:
			got = err.Error()
		case p == nil:
			got = "off"
		default:
			_ = p.provider.Shutdown(t.Context())
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
	var off *Provider
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := off.Run(ended); err != nil || off.Tracer() != nil {
		t.Errorf("without a receiver: got %v and %s, want no tracer and no error", off.Tracer(), fmt.Sprint(err))
	}
}
