package accessmatrix

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/events/access"
	"telemetry-pipeline/events/access/accesstest"
	"telemetry-pipeline/events/listen/listentest"
)

// The scopes of principals. A scope of another cluster selects nothing of this one.
const (
	whole   = "*"
	own     = "host=own-*"
	nothing = ""
	other   = "cluster=other"
)

// principal is a caller, and the answers that it is to get.
type principal struct {
	name  string
	token string
	cert  *tls.Certificate
	known bool // it can be identified
	role  access.Role
	scope string
}

// seesAll reports whether the principal may see telemetry of foreign hosts, if it may read.
func (p *principal) seesAll() bool { return p.known && p.scope == whole }

// some returns requests that are sent as the principal: all of them as one principal of each scope that may read, every sixth one as
// the others, who differ from these in their way to be identified, or may not read at all.
func (p *principal) some(requests []string) (some []string) {
	if p.name == "read-own" || p.name == "read-whole" {
		return requests
	}
	for i := 0; i < len(requests); i += 6 {
		some = append(some, requests[i])
	}
	return some
}

// refusal returns the status of a request that needs a right: 0 if it is allowed. Tests are on the machine of the servers, so that the
// right Debug is theirs.
func (p *principal) refusal(need access.Right) int {
	if need == access.Public || need == access.Debug {
		return 0
	}
	if !p.known {
		return http.StatusUnauthorized
	}
	may := map[access.Right][]access.Role{
		access.Read:       {access.RoleRead, access.RoleAdmin},
		access.Ingest:     {access.RoleIngest, access.RoleAdmin},
		access.Monitor:    {access.RoleRead, access.RoleIngest, access.RoleAdmin},
		access.Administer: {access.RoleAdmin},
		access.Operate:    {access.RoleAdmin},
	}
	needsWhole := need == access.Monitor || need == access.Operate
	if p.scope == nothing || p.scope == other || needsWhole && p.scope != whole || !slices.Contains(may[need], p.role) {
		return http.StatusForbidden
	}
	return 0
}

// world has the credentials of a test: authorities, an issuer, and the file of principals.
type world struct {
	t          *testing.T
	dir        string
	servers    *listentest.CA // of the servers
	clients    *listentest.CA
	issuer     *accesstest.Issuer
	principals []*principal
	lines      map[string]string // of the file of principals, by id
	secrets    []string          // every token of the test
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), servers: listentest.NewCA(t), clients: listentest.NewCA(t), issuer: accesstest.NewIssuer(t), lines: map[string]string{}}
	w.serveIssuer()
	w.writeCertificates("certs-1")
	w.addFilePrincipals()
	w.addIssuerPrincipals()
	w.addCertificates()
	w.writeFile()
	return w
}

// serveIssuer serves the issuer over TLS too, under the address that its tokens name.
func (w *world) serveIssuer() {
	cert, key := w.servers.Server(w.t, w.mkdir("issuer"))
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		w.t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(w.issuer)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	server.StartTLS()
	w.t.Cleanup(server.Close)
	w.issuer.URL = server.URL
}

func (w *world) mkdir(name string) string {
	dir := filepath.Join(w.dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		w.t.Fatal(err)
	}
	return dir
}

// writeCertificates writes new certificates of the servers to a directory and points the link certs at it, as Kubernetes exchanges
// a secret.
func (w *world) writeCertificates(name string) {
	w.servers.Server(w.t, w.mkdir(name))
	next := filepath.Join(w.dir, "next")
	if err := os.Symlink(name, next); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(next, filepath.Join(w.dir, "certs")); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) file(name string) string { return filepath.Join(w.dir, name) }

