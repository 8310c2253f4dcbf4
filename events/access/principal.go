package access

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Role is what a principal may do within its scope.
type Role string

const (
	RoleIngest Role = "ingest" // upload telemetry, and follow its own uploads
	RoleRead   Role = "read"   // query and subscribe
	RoleAdmin  Role = "admin"  // everything, and change the state of the system
)

// ParseRoles parses roles that are separated by commas.
func ParseRoles(text string) ([]Role, error) {
	var roles []Role
	for name := range strings.SplitSeq(text, ",") {
		role := Role(strings.TrimSpace(name))
		if role != RoleIngest && role != RoleRead && role != RoleAdmin {
			return nil, fmt.Errorf("role %s is none of ingest, read and admin", quote(string(role)))
		}
		roles = append(roles, role)
	}
	slices.Sort(roles)
	return slices.Compact(roles), nil
}

// Right is what a route, field, operation or command asks of its caller. The zero Right is held by nobody, so that a surface
// that names none is refused.
type Right uint8

const (
	Public     Right = iota + 1 // nothing: no telemetry is in the answer, and nothing changes
	Read                        // role read or admin
	Ingest                      // role ingest or admin
	Monitor                     // any role, and a whole scope: the totals of the process, in which no host is named
	Administer                  // role admin
	Operate                     // role admin, and a whole scope: the state of the process and of all its parts
	Debug                       // role admin and a whole scope, or a caller on the same machine
)

// String returns the right's name.
func (r Right) String() string {
	names := []string{"", "public", "read", "ingest", "monitor", "administer", "operate", "debug"}
	if int(r) >= len(names) || r == 0 {
		return "none"
	}
	return names[r]
}

// Principal is somebody who was identified. Immutable.
type Principal struct {
	ID      string // name for people, in logs and as the key of limits; never a secret
	Method  Method
	Roles   []Role
	Scope   Scope     // within the server's cluster
	Expires time.Time // zero: never

	proof   string       // the line of the file of principals, "" for a principal of the issuer's claims
	subject string       // of the issuer's token
	recheck func() error // verifies the issuer's token again; nil for other methods
}

// Method is the way in which a principal was identified.
type Method string

const (
	ByNothing     Method = "none" // open mode, or no credentials
	ByToken       Method = "token"
	ByOIDC        Method = "oidc"
	ByCertificate Method = "certificate"
)

// Everybody returns the principal of all callers in open mode.
func Everybody() *Principal {
	return &Principal{ID: "anonymous", Method: ByNothing, Roles: []Role{RoleAdmin, RoleIngest, RoleRead}, Scope: Everything()}
}

// May reports whether the principal has a right, within its scope. Rights to answers that no scope narrows need a whole one. A
// principal whose scope is empty has only the right Public.
func (p *Principal) May(need Right) bool {
	if need.needsWholeScope() && (p == nil || !p.Scope.IsWhole()) {
		return false
	}
	switch need {
	case Public:
		return true
	case Read:
		return p.hasRole(RoleRead)
	case Ingest:
		return p.hasRole(RoleIngest)
	case Monitor:
		return p.hasRole(RoleRead) || p.hasRole(RoleIngest)
	case Administer, Operate, Debug:
		return p.hasRole(RoleAdmin)
	}
	return false
}

// needsWholeScope reports whether a scope that selects a part of the telemetry is too narrow for a right.
func (r Right) needsWholeScope() bool { return r == Monitor || r == Operate || r == Debug }

// hasRole reports whether the principal has a role; an admin has all.
func (p *Principal) hasRole(role Role) bool {
	return p != nil && !p.Scope.IsEmpty() && (slices.Contains(p.Roles, role) || slices.Contains(p.Roles, RoleAdmin))
}

type principalKey struct{}

// WithPrincipal returns a context of a request of a principal.
func WithPrincipal(ctx context.Context, p *Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// PrincipalFrom returns the principal of a request, nil if nobody was identified.
func PrincipalFrom(ctx context.Context) *Principal {
	p, _ := ctx.Value(principalKey{}).(*Principal)
	return p
}

// ScopeFrom returns the scope of a request's principal, the empty scope if nobody was identified.
func ScopeFrom(ctx context.Context) Scope {
	if p := PrincipalFrom(ctx); p != nil {
		return p.Scope
	}
	return Scope{}
}

// InCluster returns the context of a request in one of several clusters: its principal has the part of its scope in that cluster.
func InCluster(ctx context.Context, cluster string) context.Context {
	p := PrincipalFrom(ctx)
	if p == nil {
		return ctx
	}
	part := *p
	part.Scope = p.Scope.In(cluster)
	return WithPrincipal(ctx, &part)
}
