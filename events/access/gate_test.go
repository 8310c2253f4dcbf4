package access

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// refusalOf returns the refusal of an error, nil for no error.
func refusalOf(t testing.TB, err error) *Refusal {
	t.Helper()
	if err == nil {
		return nil
	}
	refusal, ok := errors.AsType[*Refusal](err)
	if !ok {
		t.Fatalf("got error %v, want a *Refusal", err)
	}
	return refusal
}

// codeOf returns the code of an error, "" for no error.
func codeOf(t testing.TB, err error) Code {
	t.Helper()
	if refusal := refusalOf(t, err); refusal != nil {
		return refusal.Code
	}
	return ""
}

// newGuard returns a guard.
func newGuard(t testing.TB, cfg Config) *Guard {
	t.Helper()
	g, err := New(cfg, "c", nil)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// writeFile writes a file of principals, and returns its name.
func writeFile(t testing.TB, lines ...string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "principals")
	if err := os.WriteFile(name, []byte("# principals\n"+strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestCrossSiteRequestsAreRefused(t *testing.T) {
	t.Parallel()
	g := newGuard(t, Config{Origins: "https://friend.example,http://friend.example:8080"}).NewGate(false)
	tests := []struct {
		name, host, origin, fetchSite string
		want                          Code
	}{
		{"client", "a.example", "", "", ""},
		{"own page", "a.example", "https://a.example", "same-origin", ""},
		{"own page of old browser", "a.example", "https://a.example", "", ""},
		{"typed address", "a.example", "", "none", ""},
		{"case", "A.example", "https://a.EXAMPLE", "", ""},
		{"default port of https", "a.example", "https://a.example:443", "", ""},
		{"default port of http", "a.example:80", "http://a.example", "", ""},
		{"port", "a.example:8080", "http://a.example:8080", "", ""},
		{"other port", "a.example:8080", "http://a.example:8081", "", CrossSite},
		{"port of the other scheme", "a.example:80", "https://a.example", "", CrossSite},
		{"IPv6", "[::1]:8080", "http://[::1]:8080", "", ""},
		{"IPv6 with default port", "[::1]:80", "http://[::1]", "", ""},
		{"other IPv6", "[::1]:8080", "http://[::2]:8080", "", CrossSite},
		{"foreign", "a.example", "https://evil.example", "", CrossSite},
		{"foreign, cross-site", "a.example", "https://evil.example", "cross-site", CrossSite},
		{"subdomain", "a.example", "https://b.a.example", "same-site", CrossSite},
		{"own host of another scheme", "a.example", "http://a.example", "cross-site", CrossSite},
		{"prefix", "a.example", "https://a.example.evil.example", "", CrossSite},
		{"name in the user part", "a.example", "https://a.example@evil.example", "", CrossSite},
		{"cross-site without origin", "a.example", "", "cross-site", CrossSite},
		{"same-site without origin", "a.example", "", "same-site", CrossSite},
		{"unknown value", "a.example", "", "elsewhere", CrossSite},
		{"null", "a.example", "null", "", CrossSite},
		{"null, same-origin", "a.example", "null", "same-origin", CrossSite},
		{"file", "a.example", "file://", "", CrossSite},
		{"garbage", "a.example", "://%%", "", CrossSite},
		{"no host", "", "https://evil.example", "", CrossSite},
		{"friend", "a.example", "https://friend.example", "cross-site", ""},
		{"friend with port", "a.example", "http://friend.example:8080", "cross-site", ""},
		{"friend of another scheme", "a.example", "http://friend.example", "cross-site", CrossSite},
		{"friend's subdomain", "a.example", "https://x.friend.example", "cross-site", CrossSite},
	}
	for _, tt := range tests {
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "TRACE", "post", "GET", "HEAD", "OPTIONS"} {
			for _, upgrade := range []bool{false, true} {
				want := tt.want
				if slices.Contains([]string{"GET", "HEAD", "OPTIONS"}, method) && !upgrade {
					want = ""
				}
				err := g.CheckSite(&Request{Method: method, Host: tt.host, Origin: tt.origin, FetchSite: tt.fetchSite, Upgrade: upgrade})
				if got := codeOf(t, err); got != want {
					t.Errorf("%s, %s, upgrade %t: got %q, want %q", tt.name, method, upgrade, got, want)
				}
			}
		}
	}
}

func TestOtherNamesAreRefusedOnLoopback(t *testing.T) {
	t.Parallel()
	g := newGuard(t, Config{Hosts: "Gpu-Box, 10.0.0.1"})
	tests := []struct {
		host string
		own  bool
	}{
		{"", true}, {"localhost", true}, {"localhost:8080", true}, {"LOCALHOST:8080", true}, {"localhost.", true}, {"localhost.:8080", true},
		{"127.0.0.1", true}, {"127.0.0.1:8080", true}, {"127.1.2.3", true}, {"[::1]", true}, {"[::1]:8080", true}, {"[::ffff:127.0.0.1]:8080", true},
		{"gpu-box", true}, {"GPU-BOX:1", true}, {"10.0.0.1:1", true},
		{"evil.example", false}, {"evil.example:8080", false}, {"127.0.0.1.evil.example", false}, {"localhost.evil.example", false}, {"evil.localhost", false},
		{"localhost..", false}, {".", false}, {"0.0.0.0", false}, {"[::]:8080", false}, {"10.0.0.2", false}, {"192.168.1.1:8080", false}, {"[::1%eth0]:8080", false},
		{"127.0.0.1:80:80", false}, {"2130706433", false}, {"0x7f.1", false}, {"localhost@evil.example", false}, {"evil.example/localhost", false},
	}
	for _, tt := range tests {
		for _, loopback := range []bool{true, false} {
			want := Code("")
			if loopback && !tt.own {
				want = WrongHost
			}
			err := g.NewGate(loopback).CheckSite(&Request{Method: "GET", Host: tt.host})
			if got := codeOf(t, err); got != want {
				t.Errorf("%q, loopback %t: got %q, want %q", tt.host, loopback, got, want)
			}
		}
	}
}

func TestAddressBehindProxies(t *testing.T) {
	t.Parallel()
	tests := []struct {
		trusted, peer string
		forwarded     []string
		want          string
	}{
		{"", "1.1.1.1", []string{"9.9.9.9"}, "1.1.1.1"},
		{"10.0.0.0/8", "1.1.1.1", []string{"9.9.9.9"}, "1.1.1.1"},
		{"10.0.0.0/8", "10.0.0.1", nil, "10.0.0.1"},
		{"10.0.0.0/8", "10.0.0.1", []string{"2.2.2.2"}, "2.2.2.2"},
		{"10.0.0.1", "::ffff:10.0.0.1", []string{"2.2.2.2"}, "2.2.2.2"},
		{"10.0.0.0/8", "10.0.0.1", []string{"9.9.9.9, 2.2.2.2"}, "2.2.2.2"},
		{"10.0.0.0/8", "10.0.0.1", []string{"9.9.9.9", "2.2.2.2"}, "2.2.2.2"},
		{"10.0.0.0/8", "10.0.0.1", []string{"9.9.9.9, 2.2.2.2,10.0.0.7"}, "2.2.2.2"},
		{"10.0.0.0/8", "10.0.0.1", []string{"9.9.9.9, 2.2.2.2", "10.0.0.7"}, "2.2.2.2"},
		{"10.0.0.0/8", "10.0.0.1", []string{"10.0.0.9"}, "10.0.0.9"},
		{"10.0.0.0/8", "10.0.0.1", []string{"9.9.9.9, garbage"}, "10.0.0.1"},
		{"10.0.0.0/8", "10.0.0.1", []string{"9.9.9.9, unknown, 10.0.0.2"}, "10.0.0.2"},
		{"10.0.0.0/8", "10.0.0.1", []string{"2.2.2.2:4711"}, "2.2.2.2"},
		{"10.0.0.0/8", "10.0.0.1", []string{"[2001:db8::1]:4711"}, "2001:db8::1"},
		{"10.0.0.0/8", "10.0.0.1", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"10.0.0.0/8", "10.0.0.1", []string{"2001:db8::1"}, "2001:db8::1"},
		{"10.0.0.0/8", "10.0.0.1", []string{"fe80::1%" + strings.Repeat("x", 1000)}, "fe80::1"},
		{"10.0.0.0/8", "10.0.0.1", []string{"::ffff:2.2.2.2"}, "2.2.2.2"},
		{"fd00::/8", "fd00::1", []string{"2.2.2.2"}, "2.2.2.2"},
		{"fd00::/8,10.0.0.0/8", "fd00::1", []string{"2.2.2.2, 10.1.1.1"}, "2.2.2.2"},
		{"10.0.0.0/8", "10.0.0.1", []string{""}, "10.0.0.1"},
	}
	for _, tt := range tests {
		g := newGuard(t, Config{TrustedProxies: tt.trusted})
		got := g.Address(&Request{Peer: netip.MustParseAddr(tt.peer), Forwarded: tt.forwarded})
		if got.String() != tt.want {
			t.Errorf("trusted %q, peer %s, forwarded %.60q: got %s, want %s", tt.trusted, tt.peer, tt.forwarded, got, tt.want)
		}
	}
	if got := newGuard(t, Config{TrustedProxies: "10.0.0.1"}).Address(&Request{Forwarded: []string{"1.1.1.1"}}); got.IsValid() {
		t.Errorf("got %s for no peer", got)
	}
}

func TestRolesAndRights(t *testing.T) {
	t.Parallel()
	rights := []Right{0, Public, Read, Ingest, Monitor, Administer, Operate, Debug, Debug + 1, 255}
	holders := map[string][]Right{
		"read":             {Public, Read, Monitor},
		"ingest":           {Public, Ingest, Monitor},
		"read,ingest":      {Public, Read, Ingest, Monitor},
		"admin":            {Public, Read, Ingest, Monitor, Administer, Operate, Debug},
		"read of some":     {Public, Read},
		"ingest of some":   {Public, Ingest},
		"admin of some":    {Public, Read, Ingest, Administer},
		"read of here":     {Public, Read, Monitor},
		"admin of nothing": {Public},
		"nobody":           {Public},
	}
	for name, held := range holders {
		var token string
		var lines []string
		if name != "nobody" {
			roles, of, _ := strings.Cut(name, " of ")
			scope := map[string]string{"": "*", "some": "host=own-*", "here": "cluster=c", "nothing": "cluster=other"}[of]
			var line string
			token, line = tokenLine(t, "p", roles, scope, time.Time{})
			lines = append(lines, line)
		}
		g := newGuard(t, Config{File: writeFile(t, lines...)}).NewGate(false)
		for _, right := range rights {
			p, err := g.Admit(t.Context(), &Request{Peer: netip.MustParseAddr("1.1.1.1"), Credentials: Credentials{Token: token}}, right)
			want := Forbidden
			switch {
			case slices.Contains(held, right):
				want = ""
			case name == "nobody":
				want = Unauthenticated
			}
			if got := codeOf(t, err); got != want {
				t.Errorf("%s, right %s (%d): got %q, want %q", name, right, right, got, want)
			}
			if (err != nil || right == Public) && p != nil {
				t.Errorf("%s, right %s: got principal %+v", name, right, p)
			}
		}
	}
	if (*Principal)(nil).May(Read) || (*Principal)(nil).May(0) || !(*Principal)(nil).May(Public) {
		t.Error("nobody has the right Public only")
	}
}

func TestOpenMode(t *testing.T) {
	t.Parallel()
	g := newGuard(t, Config{Open: true}).NewGate(false)
	for right, want := range map[Right]Code{0: Forbidden, Public: "", Read: "", Ingest: "", Monitor: "", Administer: "", Operate: "", Debug: Forbidden, 255: Forbidden} {
		p, err := g.Admit(t.Context(), &Request{Peer: netip.MustParseAddr("1.1.1.1")}, right)
		if got := codeOf(t, err); got != want {
			t.Errorf("right %d: got %q, want %q", right, got, want)
		}
		if err == nil && (p == nil || p.ID != "anonymous" || !p.Scope.IsWhole()) {
			t.Errorf("right %d: got principal %+v, want everybody", right, p)
		}
	}
}

func TestDebugIsForLocalCallersAndAdmins(t *testing.T) {
	t.Parallel()
	admin, line := tokenLine(t, "root", "admin", "*", time.Time{})
	reader, readerLine := tokenLine(t, "reader", "read", "*", time.Time{})
	g := newGuard(t, Config{File: writeFile(t, line, readerLine), TrustedProxies: "127.0.0.1"}).NewGate(false)
	tests := []struct {
		name string
		r    Request
		want Code
	}{
		{"local", Request{Peer: netip.MustParseAddr("127.0.0.1"), Host: "localhost:9080"}, ""},
		{"local IPv6", Request{Peer: netip.MustParseAddr("::1"), Host: "[::1]:9080"}, ""},
		{"local mapped", Request{Peer: netip.MustParseAddr("::ffff:127.0.0.1"), Host: "127.0.0.1"}, ""},
		{"local browser", Request{Peer: netip.MustParseAddr("127.0.0.1"), Host: "localhost", FetchSite: "none"}, ""},
		{"page that rebinds its name", Request{Peer: netip.MustParseAddr("127.0.0.1"), Host: "evil.example:9080", FetchSite: "same-origin"}, Unauthenticated},
		{"page of another site", Request{Peer: netip.MustParseAddr("127.0.0.1"), Host: "localhost", FetchSite: "cross-site"}, Unauthenticated},
		{"through a proxy", Request{Peer: netip.MustParseAddr("127.0.0.1"), Host: "localhost", Proxied: true}, Unauthenticated},
		{"forwarded loopback", Request{Peer: netip.MustParseAddr("127.0.0.1"), Host: "localhost", Proxied: true, Forwarded: []string{"127.0.0.1"}}, Unauthenticated},
		{"remote", Request{Peer: netip.MustParseAddr("10.0.0.1"), Host: "localhost"}, Unauthenticated},
		{"no peer", Request{Host: "localhost"}, Unauthenticated},
		{"remote admin", Request{Peer: netip.MustParseAddr("10.0.0.1"), Credentials: Credentials{Token: admin}}, ""},
		{"remote reader", Request{Peer: netip.MustParseAddr("10.0.0.1"), Credentials: Credentials{Token: reader}}, Forbidden},
	}
	for _, tt := range tests {
		_, err := g.Admit(t.Context(), &tt.r, Debug)
		if got := codeOf(t, err); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
		if tt.want == "" && tt.r.Token == "" {
			if _, err := g.Admit(t.Context(), &tt.r, Administer); codeOf(t, err) != Unauthenticated {
				t.Errorf("%s: got %v for the right to administer, want a refusal", tt.name, err)
			}
		}
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"a", "0190-AB.c_d:e@f/g", strings.Repeat("x", 128)} {
		if got := RequestID(id); got != id {
			t.Errorf("%q: got %q, want it as sent", id, got)
		}
	}
	for _, id := range []string{"", "a b", "a\r\nSet-Cookie: x=y", "a\x00", "ä", `a"`, "<a>", strings.Repeat("x", 129)} {
		got := RequestID(id)
		if got == id || len(got) < 20 || !isSafeID(got) || got == RequestID(id) {
			t.Errorf("%q: got %q, want a new safe one", id, got)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	file := writeFile(t)
	tests := []struct {
		cfg  Config
		want string // part of the error, "" for none
	}{
		{Config{}, ""},
		{Config{File: file}, ""},
		{Config{Origins: "https://a.example, http://b.example:8080,http://[::1]:80"}, "access.origins"},
		{Config{Origins: "https://a.example, http://b.example:8080,http://[::1]:81"}, ""},
		{Config{Origins: "*"}, "access.origins"},
		{Config{Origins: "null"}, "access.origins"},
		{Config{Origins: "https://*.example"}, "access.origins"},
		{Config{Origins: "https://a.example/"}, "access.origins"},
		{Config{Origins: "https://a.example/x"}, "access.origins"},
		{Config{Origins: "https://A.example"}, "access.origins"},
		{Config{Origins: "https://a.example:443"}, "access.origins"},
		{Config{Origins: "https://u@a.example"}, "access.origins"},
		{Config{Origins: "a.example"}, "access.origins"},
		{Config{TrustedProxies: "10.0.0.0/33"}, "trusted-proxies"},
		{Config{TrustedProxies: "proxy.example"}, "trusted-proxies"},
		{Config{Open: true, File: file}, "access.open"},
		{Config{ClientCertificates: true}, "access.file"},
		{Config{PerPrincipal: -1}, "access.concurrent"},
		{Config{LoginRate: -1}, "access.login-rate"},
		{Config{File: file + "x"}, "access.file"},
		{Config{File: filepath.Dir(file)}, "access.file"},
		{Config{Audit: filepath.Join(file, "audit")}, "access.audit"},
	}
	for _, tt := range tests {
		_, err := New(tt.cfg, "c", nil)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: got error %v, want %q", tt.cfg, err, tt.want)
		}
	}
}

func TestExposedListenersAreRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		cfg      Config
		loopback bool
		refused  bool
	}{
		{Config{}, true, false}, {Config{}, false, true}, {Config{Open: true}, false, false},
		{Config{File: "f"}, false, false}, {Config{ClientCertificates: true}, false, false},
	}
	for _, tt := range tests {
		err := (&Guard{cfg: tt.cfg}).CheckExposed("query.addr", "0.0.0.0", tt.loopback)
		if errors.Is(err, ErrExposed) != tt.refused {
			t.Errorf("%+v, loopback %t: got error %v", tt.cfg, tt.loopback, err)
		}
		for _, way := range []string{"-access.file", "-oidc.issuer", "-tls.client-ca", "-access.open", "query.addr"} {
			if err != nil && !strings.Contains(err.Error(), way) {
				t.Errorf("the error does not name %s: %v", way, err)
			}
		}
	}
}
