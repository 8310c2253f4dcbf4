package daemon

import (
	"errors"
	"math"
	"net/http"
	"net/netip"
	"strconv"

	"telemetry-pipeline/events/access"
)

// maxAdminBody bounds the body of a request to the admin listener, which takes none but pprof's.
const maxAdminBody = 64 << 10

// shield is in front of all routes, in open mode too.
func (a *admin) shield(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxAdminBody)
		h := w.Header()
		if len(r.TransferEncoding) > 0 {
			// Beside Content-Length, which net/http drops, a proxy may see another end of the body: nothing behind it is read.
			h.Set("Connection", "close")
		}
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		if r.TLS != nil && a.gate.WantsHSTS() {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		req := accessRequest(r)
		h.Set("X-Request-ID", req.ID)
		r.Header.Set("X-Request-ID", req.ID)
		if err := a.gate.CheckSite(req); err != nil {
			answerRefusal(w, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// guardRoute lets the requests through that have the right of the route.
func (a *admin) guardRoute(route adminRoute) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req := accessRequest(r)
		req.Route = route.pattern
		p, err := a.gate.Admit(r.Context(), req, route.need)
		if err != nil {
			answerRefusal(w, err)
			return
		}
		if route.need == access.Operate || route.need == access.Debug {
			a.gate.Record(access.Action{RequestID: req.ID, Principal: p, Address: a.gate.Address(req), Method: r.Method, Route: route.pattern, Decision: access.Allowed})
		}
		route.serve(w, r.WithContext(access.WithPrincipal(r.Context(), p)))
	})
}

// accessRequest returns the request for the gate.
func accessRequest(r *http.Request) *access.Request {
	req := &access.Request{
		Method: r.Method, Host: r.Host, Origin: r.Header.Get("Origin"), FetchSite: r.Header.Get("Sec-Fetch-Site"),
		Credentials: access.Credentials{Token: access.BearerToken(r.Header.Get("Authorization")), TLS: r.TLS},
		Forwarded:   r.Header.Values("X-Forwarded-For"), ID: access.RequestID(r.Header.Get("X-Request-ID")),
		Proxied: access.IsProxied(func(name string) bool { return len(r.Header.Values(name)) > 0 }),
	}
	if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		req.Peer = peer.Addr()
	}
	return req
}

// answerRefusal answers a request that is not allowed.
func answerRefusal(w http.ResponseWriter, err error) {
	refusal, ok := errors.AsType[*access.Refusal](err)
	if !ok {
		refusal = &access.Refusal{Status: http.StatusInternalServerError, Code: "internal", Text: "internal error"}
	}
	if refusal.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="telemetry"`)
	}
	if refusal.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(refusal.RetryAfter.Seconds()))))
	}
	writeJSON(w, refusal.Status, map[string]any{"success": false, "error": refusal.Text, "code": refusal.Code})
}
