package socket

import (
	"context"
	"errors"
	"net/netip"

	"telemetry-pipeline/events/access"
)

// gate decides who may do what (access.Gate).
type gate interface {
	// Admit returns the principal of a request that needs a right, or an *access.Refusal.
	Admit(ctx context.Context, r *access.Request, need access.Right) (*access.Principal, error)
	// Address returns the address of a request's client.
	Address(r *access.Request) netip.Addr
	// Bind returns a context that ends with access.ErrExpired or access.ErrRevoked when the credentials do.
	Bind(ctx context.Context, p *access.Principal) (bound context.Context, end func())
}

// The client of a connection is known by the request that opened it, or by a token that it sends before anything else. Every
// operation runs in the context of the caller: it has the principal, and so the scope, and it ends when the credentials
// expire or are revoked.

// logIn makes the holder of a token the caller of the connection. Only the reader calls it.
func (c *conn) logIn(token string) error {
	r := *c.request.access
	r.Token, r.TLS = token, nil
	r.Route += " " + c.protocol
	p, err := c.server.cfg.Gate.Admit(c.ctx, &r, access.Read)
	if err != nil {
		return closeForRefusal(err)
	}
	return c.setCaller(p)
}

// setCaller makes a principal the caller of the connection.
func (c *conn) setCaller(p *access.Principal) error {
	if c.share = c.server.conns.addCaller(access.CallerKey(p, c.request.address)); c.share == nil {
		return closeWith(codeTooMany, "you have too many WebSocket connections; close some")
	}
	if name := c.request.cluster; name != "" && c.server.cfg.Clusters.CheckVisible(access.WithPrincipal(c.ctx, p), name) != nil {
		return closeWith(codeBadMessage, "no cluster %.60q", name)
	}
	bound, end := c.server.cfg.Gate.Bind(c.ctx, p)
	c.caller, c.endCaller = bound, end
	context.AfterFunc(bound, func() {
		if why := context.Cause(bound); errors.Is(why, access.ErrExpired) || errors.Is(why, access.ErrRevoked) {
			c.cancel(closeWith(codeUnauthorized, "%v", why))
		}
	})
	return nil
}

// isKnown reports whether the connection has a caller.
func (c *conn) isKnown() bool { return c.caller != nil }

// releaseCaller forgets the caller at the end of the connection.
func (c *conn) releaseCaller() {
	if c.endCaller != nil {
		c.endCaller()
	}
}

// closeForRefusal returns the closing for an error of the gate.
func closeForRefusal(err error) *closing {
	refusal, ok := errors.AsType[*access.Refusal](err)
	if !ok {
		return closeWith(codeInternal, "Internal server error")
	}
	return closeWith(refusal.CloseCode(), "%s", refusal.Text)
}
