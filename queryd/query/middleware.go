package query

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"

	"github.com/gofiber/fiber/v2"
)

// survive makes a panic the end of one request only, and keeps its text from the client.
func (s *Server) survive(c *fiber.Ctx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.lg.Error("request panicked", "path", c.Path(), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			c.Response().ResetBody()
			err = fiber.ErrInternalServerError
		}
	}()
	return c.Next()
}

// guard refuses what no surface takes, and gives requests the server's context: a client that goes away is
// not noticed, the server's end is.
func (s *Server) guard(c *fiber.Ctx) error {
	if c.Get(fiber.HeaderContentEncoding) != "" {
		return fiber.NewError(http.StatusUnsupportedMediaType, "request bodies must not be compressed; leave out Content-Encoding")
	}
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	c.SetUserContext(s.requests)
	return c.Next()
}

// cors lets pages of the configured origins read answers. Credentials are never allowed: there are none.
func (s *Server) cors(c *fiber.Ctx) error {
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
