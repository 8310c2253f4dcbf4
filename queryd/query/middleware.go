package query

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events/access"
	"telemetry-pipeline/events/access/fiberguard"
	"telemetry-pipeline/events/trace"
)

// recoverPanic limits a panic to one request, and keeps its text from the client.
func (s *front) recoverPanic(c *fiber.Ctx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.lg.ErrorContext(c.UserContext(), "request panicked", "path", c.Path(), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			c.Response().ResetBody()
			err = fiber.ErrInternalServerError
		}
	}()
	return c.Next()
}

// answerUnreadable is the app's error handler. The only requests that come to it are those that no handler can read; the
// library's text shows their header, which may have a token in it. A large upload has been read up to
// its body, and is answered as every upload is.
func (s *front) answerUnreadable(c *fiber.Ctx, err error) error {
	if isUnreadUpload(c, err) {
		s.app.Handler()(c.Context())
		return nil
	}
	if e, ok := errors.AsType[*fiber.Error](err); ok && e.Code == http.StatusBadRequest {
		err = fiber.NewError(e.Code, "the request cannot be read as HTTP/1.1")
	}
	return s.answerError(c, err)
}

// answerError answers a request with an error.
func (s *front) answerError(c *fiber.Ctx, err error) error {
	s.routes.SetHeaders(c)
	return s.fail(c, err)
}

// checkRequest refuses compressed bodies, which no surface accepts, and attaches the server's context to requests: it
// ends with the server, not when a client disconnects.
func (s *front) checkRequest(c *fiber.Ctx) error {
	if c.Get(fiber.HeaderContentEncoding) != "" && !isUpload(c.Method(), c.Path()) {
		return fiber.NewError(http.StatusUnsupportedMediaType, "request bodies must not be compressed; leave out Content-Encoding")
	}
	c.SetUserContext(trace.WithTraceOf(s.requests, c.UserContext()))
	return c.Next()
}

// limitCaller bounds the requests of one caller that are under way.
func (s *front) limitCaller(c *fiber.Ctx) error {
	req := fiberguard.RequestOf(c)
	leave, err := s.gate.Enter(req, access.PrincipalFrom(c.UserContext()))
	if err != nil {
		return fiberguard.Refuse(c, err)
	}
	defer leave()
	return c.Next()
}
