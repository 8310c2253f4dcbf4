package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// secrets are the certificates and tokens of a run with access and TLS. Without, a run has none: nil.
type secrets struct {
	*authority
	principals string            // file
	tokens     map[string]string // by caller
}

// The certificates: of servers (members of etcd, daemons, and proxies), and of the users of etcd.
const (
	serverName = "server"
	rootUser   = "root"
)

// The callers of the daemons, by the name of their token.
const (
	noRole      = ""        // has no token
	unknownRole = "unknown" // has one that the daemons do not know
	rackRole    = "rack"    // reads some hosts
)

// newSecrets makes certificates and tokens in dir, the tokens by the program queryd in dir.
func newSecrets(ctx context.Context, dir string) (*secrets, error) {
	a, err := newAuthority(filepath.Join(dir, "secrets"))
	if err != nil {
		return nil, err
	}
	for _, name := range []string{serverName, rootUser, "ingestd", "collectd", "queryd"} {
		if err := a.issueCertificate(name); err != nil {
			return nil, err
		}
	}
	s := &secrets{authority: a, principals: filepath.Join(a.dir, "principals"), tokens: map[string]string{}}
	var lines []string
	for _, caller := range []struct{ name, roles, scope string }{
		{"ingest", "ingest", "*"}, {"read", "read", "*"}, {"admin", "admin", "*"}, {rackRole, "read", "host=" + rackHosts}, {unknownRole, "admin", "*"},
	} {
		line, err := s.makeToken(ctx, dir, caller.name, caller.roles, caller.scope)
		if err != nil {
			return nil, err
		}
		if caller.name != unknownRole {
			lines = append(lines, line)
		}
	}
	return s, os.WriteFile(s.principals, []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}

// makeToken makes a token by the program queryd in dir, and returns its line for the file of principals.
func (s *secrets) makeToken(ctx context.Context, dir, name, roles, scope string) (line string, err error) {
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "queryd"), "token", "-name="+name, "-roles="+roles, "-scope="+scope, "new").Output()
	if err != nil {
		return "", fmt.Errorf("queryd token new for %s: %w", name, err)
	}
	for text := range strings.Lines(string(out)) {
		switch text = strings.TrimSpace(text); {
		case strings.HasPrefix(text, "{"):
			line = text
		case strings.Contains(text, "tp_"):
			s.tokens[name] = text[strings.Index(text, "tp_"):]
		}
	}
	if line == "" || s.tokens[name] == "" {
		return "", fmt.Errorf("queryd token new printed no token and line for %s", name)
	}
	return line, nil
}

// scheme returns the scheme of an address: http, or with secrets https.
func (s *secrets) scheme() string {
	if s == nil {
		return "http://"
	}
	return "https://"
}

// listenerFlags returns the flags by which a daemon serves over TLS and asks for tokens.
func (s *secrets) listenerFlags() []string {
	if s == nil {
		return nil
	}
	return []string{"-access.file=" + s.principals, "-tls.cert=" + s.certFile(serverName), "-tls.key=" + s.keyFile(serverName)}
}

// etcdFlags returns the flags by which a program is a user of etcd.
func (s *secrets) etcdFlags(user string) []string {
	if s == nil {
		return nil
	}
	return []string{"-etcd.ca=" + s.certFile(authorityName), "-etcd.cert=" + s.certFile(user), "-etcd.key=" + s.keyFile(user)}
}

// memberFlags returns the flags by which a member of etcd takes clients and peers with certificates only.
func (s *secrets) memberFlags() []string {
	if s == nil {
		return nil
	}
	ca, cert, key := s.certFile(authorityName), s.certFile(serverName), s.keyFile(serverName)
	return []string{
		"--client-cert-auth", "--trusted-ca-file", ca, "--cert-file", cert, "--key-file", key,
		"--peer-client-cert-auth", "--peer-trusted-ca-file", ca, "--peer-cert-file", cert, "--peer-key-file", key,
		"--auto-compaction-mode=periodic", "--auto-compaction-retention=5m",
	}
}

// trust returns the settings of a client of the daemons.
func (s *secrets) trust() *tls.Config {
	if s == nil {
		return nil
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: s.pool}
}

// bearerHeader returns the header of a caller's requests.
func (s *secrets) bearerHeader(role string) http.Header {
	if s == nil || role == noRole {
		return nil
	}
	return http.Header{"Authorization": {"Bearer " + s.tokens[role]}}
}

// newClient returns an HTTP client with the token of a caller.
func (s *secrets) newClient(role string, timeout time.Duration) *http.Client {
	return &http.Client{Timeout: timeout, Transport: &asRole{header: s.bearerHeader(role),
		next: &http.Transport{TLSClientConfig: s.trust(), MaxIdleConnsPerHost: 16, DisableKeepAlives: role == "ingest"}}}
}

// asRole sends requests with a header.
type asRole struct {
	header http.Header
	next   http.RoundTripper
}

// RoundTrip sends a request.
func (r *asRole) RoundTrip(req *http.Request) (*http.Response, error) {
	if len(r.header) > 0 {
		req = req.Clone(req.Context())
		for name, values := range r.header {
			req.Header[name] = values
		}
	}
	return r.next.RoundTrip(req)
}
