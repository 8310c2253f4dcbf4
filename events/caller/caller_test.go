package caller

import (
	"crypto/tls"
	"errors"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"telemetry-pipeline/events/listen/listentest"
)

const token = "tp_0123456789"

func parseURL(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func newCaller(t *testing.T, cfg Config, server string) *Caller {
	t.Helper()
	c, err := New(cfg, parseURL(t, server))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// serveNames starts an HTTPS server that answers with the token and the name of the client's certificate.
func serveNames(t *testing.T, ca, clients *listentest.CA) (address string) {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(ca.Server(t, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := r.Header.Get("Authorization")
		if len(r.TLS.PeerCertificates) > 0 {
			text += " " + r.TLS.PeerCertificates[0].Subject.CommonName
		}
		_, _ = io.WriteString(w, text)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: clients.Pool()}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL
}

func get(t *testing.T, c *Caller, address string) (string, error) {
	t.Helper()
	client := c.HTTPClient(&http.Transport{DisableKeepAlives: true})
	resp, err := client.Get(address)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

func writeToken(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRequestsProveWhoCalls(t *testing.T) {
	ca, clients := listentest.NewCA(t), listentest.NewCA(t)
	address, dir := serveNames(t, ca, clients), t.TempDir()
	cfg := Config{CA: ca.File, TokenFile: filepath.Join(dir, "token")}
	cfg.Cert, cfg.Key = clients.Client(t, dir, "agent-7")
	writeToken(t, cfg.TokenFile, token+"\n")
	c := newCaller(t, cfg, address)
	if got, err := get(t, c, address); err != nil || got != "Bearer "+token+" agent-7" {
		t.Errorf("got %q, %v", got, err)
	}

	// Renewed files are used without a restart.
	writeToken(t, cfg.TokenFile, "tp_next")
	clients.Client(t, dir, "agent-8")
	if got, err := get(t, c, address); err != nil || got != "Bearer tp_next agent-8" {
		t.Errorf("after a renewal: got %q, %v", got, err)
	}

	writeToken(t, cfg.TokenFile, "")
	if got, err := get(t, c, address); err == nil || !strings.Contains(err.Error(), "token-file") {
		t.Errorf("with an empty file: got %q, %v, want an error that names the flag", got, err)
	}
	if got, err := get(t, newCaller(t, Config{}, address), address); err == nil {
		t.Errorf("an unknown authority: got %q, want an error", got)
	}
}

func TestATokenGoesToItsServerOnly(t *testing.T) {
	seen := map[string]string{}
	var other *httptest.Server
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen["first "+r.URL.Path] = r.Header.Get("Authorization")
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, other.URL+"/", http.StatusTemporaryRedirect)
		case "/within":
			http.Redirect(w, r, "/end", http.StatusTemporaryRedirect)
		case "/round":
			http.Redirect(w, r, "/round", http.StatusTemporaryRedirect)
		}
	}))
	defer first.Close()
	other = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen["other"] = r.Header.Get("Authorization") }))
	defer other.Close()

	c := newCaller(t, Config{Token: token}, first.URL)
	_, err := get(t, c, first.URL+"/away")
	if away, ok := errors.AsType[*RedirectError](err); !ok || away.URL != other.URL || strings.Contains(err.Error(), token) {
		t.Errorf("a redirect to another server: %v", err)
	}
	if _, err := get(t, c, first.URL+"/within"); err != nil || seen["first /end"] != "Bearer "+token {
		t.Errorf("a redirect within the server: %v, the token was %q", err, seen["first /end"])
	}
	if _, err := get(t, c, first.URL+"/round"); err == nil {
		t.Error("an endless redirect ends without an error")
	}
	if _, ok := seen["other"]; ok {
		t.Error("the other server was asked")
	}
	if _, err := get(t, c, other.URL+"/"); err != nil || seen["other"] != "" {
		t.Errorf("a request to another server: %v, the token was %q", err, seen["other"])
	}
	if _, err := get(t, newCaller(t, Config{}, first.URL), first.URL+"/away"); err != nil {
		t.Errorf("without a token: %v", err)
	}
}

func TestUnusableSettingsAreRefused(t *testing.T) {
	dir := t.TempDir()
	ca := listentest.NewCA(t)
	cert, key := ca.Client(t, dir, "agent-7")
	empty, lines, missing := filepath.Join(dir, "empty"), filepath.Join(dir, "lines"), filepath.Join(dir, "missing")
	writeToken(t, empty, "\n")
	writeToken(t, lines, token+"\n"+token)
	for name, tt := range map[string]struct {
		args, token, server string
		want                string // "": accepted
	}{
		"nothing":                   {"", "", "http://example.org", ""},
		"a token over HTTPS":        {"", token, "https://example.org", ""},
		"a token to this machine":   {"", token, "http://localhost:8081", ""},
		"a token to ::1":            {"", token, "ws://[::1]:8081", ""},
		"a token in the clear":      {"", token, "http://example.org:8081", "example.org"},
		"a token over ws":           {"", token, "ws://10.1.2.3/graphql", "flag url"},
		"a token over wss":          {"", token, "wss://10.1.2.3/graphql", ""},
		"a file in the clear":       {"-token-file=" + cert, "", "http://example.org", "https://"},
		"a file beats the variable": {"-token-file=" + empty, token, "https://example.org", empty},
		"a token of two words":      {"", token + " " + token, "https://example.org", "TOKEN"},
		"a file of two lines":       {"-token-file=" + lines, "", "https://example.org", lines},
		"an empty file":             {"-token-file=" + empty, "", "https://example.org", empty},
		"a missing file":            {"-token-file=" + missing, "", "https://example.org", missing},
		"a certificate alone":       {"-cert=" + cert, "", "https://example.org", "key"},
		"a key alone":               {"-key=" + key, "", "https://example.org", "cert"},
		"a pair":                    {"-cert=" + cert + " -key=" + key, "", "https://example.org", ""},
		"a pair the wrong way":      {"-cert=" + key + " -key=" + cert, "", "https://example.org", "flags cert"},
		"an authority":              {"-ca=" + ca.File, "", "https://example.org", ""},
		"a key for an authority":    {"-ca=" + key, "", "https://example.org", key},
		"no file for the authority": {"-ca=" + missing, "", "https://example.org", missing},
	} {
		t.Run(name, func(t *testing.T) {
			var cfg Config
			fs := flag.NewFlagSet("test", flag.ContinueOnError)
			cfg.Flags(fs)
			if err := fs.Parse(strings.Fields(tt.args)); err != nil {
				t.Fatal(err)
			}
			cfg.Token = tt.token
			_, err := New(cfg, parseURL(t, tt.server))
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want an error with %q", err, tt.want)
			case err != nil && strings.Contains(err.Error(), token):
				t.Errorf("the token is in the error: %v", err)
			}
		})
	}
}