// writeFile replaces the file of principals.
func (w *world) writeFile() {
	text := strings.Join(slices.Sorted(maps.Values(w.lines)), "\n") + "\n"
	if err := os.WriteFile(w.file("principals.next"), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(w.file("principals.next"), w.file("principals")); err != nil {
		w.t.Fatal(err)
	}
}

// newToken adds a principal with a token to the file's lines.
func (w *world) newToken(name string, role access.Role, scope string, expires time.Time) *principal {
	parsed, err := access.ParseScope(scope)
	if err != nil {
		w.t.Fatal(err)
	}
	token, line, err := access.NewToken(name, []access.Role{role}, parsed, expires)
	if err != nil {
		w.t.Fatal(err)
	}
	w.lines[name] = line
	w.secrets = append(w.secrets, token)
	return &principal{name: name, token: token, known: true, role: role, scope: scope}
}

// newLine adds a principal of a subject or certificate to the file's lines.
func (w *world) newLine(name, kind, value string, role access.Role, scope string) {
	line, err := json.Marshal(map[string]any{"id": name, kind: value, "roles": []string{string(role)}, "scope": scope})
	if err != nil {
		w.t.Fatal(err)
	}
	w.lines[name] = string(line)
}

func (w *world) add(p *principal) *principal {
	w.principals = append(w.principals, p)
	return p
}

func (w *world) addFilePrincipals() {
	for _, role := range []access.Role{access.RoleIngest, access.RoleRead, access.RoleAdmin} {
		for scope, name := range map[string]string{whole: "whole", own: "own", nothing: "nothing", other: "other"} {
			w.add(w.newToken(string(role)+"-"+name, role, scope, time.Time{}))
		}
	}
	w.add(&principal{name: "nobody"})
	bad := w.newToken("unlisted", access.RoleAdmin, whole, time.Time{})
	delete(w.lines, bad.name)
	bad.known = false
	w.add(bad)
	expired := w.newToken("expired", access.RoleAdmin, whole, time.Now().Add(-time.Hour))
	expired.known = false
	w.add(expired)
}

// addIssuer adds a principal with a token of the issuer.
func (w *world) addIssuer(name string, claims map[string]any, known bool, role access.Role, scope string) {
	token := w.issuer.Token(claims)
	w.secrets = append(w.secrets, token)
	w.add(&principal{name: name, token: token, known: known, role: role, scope: scope})
}

func (w *world) addIssuerPrincipals() {
	w.addIssuer("oidc-own", map[string]any{"sub": "alice", "telemetry_roles": []string{"read"}, "telemetry_scope": own}, true, access.RoleRead, own)
	w.addIssuer("oidc-whole", map[string]any{"sub": "boss", "telemetry_roles": []string{"admin"}, "telemetry_scope": whole}, true, access.RoleAdmin, whole)
	w.addIssuer("oidc-without-claims", map[string]any{"sub": "bob"}, true, "", nothing)
	w.addIssuer("oidc-without-scope", map[string]any{"sub": "carol", "telemetry_roles": []string{"admin"}}, true, access.RoleAdmin, nothing)
	w.newLine("dave-line", "subject", "dave", access.RoleRead, own)
	w.addIssuer("oidc-subject", map[string]any{"sub": "dave", "telemetry_roles": []string{"admin"}, "telemetry_scope": whole}, true, access.RoleRead, own)
	w.addIssuer("oidc-expired", map[string]any{"sub": "alice", "telemetry_roles": []string{"admin"}, "telemetry_scope": whole, "exp": time.Now().Add(-time.Hour).Unix()}, false, "", "")
	w.addIssuer("oidc-audience", map[string]any{"aud": "others", "telemetry_roles": []string{"admin"}, "telemetry_scope": whole}, false, "", "")
	forged := w.issuer.TokenBy(accesstest.NewKey(w.issuer.Key().ID, "ES256"), map[string]any{"telemetry_roles": []string{"admin"}, "telemetry_scope": whole})
	w.secrets = append(w.secrets, forged)
	w.add(&principal{name: "oidc-forged", token: forged})
}

func (w *world) addCertificates() {
	w.newLine("machine-line", "certificate", "machine", access.RoleAdmin, own)
	w.add(&principal{name: "certificate-own", cert: w.clientCertificate("machine"), known: true, role: access.RoleAdmin, scope: own})
	w.add(&principal{name: "certificate-unlisted", cert: w.clientCertificate("stranger")})
}

func (w *world) clientCertificate(cn string) *tls.Certificate {
	cert, key := w.clients.Client(w.t, w.mkdir("client-"+cn), cn)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		w.t.Fatal(err)
	}
	return &pair
}

// named returns a principal.
func (w *world) named(name string) *principal {
	for _, p := range w.principals {
		if p.name == name {
			return p
		}
	}
	w.t.Fatalf("there is no principal %s", name)
	return nil
}

// flags returns the settings of every server.
func (w *world) flags() []string {
	return []string{
		"-access.file=" + w.file("principals"), "-oidc.issuer=" + w.issuer.URL, "-oidc.audience=" + accesstest.Audience, "-oidc.ca=" + w.servers.File,
		"-tls.cert=" + w.file("certs/tls.crt"), "-tls.key=" + w.file("certs/tls.key"), "-tls.client-ca=" + w.clients.File,
		"-access.login-rate=1000000", "-log.level=DEBUG", "-admin.port=0",
	}
}

// tls returns the client's settings of a principal.
func (w *world) tls(p *principal) *tls.Config {
	cfg := &tls.Config{RootCAs: w.servers.Pool(), MinVersion: tls.VersionTLS12}
	if p.cert != nil {
		cfg.Certificates = []tls.Certificate{*p.cert}
	}
	return cfg
}

// client returns an HTTP client of a principal.
func (w *world) client(p *principal) *http.Client {
	transport := &http.Transport{TLSClientConfig: w.tls(p), MaxIdleConnsPerHost: 4}
	w.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: &bearer{transport, p.token}, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// bearer sends a token with each request.
type bearer struct {
	http.RoundTripper
	token string
}

// RoundTrip sends a request.
func (b *bearer) RoundTrip(req *http.Request) (*http.Response, error) {
	if b.token != "" {
		req = req.Clone(req.Context())
		req.Header.Set("Authorization", "Bearer "+b.token)
	}
	return b.RoundTripper.RoundTrip(req)
}

// get returns the status and body of an answer; status 0 stands for a request that failed.
func get(t *testing.T, client *http.Client, address string) (status int, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(body)
}
