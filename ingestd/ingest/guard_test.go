package ingest

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/events/access"
	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
)

// guarded are the principals of a test, in a file that the guard reads.
type guarded struct {
	*access.Guard
	file   string
	lines  map[string]string // by id
	tokens map[string]string
}

// addPrincipal adds a principal, which the file has once write is called.
func (g *guarded) addPrincipal(t testing.TB, id, roles, scope string, expires time.Time) {
	t.Helper()
	parsed, err := access.ParseRoles(roles)
	if err != nil {
		t.Fatal(err)
	}
	selected, err := access.ParseScope(scope)
	if err != nil {
		t.Fatal(err)
	}
	if g.tokens[id], g.lines[id], err = access.NewToken(id, parsed, selected, expires); err != nil {
		t.Fatal(err)
	}
}

func (g *guarded) write(t testing.TB) {
	t.Helper()
	var text strings.Builder
	for _, line := range g.lines {
		text.WriteString(line + "\n")
	}
	if err := os.WriteFile(g.file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// header returns the header that shows the token of a principal.
func (g *guarded) header(id string) string { return "Authorization: Bearer " + g.tokens[id] }

// principals are the roles and scopes of a test's principals, by id.
type principals map[string][2]string

// guardOf returns a guard of principals that never expire.
func guardOf(t testing.TB, cfg access.Config, all principals) *guarded {
	t.Helper()
	g := &guarded{file: filepath.Join(t.TempDir(), "principals"), lines: map[string]string{}, tokens: map[string]string{}}
	for id, p := range all {
		g.addPrincipal(t, id, p[0], p[1], time.Time{})
	}
	g.run(t, cfg)
	return g
}

// run makes a guard of the principals and runs it for the length of the test: it reads its file again when that changes.
func (g *guarded) run(t testing.TB, cfg access.Config) {
	t.Helper()
	g.write(t)
	cfg.File = g.file
	var err error
	if g.Guard, err = access.New(cfg, "", nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// revoke removes a principal from the file.
func (g *guarded) revoke(t testing.TB, id string) {
	t.Helper()
	delete(g.lines, id)
	g.write(t)
}

// send sends a request with headers.
func send(t testing.TB, s *Server, method, path string, body []byte, headers ...string) response {
	t.Helper()
	req, err := http.NewRequest(method, "http://"+s.Addr().String()+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return responseOf(t, resp)
}

// TestClientsAreLimitedByWhoTheyAre: a principal shares its limit with nobody, and nobody evades one by what anybody can send.
func TestClientsAreLimitedByWhoTheyAre(t *testing.T) {
	log := pipelinetest.NewRecorder()
	g := guardOf(t, access.Config{}, principals{"a": {"ingest", "*"}, "b": {"ingest", "*"}})
	s := startServer(t, Config{Guard: g.Guard, Rates: Rates{PerSecond: 0.01, Burst: 1}}, log, log)
	file := pipelinetest.DCGMFile(1, 1)
	for _, step := range []struct {
		id   string
		want int
	}{{"a", 200}, {"a", 429}, {"b", 200}, {"b", 429}} {
		if got := send(t, s, "PUT", uploadPath, file, g.header(step.id), "X-Forwarded-For: 192.0.2.7"); got.status != step.want {
			t.Errorf("%s: got %d %s, want %d", step.id, got.status, got.body, step.want)
		}
	}
}

// TestForwardedAddressesAreBelievedOfProxiesOnly sends uploads without credentials with other addresses in X-Forwarded-For.
func TestForwardedAddressesAreBelievedOfProxiesOnly(t *testing.T) {
	log := pipelinetest.NewRecorder()
	for proxies, want := range map[string]int{"": 429, "192.0.2.0/24": 429, "127.0.0.0/8": 200} {
		guard, err := access.New(access.Config{TrustedProxies: proxies}, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		s := startServer(t, Config{Guard: guard, Rates: Rates{PerSecond: 0.01, Burst: 1}}, log, log)
		file := pipelinetest.DCGMFile(1, 1)
		send(t, s, "PUT", uploadPath, file, "X-Forwarded-For: 198.51.100.1")
		if got := send(t, s, "PUT", uploadPath, file, "X-Forwarded-For: 198.51.100.2"); got.status != want {
			t.Errorf("proxies %q: the second address got %d, want %d", proxies, got.status, want)
		}
	}
}
