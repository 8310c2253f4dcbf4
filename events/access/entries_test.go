package access

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"
)

// tokenLine returns a token and its line.
func tokenLine(t testing.TB, id, roles, scope string, expires time.Time) (token, line string) {
	t.Helper()
	parsedRoles, err := ParseRoles(roles)
	if err != nil {
		t.Fatal(err)
	}
	parsedScope, err := ParseScope(scope)
	if err != nil {
		t.Fatal(err)
	}
	token, line, err = NewToken(id, parsedRoles, parsedScope, expires)
	if err != nil {
		t.Fatal(err)
	}
	return token, line
}

// hashHex returns the hash of a token as it stands in a line.
func hashHex(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

func TestNewToken(t *testing.T) {
	t.Parallel()
	expires := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	token, line := tokenLine(t, "alice", "read,ingest", "host=a", expires)
	if !strings.HasPrefix(token, "tp_") || len(token) != len("tp_")+43 {
		t.Errorf("got token %q, want tp_ and 43 characters", token)
	}
	if strings.Contains(line, token) || strings.Contains(line, token[3:]) || strings.Contains(line, "\n") {
		t.Errorf("got line %q, want one without the token", line)
	}
	var members map[string]any
	if err := json.Unmarshal([]byte(line), &members); err != nil {
		t.Fatal(err)
	}
	if got := members["sha256"]; got != hashHex(token) {
		t.Errorf("got hash %v, want %s", got, hashHex(token))
	}
	other, _ := tokenLine(t, "alice", "read", "*", time.Time{})
	if other == token {
		t.Error("two tokens are the same")
	}
	b, err := parseBook([]byte(line), "c")
	if err != nil {
		t.Fatal(err)
	}
	p := b.tokens[sha256.Sum256([]byte(token))]
	if p == nil || p.ID != "alice" || p.Method != ByToken || p.Scope.String() != "host=a" || !p.Expires.Equal(expires) || !p.May(Read) || !p.May(Ingest) || p.May(Administer) {
		t.Errorf("got principal %+v", p)
	}
	for _, id := range []string{"", "a b", "a\nb", strings.Repeat("a", 65), token, "oidc:a"} {
		if _, _, err := NewToken(id, []Role{RoleRead}, Everything(), time.Time{}); err == nil || id == token && strings.Contains(err.Error(), token) {
			t.Errorf("id %q: got error %v", id, err)
		}
	}
	if _, _, err := NewToken("a", nil, Everything(), time.Time{}); err == nil {
		t.Error("got no error without roles")
	}
}

func TestGoodFile(t *testing.T) {
	t.Parallel()
	_, line := tokenLine(t, "alice", "read", "*", time.Time{})
	text := "\ufeff# people\r\n\r\n  " + line + "  \r\n# machines\n" +
		`{"id":"sa","subject":"system:serviceaccount:ns:uploader","roles":["ingest"],"scope":"cluster=c,host=a"}` + "\n" +
		`{"id":"cert","certificate":"spiffe://x/y","roles":["admin","read","admin"],"scope":"cluster=other"}` + "\n" +
		`{"id":"nothing","subject":"s","roles":["admin"],"scope":""}` + "\n" +
		`{"id":"none","subject":"n","roles":["read,ingest"," read"]}`
	b, err := parseBook([]byte(text), "c")
	if err != nil {
		t.Fatal(err)
	}
	if got := b.size(); got != 5 {
		t.Errorf("got %d principals, want 5", got)
	}
	if got := b.subjects["system:serviceaccount:ns:uploader"]; got == nil || got.Scope.String() != "host=a" || got.Method != ByOIDC || !got.May(Ingest) {
		t.Errorf("got service account %+v", got)
	}
	for name, p := range map[string]*Principal{"of another cluster": b.certificates["spiffe://x/y"], "without a scope": b.subjects["s"], "without the member": b.subjects["n"]} {
		if p == nil || !p.Scope.IsEmpty() || p.May(Read) || p.May(Administer) || p.May(Debug) || !p.May(Public) {
			t.Errorf("principal %s: got %+v, want one with the right Public only", name, p)
		}
	}
	if got := b.subjects["n"].Roles; len(got) != 3 || got[0] != RoleIngest || got[1] != RoleRead {
		t.Errorf("got roles %q of one text", got)
	}
}

func TestBadLines(t *testing.T) {
	t.Parallel()
	token, good := tokenLine(t, "alice", "read", "*", time.Time{})
	hash := hashHex(token)
	tests := []struct{ name, line, want string }{
		{"text", "alice", "it is no JSON at byte 1"},
		{"the token", token, "no JSON"},
		{"the token as text", `"` + token + `"`, "it is no JSON object"},
		{"list", `[1]`, "it is no JSON object"},
		{"null", `null`, "id"},
		{"cut", good[:len(good)-1], "no end"},
		{"two objects", good + `{"id":"b"}`, "one object per line"},
		{"comma after", good + `,`, "one object per line"},
		{"unknown member", `{"id":"a","sha":"x"}`, `there is no member "sha"`},
		{"token as member", `{"id":"a","` + token + `":"x"}`, "there is no member"},
		{"token as id", `{"id":"` + token + `","sha256":"` + hash + `","roles":["read"],"scope":"*"}`, "never the token"},
		{"token as hash", `{"id":"a","sha256":"` + token + `","roles":["read"],"scope":"*"}`, "write only its SHA-256"},
		{"token as subject", `{"id":"a","subject":"` + token + `","roles":["read"],"scope":"*"}`, "write only its SHA-256"},
		{"token as certificate", `{"id":"a","certificate":"` + token + `","roles":["read"],"scope":"*"}`, "write only its SHA-256"},
		{"token as role", `{"id":"a","sha256":"` + hash + `","roles":["` + token + `"],"scope":"*"}`, "none of ingest, read and admin"},
		{"token as scope", `{"id":"a","sha256":"` + hash + `","roles":["read"],"scope":"` + token + `"}`, "names nothing"},
		{"token as expiry", `{"id":"a","sha256":"` + hash + `","roles":["read"],"scope":"*","expires":"` + token + `"}`, "a time such as"},
		{"short hash", `{"id":"a","sha256":"abcd","roles":["read"],"scope":"*"}`, "SHA-256"},
		{"no hexadecimal", `{"id":"a","sha256":"` + strings.Repeat("z", 64) + `","roles":["read"],"scope":"*"}`, "SHA-256"},
		{"no way", `{"id":"a","roles":["read"],"scope":"*"}`, "give one of"},
		{"two ways", `{"id":"a","sha256":"` + hash + `","subject":"s","roles":["read"],"scope":"*"}`, "give one of"},
		{"no id", `{"sha256":"` + hash + `","roles":["read"],"scope":"*"}`, "id"},
		{"long id", `{"id":"` + strings.Repeat("a", 65) + `","sha256":"` + hash + `","roles":["read"],"scope":"*"}`, "id"},
		{"id of claims", `{"id":"oidc:a","sha256":"` + hash + `","roles":["read"],"scope":"*"}`, "oidc:"},
		{"id with a line end", `{"id":"a\nb","sha256":"` + hash + `","roles":["read"],"scope":"*"}`, "id"},
		{"no role", `{"id":"a","sha256":"` + hash + `","roles":[],"scope":"*"}`, "has no role"},
		{"unknown role", `{"id":"a","sha256":"` + hash + `","roles":["root"],"scope":"*"}`, `role "root"`},
		{"roles as text", `{"id":"a","sha256":"` + hash + `","roles":"read","scope":"*"}`, "member roles may not be a JSON string"},
		{"scope as list", `{"id":"a","sha256":"` + hash + `","roles":["read"],"scope":[]}`, "member scope may not be a JSON array"},
		{"scope as a number", `{"id":"a","sha256":"` + hash + `","roles":["read"],"scope":1234567}`, "member scope may not be a JSON number"},
		{"bad scope", `{"id":"a","sha256":"` + hash + `","roles":["read"],"scope":"hosts=a"}`, "cluster, host and namespace"},
		{"bad expiry", `{"id":"a","sha256":"` + hash + `","roles":["read"],"scope":"*","expires":"tomorrow"}`, "a time such as"},
		{"long subject", `{"id":"a","subject":"` + strings.Repeat("s", 513) + `","roles":["read"],"scope":"*"}`, "at most 512"},
		{"same id", `{"id":"alice","subject":"s","roles":["read"],"scope":"*"}`, `id "alice" is used twice`},
		{"same token", `{"id":"b","sha256":"` + strings.ToUpper(hash) + `","roles":["read"],"scope":"*"}`, "same token"},
	}
	for _, tt := range tests {
		b, err := parseBook([]byte("# first\n"+good+"\n\n"+tt.line+"\n"), "c")
		if err == nil {
			t.Errorf("%s: got %d principals, want an error", tt.name, b.size())
			continue
		}
		if !strings.Contains(err.Error(), "line 4: ") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %q, want line 4 and %q", tt.name, err, tt.want)
		}
		if strings.Contains(err.Error(), token[3:]) || strings.Contains(err.Error(), hash) || strings.Contains(err.Error(), "1234567") {
			t.Errorf("%s: the error shows a secret: %v", tt.name, err)
		}
	}
	if _, err := parseBook(make([]byte, maxFileBytes+1), "c"); err == nil {
		t.Error("got no error for a file that is too large")
	}
	twice := `{"id":"%s","subject":"s","roles":["read"],"scope":"*"}` + "\n"
	if _, err := parseBook(fmt.Appendf(nil, twice+twice, "a", "b"), "c"); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("got error %v for a subject of two", err)
	}
}

