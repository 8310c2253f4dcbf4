package issuer

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

// Config names an issuer. The zero Config has none.
type Config struct {
	URL        string // of the issuer, as it is in the claim iss
	Audience   string // which the claim aud of tokens must name
	Algorithms string // accepted signatures, separated by commas; default RS256,ES256,EdDSA
	CA         string // file with the certificates that the issuer's TLS is checked by; default: the certificates of the system
	RolesClaim string // claim with the roles; default telemetry_roles
	ScopeClaim string // claim with the scope; default telemetry_scope
}

// Flags registers the settings.
func (c *Config) Flags(fs *flag.FlagSet) {
	d := c.withDefaults()
	fs.StringVar(&c.URL, "oidc.issuer", c.URL, "URL of an OpenID Connect issuer whose tokens are accepted; empty accepts none")
	fs.StringVar(&c.Audience, "oidc.audience", c.Audience, "audience that the tokens of the issuer must name; needed with oidc.issuer")
	fs.StringVar(&c.Algorithms, "oidc.algorithms", d.Algorithms, "signatures that are accepted, of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512 and EdDSA")
	fs.StringVar(&c.CA, "oidc.ca", c.CA, "file with the certificates that sign the issuer's own; empty takes the ones of the system")
	fs.StringVar(&c.RolesClaim, "oidc.roles-claim", d.RolesClaim, "claim that lists the roles of tokens whose subject is not in access.file")
	fs.StringVar(&c.ScopeClaim, "oidc.scope-claim", d.ScopeClaim, "claim that has the scope of such tokens")
}

func (c Config) withDefaults() Config {
	c.Algorithms = cmp.Or(c.Algorithms, "RS256,ES256,EdDSA")
	c.RolesClaim = cmp.Or(c.RolesClaim, "telemetry_roles")
	c.ScopeClaim = cmp.Or(c.ScopeClaim, "telemetry_scope")
	return c
}

// Enabled reports whether there is an issuer.
func (c Config) Enabled() bool { return c.URL != "" }

// publicKeyAlgorithms returns the algorithms that may be configured. None has a shared secret: with one, everybody who can
// verify a token can make one.
func publicKeyAlgorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

// parseAlgorithms returns the accepted algorithms.
func (c Config) parseAlgorithms() ([]string, error) {
	var all []string
	for name := range strings.SplitSeq(c.Algorithms, ",") {
		if name = strings.TrimSpace(name); !slices.Contains(publicKeyAlgorithms(), name) {
			return nil, fmt.Errorf("flag oidc.algorithms: %q is none of %s", name, strings.Join(publicKeyAlgorithms(), ", "))
		}
		all = append(all, name)
	}
	return all, nil
}

// checkURL refuses an issuer that is reached without encryption, unless it is on this machine.
func (c Config) checkURL() error {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return fmt.Errorf("flag oidc.issuer: %q is no issuer; write its URL such as https://login.example.org", c.URL)
	}
	if !isPrivate(u) {
		return fmt.Errorf("flag oidc.issuer: %q must begin with https://, since keys that come without encryption can be anybody's", c.URL)
	}
	return nil
}

// isPrivate reports whether nobody can change answers on their way from an address.
func isPrivate(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Host != "" && (u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()))
}

// maxResponse bounds an answer of the issuer, and requestTimeout its time.
const (
	maxResponse    = 1 << 20
	requestTimeout = 10 * time.Second
)

// newClient returns a client for the issuer with the configured certificates.
func (c Config) newClient() (*http.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if c.CA != "" {
		text, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("flag oidc.ca: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("flag oidc.ca: %s has no certificate in PEM form", c.CA)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return &http.Client{Transport: boundedTransport{transport}, Timeout: requestTimeout, CheckRedirect: refuseRedirect}, nil
}

// refuseRedirect refuses all redirects: they could lead to keys of somebody else, or without encryption.
func refuseRedirect(req *http.Request, _ []*http.Request) error {
	return fmt.Errorf("it redirects to %s, which is not followed", req.URL.Redacted())
}

// boundedTransport bounds the bytes of answers.
type boundedTransport struct{ http.RoundTripper }

// RoundTrip sends a request.
func (t boundedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.RoundTripper.RoundTrip(req)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxResponse)
	}
	return resp, err
}

var errNoAudience = errors.New("flag oidc.audience is empty; name the audience of this system, or tokens that the issuer made for others would be accepted")
