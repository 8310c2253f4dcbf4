// Package fiberguard puts an access.Gate in front of a fiber app.
//
// In: routes, each with the right that it needs, and requests. Out: the requests that are allowed, with their principal in the
// user context. It decides nothing itself.
package fiberguard

import (
	"errors"
	"log/slog"
	"math"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"telemetry-pipeline/events/access"
)

// Router registers routes with the rights that they need. A route cannot be registered without one.
type Router struct {
	app    fiber.Router
	gate   *access.Gate
	rights map[string]access.Right
}

// New returns a router of an app. The app's first handlers must include Shield.
func New(app fiber.Router, gate *access.Gate) *Router {
	return &Router{app: app, gate: gate, rights: map[string]access.Right{}}
}

// Get registers a route for GET and HEAD.
func (r *Router) Get(need access.Right, path string, handlers ...fiber.Handler) {
	r.addRoute(need, http.MethodGet, path, r.admit(need), handlers)
}

// Post registers a route for POST.
func (r *Router) Post(need access.Right, path string, handlers ...fiber.Handler) {
	r.addRoute(need, http.MethodPost, path, r.admit(need), handlers)
}

// Put registers a route for PUT.
func (r *Router) Put(need access.Right, path string, handlers ...fiber.Handler) {
	r.addRoute(need, http.MethodPut, path, r.admit(need), handlers)
}

// Delete registers a route for DELETE.
func (r *Router) Delete(need access.Right, path string, handlers ...fiber.Handler) {
	r.addRoute(need, http.MethodDelete, path, r.admit(need), handlers)
}

// Socket registers a route for GET whose handler opens WebSockets. Callers without credentials are let through to it without a
// principal: the handler must ask them for a token, and for the right, before anything else.
func (r *Router) Socket(need access.Right, path string, handler fiber.Handler) {
	admit := r.admit(need)
	r.addRoute(need, http.MethodGet, path, func(c *fiber.Ctx) error {
		if !isUpgrade(c) || RequestOf(c).HasCredentials() || r.gate.IsOpen() {
			return admit(c)
		}
		return c.Next()
	}, []fiber.Handler{handler})
}

func (r *Router) addRoute(need access.Right, method, path string, admit fiber.Handler, handlers []fiber.Handler) {
	if _, known := r.rights[method+" "+path]; !known { // of two registrations the first one decides
		r.rights[method+" "+path] = need
	}
	r.app.Add(method, path, append([]fiber.Handler{admit}, handlers...)...)
	if method == http.MethodGet {
		r.app.Add(http.MethodHead, path, append([]fiber.Handler{admit}, handlers...)...)
	}
}

// Rights returns the right of each route, by "METHOD path".
func (r *Router) Rights() map[string]access.Right { return r.rights }

// admit returns the handler that lets requests with a right through.
func (r *Router) admit(need access.Right) fiber.Handler {
	return func(c *fiber.Ctx) error {
		p, err := r.gate.Admit(c.UserContext(), RequestOf(c), need)
		if err != nil {
			return Refuse(c, err)
		}
		SetPrincipal(c, p)
		if need != access.Administer && need != access.Operate {
			return c.Next()
		}
		err = c.Next()
		r.recordCall(c, p, err)
		return err
	}
}

// recordCall writes a call that an administrator made to the audit log, with its result.
func (r *Router) recordCall(c *fiber.Ctx, p *access.Principal, err error) {
	req := RequestOf(c)
	r.gate.Record(access.Action{
		RequestID: req.ID, Principal: p, Address: r.gate.Address(req), Method: req.Method, Route: req.Route, Decision: access.Allowed,
		Detail: []slog.Attr{slog.Int("status", c.Response().StatusCode()), slog.Bool("failed", err != nil)},
	})
}

// SetPrincipal makes a principal the request's own.
func SetPrincipal(c *fiber.Ctx, p *access.Principal) {
	if p != nil {
		c.SetUserContext(access.WithPrincipal(c.UserContext(), p))
	}
}

// Challenge is the header WWW-Authenticate of an answer 401.
const Challenge = `Bearer realm="telemetry"`

// Refuse sets the headers that belong to a refusal, and returns it.
func Refuse(c *fiber.Ctx, err error) error {
	refusal, ok := errors.AsType[*access.Refusal](err)
	if !ok {
		return err
	}
	if refusal.Status == http.StatusUnauthorized {
		c.Set(fiber.HeaderWWWAuthenticate, Challenge)
	}
	if refusal.RetryAfter > 0 {
		c.Set(fiber.HeaderRetryAfter, strconv.Itoa(int(math.Ceil(refusal.RetryAfter.Seconds()))))
	}
	return err
}

// requestKey is the key under which a request is kept in its Locals.
type requestKey struct{}

// RequestOf returns the request for a gate; the same one for all handlers.
func RequestOf(c *fiber.Ctx) *access.Request {
	if r, ok := c.Locals(requestKey{}).(*access.Request); ok {
		r.Route = c.Route().Path
		return r
	}
	r := FromHeader(c.Context())
	r.Route = c.Route().Path
	c.Locals(requestKey{}, r)
	return r
}

// FromHeader returns the request that a header describes, without a route. Its texts are copies.
func FromHeader(ctx *fasthttp.RequestCtx) *access.Request {
	h := &ctx.Request.Header
	r := &access.Request{
		Method: string(h.Method()), Host: string(h.Host()),
		Origin: string(h.Peek(fiber.HeaderOrigin)), FetchSite: string(h.Peek("Sec-Fetch-Site")),
		Upgrade:     len(h.Peek(fiber.HeaderUpgrade)) > 0,
		Credentials: access.Credentials{Token: access.BearerToken(string(h.Peek(fiber.HeaderAuthorization))), TLS: ctx.TLSConnectionState()},
		ID:          access.RequestID(string(h.Peek(fiber.HeaderXRequestID))),
	}
	if peer, ok := netip.AddrFromSlice(ctx.RemoteIP()); ok {
		r.Peer = peer
	}
	for _, value := range h.PeekAll(fiber.HeaderXForwardedFor) {
		r.Forwarded = append(r.Forwarded, string(value))
	}
	r.Proxied = access.IsProxied(func(name string) bool { return len(h.PeekAll(name)) > 0 })
	return r
}

// isUpgrade reports whether a request asks for a WebSocket in the one way in which a server may open it. A part of these
// headers must not lead to a handler that also answers other requests.
func isUpgrade(c *fiber.Ctx) bool {
	connection := strings.Split(c.Get(fiber.HeaderConnection), ",")
	return c.Method() == http.MethodGet && strings.EqualFold(c.Get(fiber.HeaderUpgrade), "websocket") &&
		slices.ContainsFunc(connection, func(word string) bool { return strings.EqualFold(strings.TrimSpace(word), "upgrade") })
}
