package caller

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"unicode"
)

// Caller is a client's identity towards one server. It is safe for concurrent use.
type Caller struct {
	cfg    Config
	server *url.URL
	tls    *tls.Config
}

// New reads the files of cfg, to refuse unusable ones. server is the configured address, of scheme http, https, ws or wss.
func New(cfg Config, server *url.URL) (*Caller, error) {
	if err := cfg.checkFlags(server); err != nil {
		return nil, err
	}
	c := &Caller{cfg: cfg, server: server, tls: &tls.Config{MinVersion: tls.VersionTLS12}}
	if err := c.trustAuthorities(); err != nil {
		return nil, err
	}
	if cfg.Cert != "" {
		if _, err := c.loadCertificate(nil); err != nil {
			return nil, err
		}
		c.tls.GetClientCertificate = c.loadCertificate
	}
	if _, err := c.Token(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Caller) trustAuthorities() error {
	if c.cfg.CA == "" {
		return nil
	}
	content, err := os.ReadFile(c.cfg.CA)
	if err != nil {
		return fmt.Errorf("flag ca: %w", err)
	}
	c.tls.RootCAs = x509.NewCertPool()
	if !c.tls.RootCAs.AppendCertsFromPEM(content) {
		return fmt.Errorf("flag ca: no certificate in PEM form is in %s", c.cfg.CA)
	}
	return nil
}

// loadCertificate returns the client certificate. It does not use the server's request.
func (c *Caller) loadCertificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(c.cfg.Cert, c.cfg.Key)
	if err != nil {
		return nil, fmt.Errorf("flags cert (%s) and key (%s): %w", c.cfg.Cert, c.cfg.Key, err)
	}
	return &pair, nil
}

// Token returns the bearer token of now, "" if none is configured.
func (c *Caller) Token() (string, error) {
	token, source := c.cfg.Token, "environment variable "+TokenVariable
	if c.cfg.TokenFile != "" {
		content, err := os.ReadFile(c.cfg.TokenFile)
		if err != nil {
			return "", fmt.Errorf("flag token-file: %w", err)
		}
		token, source = string(content), "flag token-file: "+c.cfg.TokenFile
	}
	token = strings.TrimSpace(token)
	switch {
	case token == "" && c.cfg.hasToken():
		return "", fmt.Errorf("%s has no token in it", source)
	case strings.ContainsFunc(token, isForbidden):
		return "", fmt.Errorf("%s has more than a token in it: a space, a line break or another character that no token has", source)
	}
	return token, nil
}

// isForbidden reports whether a character cannot be in a token.
func isForbidden(r rune) bool {
	return r > unicode.MaxASCII || unicode.IsSpace(r) || unicode.IsControl(r)
}

// TLSConfig returns the configuration of connections to the server. The caller owns it.
func (c *Caller) TLSConfig() *tls.Config { return c.tls.Clone() }

// HTTPClient returns a client that sends the token. It takes over base.
func (c *Caller) HTTPClient(base *http.Transport) *http.Client {
	base.TLSClientConfig = c.TLSConfig()
	return &http.Client{Transport: authorized{base, c}, CheckRedirect: c.checkRedirect}
}

// RedirectError is a redirect to an address that must not have the token. Another attempt would meet it again.
type RedirectError struct{ URL string }

func (e *RedirectError) Error() string {
	return "the server redirects to " + e.URL + ", which must not have the token; name the right server with flag url"
}

// maxRedirects is the bound of http.Client, which CheckRedirect replaces.
const maxRedirects = 10

// checkRedirect refuses to leave the server if that would be without the token.
func (c *Caller) checkRedirect(req *http.Request, via []*http.Request) error {
	switch {
	case len(via) >= maxRedirects:
		return errors.New("the server redirects again and again")
	case c.cfg.hasToken() && !c.isServer(req.URL):
		return &RedirectError{URL: req.URL.Scheme + "://" + req.URL.Host}
	}
	return nil
}

// isServer reports whether a URL is of the configured server.
func (c *Caller) isServer(u *url.URL) bool {
	return u.Scheme == c.server.Scheme && strings.EqualFold(u.Host, c.server.Host)
}

// authorized adds the token to requests to the server.
type authorized struct {
	base   http.RoundTripper
	caller *Caller
}

// RoundTrip sends a copy of the request with the token.
func (a authorized) RoundTrip(req *http.Request) (*http.Response, error) {
	if !a.caller.cfg.hasToken() || !a.caller.isServer(req.URL) {
		return a.base.RoundTrip(req)
	}
	token, err := a.caller.Token()
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // as a RoundTripper must; the error that counts is err
		}
		return nil, err
	}
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+token)
	return a.base.RoundTrip(req)
}

// CloseIdleConnections closes the connections that are not in use, for http.Client.
func (a authorized) CloseIdleConnections() {
	if idle, ok := a.base.(interface{ CloseIdleConnections() }); ok {
		idle.CloseIdleConnections()
	}
}
