package access

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Gate decides about the requests of one listener. It is immutable and safe for concurrent use.
type Gate struct {
	*Guard
	loopback bool // only this machine reaches the listener
	names    []string
	origins  []string
}

// OpenGate returns the gate of a listener, which loopback says only this machine reaches. A nil guard is in open mode. It returns
// ErrExposed for a listener that other machines reach although nobody said who may use it; flagName and host are for the error.
func OpenGate(guard *Guard, flagName, host string, loopback bool, lg *slog.Logger) (*Gate, error) {
	if guard == nil {
		var err error
		if guard, err = New(Config{}, "", lg); err != nil {
			return nil, err
		}
	}
	if err := guard.CheckExposed(flagName, host, loopback); err != nil {
		return nil, err
	}
	return guard.NewGate(loopback), nil
}

// NewGate returns the gate of a listener; loopback says that only this machine reaches it.
func (g *Guard) NewGate(loopback bool) *Gate {
	return &Gate{Guard: g, loopback: loopback, names: splitList(strings.ToLower(g.cfg.Hosts)), origins: splitList(g.cfg.Origins)}
}

// Request is the part of an HTTP request on which the decision depends. Texts may share memory with the request.
type Request struct {
	Method, Route string // the route is the template of the path
	Host          string
	Origin        string
	FetchSite     string // header Sec-Fetch-Site
	Upgrade       bool   // it asks for a WebSocket
	Credentials
	Peer      netip.Addr // of the connection
	Forwarded []string   // headers X-Forwarded-For
	Proxied   bool       // a header says that a proxy sent it
	ID        string
}

// IsProxied reports whether a header of a request says that a proxy sent it; has reports whether there is a header, of any value:
// a client may send an empty one, behind which a proxy puts its own.
func IsProxied(has func(name string) bool) bool {
	return slices.ContainsFunc([]string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via"}, has)
}

// Address returns the address of the client: the last one of X-Forwarded-For that is not of a trusted proxy, if a trusted proxy
// sent the request, else the peer's.
func (g *Guard) Address(r *Request) netip.Addr {
	address := r.Peer.Unmap().WithZone("")
	if len(g.proxies) == 0 || len(r.Forwarded) == 0 {
		return address
	}
	hops := strings.Split(strings.Join(r.Forwarded, ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !g.isProxy(address) {
			break
		}
		next, ok := parseHop(strings.TrimSpace(hop))
		if !ok {
			break
		}
		address = next
	}
	return address
}

// parseHop parses an address of X-Forwarded-For, which may have a port.
func parseHop(hop string) (netip.Addr, bool) {
	address, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(hop, "["), "]"))
	if err != nil {
		withPort, err := netip.ParseAddrPort(hop)
		if err != nil {
			return netip.Addr{}, false
		}
		address = withPort.Addr()
	}
	return address.Unmap().WithZone(""), true
}

func (g *Guard) isProxy(address netip.Addr) bool {
	return slices.ContainsFunc(g.proxies, func(p netip.Prefix) bool { return p.Contains(address) })
}

// CheckSite refuses requests that a page of another site makes, and on a listener of this machine only requests for other names
// than its own: a page may have its name resolved to this machine. It holds in open mode as well.
func (g *Gate) CheckSite(r *Request) error {
	if err := g.checkSite(r); err != nil {
		return g.refuse(r, nil, err)
	}
	return nil
}

func (g *Gate) checkSite(r *Request) *Refusal {
	if g.loopback && !g.isOwnName(r.Host) {
		return &Refusal{Status: http.StatusMisdirectedRequest, Code: WrongHost,
			Text: "this server is called by localhost, 127.0.0.1 or [::1]; flag access.hosts takes other names for it"}
	}
	if isSafe(r.Method) && !r.Upgrade {
		return nil
	}
	if r.Origin != "" && slices.Contains(g.origins, r.Origin) {
		return nil
	}
	if r.isForeign() || r.Origin != "" && !isOrigin(r.Origin, r.Host) {
		return &Refusal{Status: http.StatusForbidden, Code: CrossSite, Text: "pages of other sites may not do this; flag access.origins lets an origin in"}
	}
	return nil
}

// isForeign reports whether a browser says that another site made the request. Values that are not known count as foreign.
func (r *Request) isForeign() bool {
	return r.FetchSite != "" && r.FetchSite != "same-origin" && r.FetchSite != "none"
}

