package access

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"time"
)

// size returns the number of principals.
func (b *book) size() int { return len(b.tokens) + len(b.subjects) + len(b.certificates) }

// has reports whether the book has a principal as it is. A principal of the issuer's claims needs no line, but a line of its
// subject replaces the claims.
func (b *book) has(p *Principal) bool {
	if p.proof == "" {
		return b.subjects[p.subject] == nil
	}
	return b.proofs[p.proof]
}

// byCertificate returns the principal of a verified client certificate, by its common name or one of its alternative names.
func (b *book) byCertificate(state *tls.ConnectionState) *Principal {
	leaf := state.VerifiedChains[0][0]
	names := append([]string{leaf.Subject.CommonName}, leaf.DNSNames...)
	names = append(names, leaf.EmailAddresses...)
	for _, uri := range leaf.URIs {
		names = append(names, uri.String())
	}
	for _, name := range names {
		if p := b.certificates[name]; p != nil && name != "" {
			return certified(p, leaf.NotAfter)
		}
	}
	return nil
}

// shortHash returns a name for a text that cannot be shown as it is.
func shortHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// certified returns the principal of a certificate, which it does not outlive.
func certified(p *Principal, notAfter time.Time) *Principal {
	if !p.Expires.IsZero() && p.Expires.Before(notAfter) {
		return p
	}
	own := *p
	own.Expires = notAfter
	return &own
}
