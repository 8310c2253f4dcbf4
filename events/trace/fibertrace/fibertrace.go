// Package fibertrace records the requests of fiber's servers as spans.
//
// In: requests, with the W3C headers traceparent and tracestate. Out: spans of package trace, and their context in the request's
// user context. It reads no body: uploads, event streams and WebSockets pass through it as they come.
package fibertrace

import (
	"context"
	"net/http"
	"strings"

	"github.com/gofiber/fiber/v2"
	"go.opentelemetry.io/otel/propagation"

	"telemetry-pipeline/events/trace"
)

// Requests returns the middleware that records each sampled request as a step of its caller's trace, or of a new one. A step ends
// with its handlers: an answer that is streamed is sent after it. Register it first.
func Requests(t *trace.Tracer) fiber.Handler {
	if t == nil {
		return func(c *fiber.Ctx) error { return c.Next() }
	}
	return func(c *fiber.Ctx) error {
		ctx, span := t.StartRequest(callersTrace(c))
		if !span.IsRecorded() {
			return c.Next()
		}
		defer span.End(nil)
		c.SetUserContext(ctx)
		if err := c.Next(); err != nil {
			if err := c.App().ErrorHandler(c, err); err != nil { // else the status is not known yet
				span.Fail()
				return err
			}
		}
		describeRequest(span, c)
		return nil
	}
}

// describeRequest sets the name of a request's step and the attributes that OpenTelemetry defines for it, with copies of texts.
func describeRequest(span trace.Span, c *fiber.Ctx) {
	method, route, status := strings.Clone(c.Method()), strings.Clone(c.Route().Path), c.Response().StatusCode()
	span.SetText("http.request.method", method)
	span.SetCount("http.response.status_code", status)
	if status >= http.StatusInternalServerError {
		span.Fail()
	}
	if route == "/" && (status == http.StatusNotFound || status == http.StatusMethodNotAllowed) {
		span.SetName(method) // no route matched
		return
	}
	span.SetText("http.route", route)
	span.SetName(method + " " + route)
}

// callersTrace returns the request's context in the trace that its headers name, if they do. Texts are copied, since the server
// uses their memory again.
func callersTrace(c *fiber.Ctx) context.Context {
	const parent, state = "traceparent", "tracestate"
	if c.Get(parent) == "" {
		return c.UserContext()
	}
	return propagation.TraceContext{}.Extract(c.UserContext(), propagation.MapCarrier{parent: strings.Clone(c.Get(parent)), state: strings.Clone(c.Get(state))})
}
