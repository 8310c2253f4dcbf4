package access

import (
	"net/netip"
	"testing"
	"time"

	"telemetry-pipeline/events/access/accesstest"
)

func BenchmarkAdmit(b *testing.B) {
	is := accesstest.NewIssuer(b)
	static, line := tokenLine(b, "static", "read", "host=gpu-*", time.Time{})
	guard := newIssuerGuard(b, is, nil, line)
	oidc := is.Token(map[string]any{"telemetry_roles": "read", "telemetry_scope": "*"})
	for _, bb := range []struct {
		name, token string
		guard       *Guard
	}{
		{"open", "", newGuard(b, Config{Open: true})},
		{"static", static, guard},
		{"oidc", oidc, guard},
	} {
		b.Run(bb.name, func(b *testing.B) {
			gate := bb.guard.NewGate(false)
			r := &Request{Method: "GET", Host: "a.example", Peer: netip.MustParseAddr("192.0.2.1"), Credentials: Credentials{Token: bb.token}}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := gate.Admit(b.Context(), r, Read); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
