package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events/access"
	"telemetry-pipeline/queryd/history"
)

// Code is an error's kind as one word for programs; the text beside it is for people.
type Code string

// Codes of error answers.
const (
	BadParameter     Code = "bad_parameter"
	UnknownGPU       Code = "unknown_gpu"
	UnknownHost      Code = "unknown_host"
	UnknownCluster   Code = "unknown_cluster"
	ClusterRequired  Code = "cluster_required" // it can be answered for one cluster only
	Ambiguous        Code = "ambiguous"        // it is in several clusters
	NotFound         Code = "not_found"
	MethodNotAllowed Code = "method_not_allowed"
	ForeignRevision  Code = "foreign_revision"
	WaitTimeout      Code = "wait_timeout"
	NotReady         Code = "not_ready"
	Timeout          Code = "timeout"
	Unavailable      Code = "unavailable"
	TooLarge         Code = "too_large"
	Unsupported      Code = "unsupported"
	NotAcceptable    Code = "not_acceptable"
	BadRequest       Code = "bad_request"
	Moved            Code = "moved"
	Internal         Code = "internal"
)

// Error is an error with its HTTP status. Text is shown to users, Cause only logged.
type Error struct {
	Status int
	Code   Code
	Text   string
	Cause  error
}

// Error returns text and cause.
func (e *Error) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("%s: %v", e.Text, e.Cause)
	}
	return e.Text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// badParameter returns an error that names the parameter and the values it takes.
func badParameter(name, value, takes string) error {
	return &Error{Status: http.StatusBadRequest, Code: BadParameter, Text: fmt.Sprintf("parameter %s=%q: takes %s", name, value, takes)}
}

// classifyError turns any error into an Error. An unknown error becomes an internal one, whose text is not sent.
func classifyError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if refusal, ok := errors.AsType[*access.Refusal](err); ok {
		return &Error{Status: refusal.Status, Code: Code(refusal.Code), Text: refusal.Text}
	}
	if e, ok := errors.AsType[*fiber.Error](err); ok {
		return fromFiber(e)
	}
	switch {
	case errors.Is(err, history.ErrCursor):
		return &Error{http.StatusBadRequest, BadParameter, "parameter cursor: " + history.ErrCursor.Error(), err}
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{http.StatusGatewayTimeout, Timeout, "the answer took too long; ask for a shorter range or a smaller limit", err}
	default:
		return &Error{http.StatusInternalServerError, Internal, "internal error", err}
	}
}

// fromFiber converts an error of the HTTP library.
func fromFiber(e *fiber.Error) *Error {
	codes := map[int]Code{
		http.StatusNotFound:                    NotFound,
		http.StatusMethodNotAllowed:            MethodNotAllowed,
		http.StatusRequestEntityTooLarge:       TooLarge,
		http.StatusRequestHeaderFieldsTooLarge: TooLarge,
		http.StatusUnsupportedMediaType:        Unsupported,
		http.StatusRequestTimeout:              Timeout,
		http.StatusServiceUnavailable:          Unavailable,
	}
	code, ok := codes[e.Code]
	switch {
	case ok:
	case e.Code < http.StatusInternalServerError:
		code = BadRequest
	default:
		return &Error{e.Code, Internal, "internal error", e}
	}
	text := e.Message
	switch e.Code {
	case http.StatusNotFound:
		text = "no such path; see /docs for the paths"
	case http.StatusMethodNotAllowed:
		text = "this path does not take that method; see the Allow header"
	}
	return &Error{Status: e.Code, Code: code, Text: text}
}

// Fail answers a request with an error in the envelope, and logs server errors. It is the ErrorHandler of the app.
func (a *API) Fail(c *fiber.Ctx, err error) error {
	e := classifyError(err)
	if e.Status >= http.StatusInternalServerError {
		a.lg.ErrorContext(c.UserContext(), "request failed", "method", c.Method(), "path", c.Path(), "status", e.Status, "code", e.Code, "err", err)
	}
	if e.Status == http.StatusServiceUnavailable && len(c.Response().Header.Peek(fiber.HeaderRetryAfter)) == 0 {
		c.Set(fiber.HeaderRetryAfter, "1")
	}
	var w writer
	w.Open('{')
	w.Key("success")
	w.Raw("false")
	w.Text("error", e.Text)
	w.Text("code", string(e.Code))
	w.Close('}')
	c.Status(e.Status)
	return w.sendBody(c)
}
