// Package accessmatrix tests access control end to end: programs run as processes with TLS, tokens, client certificates and an
// OpenID Connect issuer, and every principal asks every route, field, operation and command about telemetry of its own, of others and
// of nobody. Its tests are all it has.
package accessmatrix
