// Package issuer verifies the tokens of an OpenID Connect issuer.
//
// In: signed tokens (JWT), and the issuer's public keys, which it fetches itself. Out: the claims of tokens that the issuer
// signed for this audience and that have not expired. It never decides what the claims allow.
//
// The issuer may be away: the last keys are kept, and without any keys tokens are refused with ErrUnavailable. Bad tokens
// cannot make it fetch keys more often than every ten seconds, and only the configured algorithms are taken, never one with a
// shared secret.
package issuer
