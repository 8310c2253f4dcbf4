package access

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"net/netip"
	"strings"
	"time"

	"telemetry-pipeline/events/access/issuer"
)

// Credentials are what a caller shows to be identified.
type Credentials struct {
	Token string               // without a scheme
	TLS   *tls.ConnectionState // nil: the connection has no TLS
}

// areNone reports whether nothing is shown.
func (c Credentials) areNone() bool {
	return c.Token == "" && (c.TLS == nil || len(c.TLS.VerifiedChains) == 0)
}

// BearerToken returns the token of a header Authorization, "" if there is none.
func BearerToken(authorization string) string {
	scheme, token, found := strings.Cut(strings.TrimSpace(authorization), " ")
	if !found || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// Identify returns the principal of credentials; in open mode it is Everybody. It returns a *Refusal for bad ones, and for none.
// Failed logins of one address are limited.
func (g *Guard) Identify(ctx context.Context, c Credentials, address netip.Addr) (*Principal, error) {
	if g.IsOpen() {
		return g.everyone, nil
	}
	if c.areNone() {
		return nil, unauthenticated("say who you are: %s", g.ways())
	}
	now := time.Now()
	p, err := g.identify(ctx, c, address, now)
	if err == nil && !p.Expires.IsZero() && !now.Before(p.Expires) {
		err = unauthenticated("the credentials of %s expired at %s", p.ID, p.Expires.UTC().Format(time.RFC3339))
	}
	if err == nil {
		return p, nil
	}
	refusal, ok := errors.AsType[*Refusal](err)
	if !ok {
		refusal = unauthenticated("%s", err.Error())
	}
	if refusal.Code == Unauthenticated {
		g.logins.note(address, now)
	}
	return nil, refusal
}

// ways returns the ways to log in, for people.
func (g *Guard) ways() string {
	var all []string
	if g.cfg.File != "" || g.issuer != nil {
		all = append(all, `send a token as "Authorization: Bearer …"`)
	}
	if g.cfg.ClientCertificates {
		all = append(all, "show a client certificate")
	}
	return strings.Join(all, ", or ")
}

// identify looks known tokens and certificates up, and verifies a token of the issuer unless the address failed too often.
func (g *Guard) identify(ctx context.Context, c Credentials, address netip.Addr, now time.Time) (*Principal, error) {
	b := g.book.Load()
	if c.Token == "" {
		if p := b.byCertificate(c.TLS); p != nil {
			return p, nil
		}
		if wait := g.logins.waitTime(address, now); wait > 0 {
			return nil, tooManyLogins(wait)
		}
		return nil, unauthenticated("the client certificate is of nobody in the file of principals")
	}
	if len(c.Token) > maxToken {
		return nil, unauthenticated("the token has %d bytes, which is more than the %d that are looked at", len(c.Token), maxToken)
	}
	sum := hashOf(sha256.Sum256([]byte(c.Token)))
	if p := b.tokens[sum]; p != nil {
		return p, nil
	}
	if p := g.own[sum]; p != nil {
		return p, nil
	}
	changes := g.changes.Load()
	if v, ok := g.verified.Get(sum); ok && v.changes == changes {
		return v.principal, nil
	}
	if wait := g.logins.waitTime(address, now); wait > 0 && !g.isSigned(c.Token) {
		return nil, tooManyLogins(wait)
	}
	if g.issuer == nil || !looksSigned(c.Token) {
		return nil, unauthenticated("the token is of nobody; check that it is whole, and was not revoked")
	}
	p, err := g.verifyToken(ctx, c.Token)
	if err != nil {
		return nil, err
	}
	g.verified.Add(sum, verifiedToken{p, changes})
	return p, nil
}

// isSigned reports whether one of the known keys of the issuer signed a token, so that the failed logins of others at its address do
// not keep its holder out. It fetches nothing.
func (g *Guard) isSigned(token string) bool {
	if g.issuer == nil || !looksSigned(token) {
		return false
	}
	_, err := g.issuer.VerifyAgain(token)
	return err == nil
}

// looksSigned reports whether a token has the form of an issuer's token.
func looksSigned(token string) bool {
	return !strings.HasPrefix(token, tokenPrefix) && strings.Count(token, ".") == 2
}

// tooManyLogins returns the refusal of an address that failed too often.
func tooManyLogins(wait time.Duration) *Refusal {
	return tooMany(wait, "too many failed logins from this address; wait, and check the token or certificate")
}

// verifyToken returns the principal of a token of the issuer: the one that the file has for its subject, else the one that its
// claims describe.
func (g *Guard) verifyToken(ctx context.Context, token string) (*Principal, error) {
	claims, err := g.issuer.Verify(ctx, token)
	if errors.Is(err, issuer.ErrUnavailable) {
		return nil, &Refusal{Status: 503, Code: Unavailable, Text: issuer.ErrUnavailable.Error() + "; try again", RetryAfter: time.Second}
	}
	if err != nil {
		return nil, unauthenticated("%s", err.Error())
	}
	p := &Principal{ID: claims.Subject, Method: ByOIDC, subject: claims.Subject}
	if known := g.book.Load().subjects[claims.Subject]; known != nil {
		*p = *known
		p.subject = claims.Subject
	} else if err := p.setClaims(claims, g.cluster); err != nil {
		return nil, err
	} else if g.book.Load().ids[p.ID] { // an issuer's user is nobody of the file by the same name
		p.ID = "oidc:" + shortHash(p.subject)
	}
	if p.Expires.IsZero() || claims.Expires.Before(p.Expires) {
		p.Expires = claims.Expires
	}
	p.recheck = func() error {
		_, err := g.issuer.VerifyAgain(token)
		return err
	}
	return p, nil
}

// hashPrefix begins the ids of subjects that cannot be shown as they are.
const hashPrefix = "sha256:"

// setClaims sets the roles and the scope that a token's claims describe. Roles that are not this system's are left out.
func (p *Principal) setClaims(claims issuer.Claims, cluster string) error {
	p.ID = claimsPrefix + p.subject
	if len(p.subject) > maxID || !isSafeID(p.subject) || strings.HasPrefix(p.subject, hashPrefix) {
		p.ID = claimsPrefix + hashPrefix + shortHash(p.subject)
	}
	for _, name := range claims.Roles {
		if roles, err := ParseRoles(name); err == nil {
			p.Roles = append(p.Roles, roles...)
		}
	}
	scope, err := ParseScope(claims.Scope)
	if err != nil {
		return forbidden("the token's %s", err.Error())
	}
	p.Scope = scope.In(cluster)
	return nil
}

// HasCredentials reports whether the request shows who sent it.
func (r *Request) HasCredentials() bool { return !r.Credentials.areNone() }