// isSafe reports whether a method changes nothing.
func isSafe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// isOwnName reports whether the host of a request is this machine's. Clients that name none are no browsers.
func (g *Gate) isOwnName(host string) bool {
	if host == "" {
		return true
	}
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	name = strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(name, "["), "]"))
	if address, err := netip.ParseAddr(name); err == nil {
		return address.Zone() == "" && address.Unmap().IsLoopback() || slices.Contains(g.names, name)
	}
	name = strings.TrimSuffix(name, ".")
	return name == "localhost" || slices.Contains(g.names, name)
}

// isOrigin reports whether an origin is of the host that is called.
func isOrigin(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && withoutPort(u.Host, u.Scheme) == withoutPort(host, u.Scheme)
}

// withoutPort returns a host in lower case without the default port of a scheme.
func withoutPort(host, scheme string) string {
	host = strings.ToLower(host)
	switch scheme {
	case "http":
		return strings.TrimSuffix(host, ":80")
	case "https":
		return strings.TrimSuffix(host, ":443")
	}
	return host
}

// AllowsOrigin reports whether pages of an origin of another site may read answers.
func (g *Gate) AllowsOrigin(origin string) bool {
	return !g.cfg.NoCORS && slices.Contains(g.origins, origin)
}

// HasCORS reports whether pages of some origins of other sites may read answers.
func (g *Gate) HasCORS() bool { return !g.cfg.NoCORS && len(g.origins) > 0 }

// WantsHSTS reports whether answers over TLS tell browsers to stay with it.
func (g *Gate) WantsHSTS() bool { return g.cfg.HSTS }

// Admit returns the principal of a request that needs a right, nil for a right that needs none. It returns a *Refusal if the caller
// is not known or may not; refusals are counted, and recorded in the audit log.
func (g *Gate) Admit(ctx context.Context, r *Request, need Right) (*Principal, error) {
	p, err := g.admit(ctx, r, need)
	if err != nil {
		return nil, g.refuse(r, p, err)
	}
	return p, nil
}

func (g *Gate) admit(ctx context.Context, r *Request, need Right) (*Principal, error) {
	if need == Public {
		if g.IsOpen() {
			return g.everyone, nil
		}
		return nil, nil
	}
	local := need == Debug && g.isLocal(r)
	p, err := g.Identify(ctx, r.Credentials, g.Address(r))
	if local && err != nil {
		return g.everyone, nil
	}
	if err != nil {
		return nil, err
	}
	if local {
		return p, nil
	}
	if g.IsOpen() && need == Debug {
		return p, forbidden("in open mode this is for callers on the same machine")
	}
	return p, p.Check(need)
}

// isLocal reports whether a program on this machine sent the request itself: neither a proxy, nor a page whose name was resolved
// to this machine.
func (g *Gate) isLocal(r *Request) bool {
	return r.Peer.Unmap().IsLoopback() && !r.Proxied && !r.isForeign() && (r.Origin == "" || isOrigin(r.Origin, r.Host)) && g.isOwnName(r.Host)
}

// Check returns a *Refusal if the principal, nil for nobody, does not have a right, else nil.
func (p *Principal) Check(need Right) error {
	if p.May(need) {
		return nil
	}
	if p == nil {
		return unauthenticated("say who you are")
	}
	if p.Scope.IsEmpty() {
		return forbidden("%s may do nothing here: its scope selects nothing of this cluster", p.ID)
	}
	if need.needsWholeScope() && !p.Scope.IsWhole() {
		return forbidden("%s may not do this: it needs the right %q, which needs the scope *", p.ID, need)
	}
	return forbidden("%s may not do this: it needs the right %q", p.ID, need)
}

// refuse counts and records a refusal.
func (g *Gate) refuse(r *Request, p *Principal, err error) error {
	refusal, ok := err.(*Refusal)
	if !ok {
		return err
	}
	g.metrics.refusals.WithLabelValues(string(refusal.Code)).Inc()
	g.Record(Action{RequestID: r.ID, Principal: p, Address: g.Address(r), Method: strings.Clone(r.Method), Route: r.Route, Decision: string(refusal.Code)})
	return refusal
}

// Reject counts and records a refusal that a handler in front of the routes decided, and returns it.
func (g *Gate) Reject(r *Request, refusal *Refusal) error { return g.refuse(r, nil, refusal) }
