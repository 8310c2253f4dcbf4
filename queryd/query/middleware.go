package query

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"

	"github.com/gofiber/fiber/v2"
)

// recoverPanic limits a panic to one request, and keeps its text from the client.
func (s *Server) recoverPanic(c *fiber.Ctx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.lg.Error("request panicked", "path", c.Path(), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			c.Response().ResetBody()
			err = fiber.ErrInternalServerError
		}
	}()
	return c.Next()
}

// checkRequest refuses compressed bodies, which no surface accepts, and attaches the server's context to requests: it
// ends with the server, not when a client disconnects.
func (s *Server) checkRequest(c *fiber.Ctx) error {
	if c.Get(fiber.HeaderContentEncoding) != "" {
		return fiber.NewError(http.StatusUnsupportedMediaType, "request bodies must not be compressed; leave out Content-Encoding")
	}
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	c.SetUserContext(s.requests)
	return c.Next()
}

// allowOrigin lets pages of the configured origins read answers. Credentials are never allowed: there are none.
func (s *Server) allowOrigin(c *fiber.Ctx) error {
	origin := c.Get(fiber.HeaderOrigin)
	if origin == "" || len(s.origins) == 0 {
		return c.Next()
	}
	any := slices.Contains(s.origins, "*")
	if !any {
		c.Vary(fiber.HeaderOrigin)
	}
	if !any && !slices.Contains(s.origins, origin) {
		return c.Next()
	}
	allowed := origin
	if any {
		allowed = "*"
	}
	c.Set(fiber.HeaderAccessControlAllowOrigin, allowed)
	c.Set(fiber.HeaderAccessControlExposeHeaders, fiber.HeaderRetryAfter+", X-As-Of, X-Next-Cursor")
	if c.Method() != http.MethodOptions || c.Get(fiber.HeaderAccessControlRequestMethod) == "" {
		return c.Next()
	}
	c.Set(fiber.HeaderAccessControlAllowMethods, "GET, HEAD, POST, OPTIONS")
	c.Set(fiber.HeaderAccessControlAllowHeaders, "Accept, Content-Type")
	c.Set(fiber.HeaderAccessControlMaxAge, "600")
	return c.SendStatus(http.StatusNoContent)
}
