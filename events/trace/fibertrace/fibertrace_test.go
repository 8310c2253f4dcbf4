package fibertrace

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"telemetry-pipeline/events/trace"
)

const (
	sampled   = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
)

// serve starts a server behind the middleware. It returns its URL and a function that stops it and returns its spans. Traces that
// begin in the server are not sampled.
func serve(t *testing.T, routes func(app *fiber.App)) (base string, end func() tracetest.SpanStubs) {
	t.Helper()
	out := tracetest.NewInMemoryExporter()
	provider := sdk.NewTracerProvider(sdk.WithSyncer(out), sdk.WithSampler(sdk.ParentBased(sdk.NeverSample())))
	app := fiber.New(fiber.Config{Immutable: true, StreamRequestBody: true, DisableStartupMessage: true})
	app.Use(Requests(trace.New(provider)))
	routes(app)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- app.Listener(ln) }()
	return "http://" + ln.Addr().String(), func() tracetest.SpanStubs {
		if err := errors.Join(app.ShutdownWithTimeout(10*time.Second), <-ended); err != nil {
			t.Error(err)
		}
		return out.GetSpans()
	}
}

// ask sends a request and returns the status and the text of its answer.
func ask(t *testing.T, method, address, traceparent string, body io.Reader) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, body)
	if err != nil {
		t.Fatal(err)
	}
	if traceparent != "" {
		req.Header.Set("traceparent", traceparent)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func traceOf(c *fiber.Ctx) error { return c.SendString(trace.ContextOf(c.UserContext()).String()) }

func TestRequestsContinueTheTraceOfTheirCaller(t *testing.T) {
	base, end := serve(t, func(app *fiber.App) { app.Get("/gpus/:id", traceOf) })
	_, in := ask(t, http.MethodGet, base+"/gpus/GPU-1", sampled, nil)
	if !strings.HasPrefix(in, "00-0af7651916cd43dd8448eb211c80319c-") || in == sampled {
		t.Errorf("the handler is in %q, want a step of the caller's trace", in)
	}
	for _, header := range []string{
		"", unsampled, "garbage", sampled + "-more", strings.ToUpper(sampled), "ff" + sampled[2:], sampled[:54],
		"00-00000000000000000000000000000000-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", strings.Repeat("0", 1000),
	} {
		if status, in := ask(t, http.MethodGet, base+"/gpus/GPU-1", header, nil); status != http.StatusOK || in != "" {
			t.Errorf("traceparent %.60q: got %d in trace %q, want an answer without one", header, status, in)
		}
	}
	spans := end()
	if len(spans) != 1 {
		t.Fatalf("got %d spans, want the one of the sampled trace", len(spans))
	}
	s := spans[0]
	if got := fmt.Sprintf("%s %s %s %s", s.Name, s.SpanContext.TraceID(), s.Parent.SpanID(), s.SpanKind); got != "GET /gpus/:id 0af7651916cd43dd8448eb211c80319c b7ad6b7169203331 server" {
		t.Errorf("got span %s", got)
	}
	want := map[attribute.Key]string{"http.request.method": "GET", "http.response.status_code": "200", "http.route": "/gpus/:id"}
	for _, a := range s.Attributes {
		if a.Value.String() != want[a.Key] {
			t.Errorf("attribute %s is %s, want %q", a.Key, a.Value.String(), want[a.Key])
		}
	}
	if len(s.Attributes) != len(want) {
		t.Errorf("got attributes %v, want %v", s.Attributes, want)
	}
}

func TestStatusOfASpanIsTheAnswers(t *testing.T) {
	base, end := serve(t, func(app *fiber.App) {
		app.Get("/refused", func(*fiber.Ctx) error { return fiber.NewError(http.StatusTeapot, "no") })
		app.Get("/failed", func(*fiber.Ctx) error { return errors.New("host node-7 is away") })
	})
	for path, want := range map[string]int{"/refused": http.StatusTeapot, "/failed": http.StatusInternalServerError, "/secret/GPU-1": http.StatusNotFound} {
		if status, _ := ask(t, http.MethodGet, base+path, sampled, nil); status != want {
			t.Errorf("GET %s: got %d, want %d", path, status, want)
		}
	}
	got := map[string]string{}
	for _, s := range end() {
		for _, a := range s.Attributes {
			if a.Key == "http.response.status_code" {
				got[s.Name] = a.Value.String()
			}
		}
		if failed := s.Status.Code == codes.Error; failed != (s.Name == "GET /failed") || s.Status.Description != "" {
			t.Errorf("%s has status %+v", s.Name, s.Status)
		}
	}
	want := map[string]string{"GET /refused": "418", "GET /failed": "500", "GET": "404"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestBodiesAreStreamed: the handler reads the beginning of an upload before the client sends its end, and the client reads the first
// event of an answer before the handler writes the second.
func TestBodiesAreStreamed(t *testing.T) {
	began, proceed := make(chan string), make(chan struct{})
	base, end := serve(t, func(app *fiber.App) {
		app.Post("/upload", func(c *fiber.Ctx) error {
			text := bufio.NewReader(c.Context().RequestBodyStream())
			line, err := text.ReadString('\n')
			if err != nil {
				return err
			}
			began <- line
			rest, err := io.ReadAll(text)
			if err != nil {
				return err
			}
			return c.SendString(line + string(rest))
		})
		app.Get("/events", func(c *fiber.Ctx) error {
			c.Set(fiber.HeaderContentType, "text/event-stream")
			c.Context().SetBodyStreamWriter(func(w *bufio.Writer) {
				fmt.Fprint(w, "data: 1\n")
				_ = w.Flush()
				<-proceed
				fmt.Fprint(w, "data: 2\n")
			})
			return nil
		})
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	body, client := io.Pipe()
	answered := make(chan string, 1)
	go func() {
		_, text := ask(t, http.MethodPost, base+"/upload", sampled, body)
		answered <- text
	}()
	if _, err := client.Write([]byte("begin\n")); err != nil {
		t.Fatal(err)
	}
	select {
	case line := <-began:
		if line != "begin\n" {
			t.Errorf("the handler read %q", line)
		}
	case <-ctx.Done():
		t.Fatal("the handler waits for the end of the upload")
	}
	if _, err := client.Write([]byte("end")); err != nil {
		t.Fatal(err)
	}
	client.Close()
	if text := <-answered; text != "begin\nend" {
		t.Errorf("the upload was answered %q", text)
	}

	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("traceparent", sampled)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text := bufio.NewReader(resp.Body)
	if line, err := text.ReadString('\n'); err != nil || line != "data: 1\n" {
		t.Fatalf("the first event is %q (%v)", line, err)
	}
	close(proceed)
	if rest, err := io.ReadAll(text); err != nil || string(rest) != "data: 2\n" {
		t.Errorf("the rest is %q (%v)", rest, err)
	}
	if spans := end(); len(spans) != 2 {
		t.Errorf("got %d spans, want 2", len(spans))
	}
}
