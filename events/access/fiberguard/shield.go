package fiberguard

import (
	"bytes"
	"net/http"
	"strings"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events/access"
)

// HeaderCorrelationID is the header whose id goes through a chain of requests.
const HeaderCorrelationID = "X-Correlation-ID"

// exposedHeaders are the headers of answers that pages of other origins may read.
const exposedHeaders = "Retry-After, X-As-Of, X-Next-Cursor, X-Request-ID, X-Correlation-ID, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset"

// Shield is the handler in front of all routes, in open mode too: it refuses requests that pages of other sites make, answers
// preflights, and sets the headers that keep an answer from being misused. A handler may replace the content security
// policy.
func (r *Router) Shield(c *fiber.Ctx) error {
	r.SetHeaders(c)
	req := RequestOf(c)
	if isFolded(c.Request().Header.RawHeaders()) {
		c.Context().SetConnectionClose() // what follows may be a request or not
		return r.gate.Reject(req, &access.Refusal{Status: http.StatusBadRequest, Code: access.BadRequest, Text: "a header goes on in a second line; write each in one line"})
	}
	if err := r.gate.CheckSite(req); err != nil {
		return Refuse(c, err)
	}
	if req.Method == http.MethodOptions && c.Get(fiber.HeaderAccessControlRequestMethod) != "" {
		return c.SendStatus(http.StatusNoContent) // without the headers of allowOrigin a browser takes it for a refusal
	}
	return c.Next()
}

// SetHeaders sets the headers that keep an answer from being misused. An app's error handler calls it too: requests that cannot be
// read reach no other handler.
func (r *Router) SetHeaders(c *fiber.Ctx) {
	req := RequestOf(c)
	SetRequestID(c, req.ID)
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	c.Set(fiber.HeaderXFrameOptions, "DENY")
	c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	c.Set(fiber.HeaderContentSecurityPolicy, "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	c.Set("Cross-Origin-Resource-Policy", "same-origin")
	if req.TLS != nil && r.gate.WantsHSTS() {
		c.Set(fiber.HeaderStrictTransportSecurity, "max-age=31536000")
	}
	r.allowOrigin(c, req.Origin)
}

// SetRequestID makes an id the one of the request: in the answer, in the audit log, and in the context, from which the lines of the log get it
// and the correlation id that the client sent.
func SetRequestID(c *fiber.Ctx, id string) {
	RequestOf(c).ID = id
	c.Set(fiber.HeaderXRequestID, id)
	correlation := access.CorrelationID(strings.Clone(c.Get(HeaderCorrelationID)))
	if correlation != "" {
		c.Set(HeaderCorrelationID, correlation)
	}
	c.SetUserContext(access.WithRequestIDs(c.UserContext(), access.RequestIDs{Request: id, Correlation: correlation}))
}

// isFolded reports whether a line of a header continues the one before. Proxies read such lines differently, so that one
// request may be two for the server behind (RFC 9112, section 5.2).
func isFolded(header []byte) bool {
	return bytes.Contains(header, []byte("\n ")) || bytes.Contains(header, []byte("\n\t"))
}

// allowOrigin lets pages of the configured origins read the answer. Credentials are never allowed: tokens are sent by programs,
// not by browsers of themselves.
func (r *Router) allowOrigin(c *fiber.Ctx, origin string) {
	c.Vary(fiber.HeaderOrigin) // also without an origin: a cache must not give that answer to a page of one
	if origin == "" || !r.gate.AllowsOrigin(origin) {
		return
	}
	c.Set(fiber.HeaderAccessControlAllowOrigin, origin)
	c.Set("Cross-Origin-Resource-Policy", "cross-origin")
	c.Set(fiber.HeaderAccessControlExposeHeaders, exposedHeaders)
	if c.Method() != http.MethodOptions || c.Get(fiber.HeaderAccessControlRequestMethod) == "" {
		return
	}
	c.Set(fiber.HeaderAccessControlAllowMethods, "GET, HEAD, POST, PUT, DELETE, OPTIONS")
	c.Set(fiber.HeaderAccessControlAllowHeaders, "Accept, Authorization, Content-Disposition, Content-Type, X-Request-ID, X-Correlation-ID")
	c.Set(fiber.HeaderAccessControlMaxAge, "600")
}