func FuzzBook(f *testing.F) {
	_, line := tokenLine(f, "alice", "read", "*", time.Time{})
	f.Add([]byte(line))
	f.Add([]byte("\ufeff# x\r\n" + line + line))
	f.Fuzz(func(_ *testing.T, text []byte) {
		if b, err := parseBook(text, "c"); err == nil {
			b.size()
		}
	})
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	b, err := parseBook([]byte(`{"id":"cn","certificate":"uploader","roles":["ingest"],"scope":"*"}
{"id":"dns","certificate":"host.example","roles":["ingest"],"scope":"*"}
{"id":"uri","certificate":"spiffe://x/y","roles":["ingest"],"scope":"*"}
{"id":"mail","certificate":"a@example.org","roles":["ingest"],"scope":"*","expires":"2026-01-01T00:00:00Z"}`), "c")
	if err != nil {
		t.Fatal(err)
	}
	notAfter := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	uri := &url.URL{Scheme: "spiffe", Host: "x", Path: "/y"}
	tests := []struct {
		leaf x509.Certificate
		want string
	}{
		{x509.Certificate{Subject: pkix.Name{CommonName: "uploader"}}, "cn"},
		{x509.Certificate{DNSNames: []string{"other", "host.example"}}, "dns"},
		{x509.Certificate{URIs: []*url.URL{uri}}, "uri"},
		{x509.Certificate{EmailAddresses: []string{"a@example.org"}}, "mail"},
		{x509.Certificate{Subject: pkix.Name{CommonName: "uploade"}}, ""},
		{x509.Certificate{Subject: pkix.Name{CommonName: "UPLOADER"}}, ""},
		{x509.Certificate{}, ""},
	}
	for _, tt := range tests {
		tt.leaf.NotAfter = notAfter
		got := b.byCertificate(&tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{&tt.leaf}}})
		if (got == nil) != (tt.want == "") || got != nil && got.ID != tt.want {
			t.Errorf("%q: got %+v", tt.want, got)
		}
		if got != nil && (got.Expires.IsZero() || got.Expires.After(notAfter) || !b.has(got)) {
			t.Errorf("%q: expires at %s, in the book %t, want at most %s, true", tt.want, got.Expires, b.has(got), notAfter)
		}
	}
	unverified := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{selfSigned(t, "uploader")}}
	if !(Credentials{TLS: unverified}).areNone() {
		t.Error("a certificate that was not verified counts as credentials")
	}
}

// selfSigned returns a certificate that nobody vouches for.
func selfSigned(t *testing.T, name string) *x509.Certificate {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}
