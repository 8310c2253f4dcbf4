package access

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"telemetry-pipeline/events/access/accesstest"
	"telemetry-pipeline/events/access/issuer"
)

// testLog is a log that can be read while it is written.
type testLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *testLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *testLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *testLog) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(l, nil)) }

// checkSecrets fails the test if the log shows one of the tokens.
func (l *testLog) checkSecrets(t *testing.T, tokens ...string) {
	t.Helper()
	for _, token := range tokens {
		if strings.Contains(l.String(), token) || strings.Contains(l.String(), hashHex(token)) {
			t.Errorf("the log shows a token or its hash:\n%s", l)
		}
	}
}

// valueOf returns the value of a metric.
func valueOf(t *testing.T, metric prometheus.Collector) float64 {
	t.Helper()
	reg := prometheus.NewRegistry()
	reg.MustRegister(metric)
	families, err := reg.Gather()
	if err != nil || len(families) != 1 || len(families[0].Metric) != 1 {
		t.Fatalf("got metrics %v, error %v, want one", families, err)
	}
	m := families[0].Metric[0]
	return m.GetCounter().GetValue() + m.GetGauge().GetValue()
}

var caller = netip.MustParseAddr("192.0.2.1")

// identify returns the principal of a token.
func identify(g *Guard, token string) (*Principal, error) {
	return g.Identify(context.Background(), Credentials{Token: token}, caller)
}

// putLines writes lines to a file at once.
func putLines(t testing.TB, name string, lines ...string) {
	t.Helper()
	if err := os.WriteFile(name+".new", []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}

// start runs a guard until the test ends.
func start(t *testing.T, g *Guard) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("got error %v from Run", err)
		}
	})
}

func TestFileIsReadAgain(t *testing.T) {
	alice, aliceLine := tokenLine(t, "alice", "read", "*", time.Time{})
	bob, bobLine := tokenLine(t, "bob", "read", "*", time.Time{})
	name := writeFile(t, aliceLine)
	synctest.Test(t, func(t *testing.T) {
		var log testLog
		g, err := New(Config{File: name}, "c", log.logger())
		if err != nil {
			t.Fatal(err)
		}
		start(t, g)
		check := func(step string, wantAlice, wantBob bool) {
			t.Helper()
			time.Sleep(filePoll + fileSettle + time.Millisecond)
			synctest.Wait()
			for token, want := range map[string]bool{alice: wantAlice, bob: wantBob} {
				if p, err := identify(g, token); (err == nil) != want {
					t.Errorf("%s: got principal %v, error %v, want one: %t", step, p, err, want)
				}
			}
		}
		failures := func() float64 { return valueOf(t, g.metrics.fileFailures) }
		check("first", true, false)
		putLines(t, name, aliceLine, bobLine)
		check("added", true, true)
		putLines(t, name, bobLine)
		check("revoked", false, true)
		putLines(t, name, aliceLine, bobLine, alice)
		for range 5 {
			check("bad", false, true)
		}
		if got := strings.Count(log.String(), "cannot be used"); got != 1 {
			t.Errorf("got %d lines about a bad file, want 1:\n%s", got, &log)
		}
		if !strings.Contains(log.String(), "line 3") {
			t.Errorf("the log does not name the line:\n%s", &log)
		}
		if got := failures(); got != 5 {
			t.Errorf("got %g failures, want 5", got)
		}
		putLines(t, name, bobLine)
		check("as it was", false, true)
		if got := strings.Count(log.String(), "used again"); got != 1 {
			t.Errorf("got %d lines about the recovery, want 1:\n%s", got, &log)
		}
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		check("gone", false, true)
		check("gone", false, true)
		if got := strings.Count(log.String(), "cannot be used"); got != 2 {
			t.Errorf("got %d lines about bad files, want 2:\n%s", got, &log)
		}
		putLines(t, name, aliceLine)
		check("returned", true, false)
		putLines(t, name, "")
		check("empty", true, false)
		putLines(t, name, "# nobody")
		check("without principals", false, false)
		log.checkSecrets(t, alice, bob)
	})
}

// TestFileThatIsBeingWrittenRevokesNobody writes a file in place, as editors and shells do: it is empty for a moment, then short.
func TestFileThatIsBeingWrittenRevokesNobody(t *testing.T) {
	alice, aliceLine := tokenLine(t, "alice", "read", "*", time.Time{})
	bob, bobLine := tokenLine(t, "bob", "read", "*", time.Time{})
	carol, carolLine := tokenLine(t, "carol", "read", "*", time.Time{})
	name := writeFile(t, aliceLine, bobLine)
	put := func(lines ...string) {
		if err := os.WriteFile(name, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	whole := []string{aliceLine, bobLine, carolLine}
	for _, looks := range [][2][]string{ // the file at the first look and at the second
		{{""}, whole}, {{aliceLine}, whole}, {{aliceLine, bobLine[:20]}, whole}, {{""}, {aliceLine}}, {{"# nobody"}, {aliceLine}},
	} {
		put(aliceLine, bobLine)
		synctest.Test(t, func(t *testing.T) {
			g := newGuard(t, Config{File: name})
			p, err := identify(g, bob)
			if err != nil {
				t.Fatal(err)
			}
			session, end := g.Bind(t.Context(), p)
			defer end()
			start(t, g)
			time.Sleep(filePoll - fileSettle/2)
			put(looks[0]...)
			time.Sleep(fileSettle) // the first look is in the middle of it
			put(looks[1]...)
			for range 3 {
				synctest.Wait()
				if _, err := identify(g, bob); err != nil || context.Cause(session) != nil {
					t.Fatalf("%q: got error %v, cause %v", looks, err, context.Cause(session))
				}
				time.Sleep(fileSettle / 2)
			}
			put(whole...)
			if failures := valueOf(t, g.metrics.fileFailures); failures != 0 {
				t.Errorf("%q: got %g failures, want none", looks, failures)
			}
			time.Sleep(filePoll + fileSettle)
			synctest.Wait()
			for _, token := range []string{alice, bob, carol} {
				if _, err := identify(g, token); err != nil || context.Cause(session) != nil {
					t.Errorf("%q: got error %v, cause %v of the whole file", looks, err, context.Cause(session))
				}
			}
		})
	}
}

func TestMountedSecretIsReadAgain(t *testing.T) {
	alice, aliceLine := tokenLine(t, "alice", "read", "*", time.Time{})
	bob, bobLine := tokenLine(t, "bob", "read", "*", time.Time{})
	dir := t.TempDir()
	for folder, line := range map[string]string{"..1": aliceLine, "..2": bobLine} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
		putLines(t, filepath.Join(dir, folder, "principals"), line)
	}
	link := func(from, to string) {
		if err := errors.Join(os.Symlink(to, filepath.Join(dir, "tmp")), os.Rename(filepath.Join(dir, "tmp"), filepath.Join(dir, from))); err != nil {
			t.Fatal(err)
		}
	}
	link("..data", "..1")
	link("principals", "..data/principals")
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, Config{File: filepath.Join(dir, "principals")})
		start(t, g)
		if _, err := identify(g, alice); err != nil {
			t.Fatal(err)
		}
		link("..data", "..2")
		time.Sleep(filePoll + fileSettle + time.Millisecond)
		synctest.Wait()
		if _, err := identify(g, alice); err == nil {
			t.Error("the earlier Secret's token is still taken")
		}
		if _, err := identify(g, bob); err != nil {
			t.Errorf("got error %v for the new Secret's token", err)
		}
	})
}

func TestSessionsEnd(t *testing.T) {
	_, kept := tokenLine(t, "kept", "read", "host=a", time.Time{})
	_, revoked := tokenLine(t, "revoked", "read", "*", time.Time{})
	_, roles := tokenLine(t, "roles", "read,ingest", "*", time.Time{})
	_, scope := tokenLine(t, "scope", "read", "*", time.Time{})
	base := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // the time in a bubble
	_, expiring := tokenLine(t, "expiring", "read", "*", base.Add(time.Minute))
	name := writeFile(t, kept, revoked, roles, scope, expiring)
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, Config{File: name})
		sessions := map[string]context.Context{}
		var ends []func()
		for _, p := range g.book.Load().tokens {
			ctx, end := g.Bind(t.Context(), p)
			if PrincipalFrom(ctx) != p || ScopeFrom(ctx).String() != p.Scope.String() {
				t.Errorf("%s: the context has principal %v", p.ID, PrincipalFrom(ctx))
			}
			sessions[p.ID] = ctx
			ends = append(ends, end)
		}
		check := func(step string, want map[string]error) {
			t.Helper()
			synctest.Wait()
			for id, ctx := range sessions {
				if got := context.Cause(ctx); !errors.Is(got, want[id]) || (got == nil) != (want[id] == nil) {
					t.Errorf("%s, %s: got cause %v, want %v", step, id, got, want[id])
				}
			}
		}
		check("start", nil)
		putLines(t, name, "# moved", expiring, kept, strings.Replace(roles, `,"read"`, "", 1), strings.Replace(scope, `"*"`, `"host=b"`, 1))
		if err := g.readFile(); err != nil {
			t.Fatal(err)
		}
		want := map[string]error{"revoked": ErrRevoked, "roles": ErrRevoked, "scope": ErrRevoked}
		check("reload", want)
		time.Sleep(59 * time.Second)
		check("before expiry", want)
		time.Sleep(2 * time.Second)
		want["expiring"] = ErrExpired
		check("expiry", want)
		if got := g.sessions.count(); got != 5 {
			t.Errorf("got %d sessions, want 5", got)
		}
		for _, end := range ends {
			end()
			end()
		}
		if got := g.sessions.count(); got != 0 {
			t.Errorf("got %d sessions after their end, want 0", got)
		}
		if got := context.Cause(sessions["kept"]); !errors.Is(got, context.Canceled) {
			t.Errorf("got cause %v for an ended session, want context.Canceled", got)
		}
	})
}

func TestBindDuringReload(t *testing.T) {
	t.Parallel()
	token, line := tokenLine(t, "alice", "read", "*", time.Time{})
	for range 50 {
		name := writeFile(t, line)
		g := newGuard(t, Config{File: name})
		p, err := identify(g, token)
		if err != nil {
			t.Fatal(err)
		}
		putLines(t, name, "# nobody")
		var all sync.WaitGroup
		all.Go(func() {
			if err := g.readFile(); err != nil {
				t.Error(err)
			}
		})
		contexts := make([]context.Context, 8)
		for i := range contexts {
			all.Go(func() { contexts[i], _ = g.Bind(t.Context(), p) })
		}
		all.Wait()
		for _, ctx := range contexts {
			if got := context.Cause(ctx); !errors.Is(got, ErrRevoked) {
				t.Fatalf("got cause %v, want ErrRevoked", got)
			}
		}
	}
}

func TestIdentify(t *testing.T) {
	t.Parallel()
	good, line := tokenLine(t, "good", "read", "*", time.Time{})
	expired, expiredLine := tokenLine(t, "expired", "read", "*", time.Now().Add(-time.Second))
	g := newGuard(t, Config{File: writeFile(t, line, expiredLine)})
	tests := []struct {
		name, authorization string
		want                bool
	}{
		{"good", "Bearer " + good, true},
		{"case", "bEARER " + good, true},
		{"two spaces", "Bearer  " + good, true},
		{"space after", "Bearer " + good + " ", true},
		{"none", "", false},
		{"no token", "Bearer ", false},
		{"no scheme", good, false},
		{"wrong scheme", "Basic " + good, false},
		{"two tokens", "Bearer " + good + " " + good, false},
		{"bad", "Bearer tp_x", false},
		{"cut", "Bearer " + good[:len(good)-1], false},
		{"longer", "Bearer " + good + "x", false},
		{"upper case", "Bearer " + strings.ToUpper(good), false},
		{"its hash", "Bearer " + hashHex(good), false},
		{"expired", "Bearer " + expired, false},
		{"huge", "Bearer " + strings.Repeat("x", 1<<20), false},
		{"dots", "Bearer a.b.c", false},
	}
	for _, tt := range tests {
		token := BearerToken(tt.authorization)
		p, err := identify(g, token)
		if (err == nil) != tt.want || err == nil && p.ID != "good" {
			t.Errorf("%s: got principal %v, error %v", tt.name, p, err)
		}
		if refusal := refusalOf(t, err); refusal != nil {
			if refusal.Code != Unauthenticated || refusal.Status != 401 || refusal.CloseCode() != 4401 || len(refusal.Text) > 300 {
				t.Errorf("%s: got %+v", tt.name, refusal)
			}
			if len(token) > 10 && strings.Contains(refusal.Text, token) {
				t.Errorf("%s: the refusal shows the token: %s", tt.name, refusal.Text)
			}
		}
	}
	if _, err := identify(g, strings.Repeat("x", maxToken+1)); err == nil || !strings.Contains(err.Error(), "16385 bytes") {
		t.Errorf("got error %v for a huge token, want one about its size", err)
	}
	chain := &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{}}}}
	if _, err := g.Identify(t.Context(), Credentials{TLS: chain}, caller); codeOf(t, err) != Unauthenticated {
		t.Errorf("got error %v for a certificate of nobody", err)
	}
}

func TestFailedLoginsAreLimited(t *testing.T) {
	good, line := tokenLine(t, "good", "read", "*", time.Time{})
	name := writeFile(t, line)
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, Config{File: name, LoginRate: 10})
		failUntilLimited := func(address netip.Addr) (failed int, refusal *Refusal) {
			for range 100 {
				_, err := g.Identify(t.Context(), Credentials{Token: "bad"}, address)
				if refusal = refusalOf(t, err); refusal.Code == TooManyRequests {
					return failed, refusal
				}
				failed++
			}
			return failed, refusal
		}
		failed, refusal := failUntilLimited(caller)
		if failed != 5 || refusal.Status != 429 || refusal.RetryAfter < time.Second || refusal.RetryAfter > 6*time.Second {
			t.Errorf("got %d failures, then %+v, want 5, then 429", failed, refusal)
		}
		if _, err := identify(g, good); err != nil {
			t.Errorf("got error %v for a good token", err)
		}
		if _, err := g.Identify(t.Context(), Credentials{}, caller); codeOf(t, err) != Unauthenticated {
			t.Errorf("got error %v without credentials, want 401", err)
		}
		time.Sleep(refusal.RetryAfter)
		if failed, _ := failUntilLimited(caller); failed != 1 {
			t.Errorf("got %d failures after the wait, want 1", failed)
		}
		if failed, _ := failUntilLimited(netip.MustParseAddr("192.0.2.2")); failed != 5 {
			t.Errorf("got %d failures of another address, want 5", failed)
		}
		failUntilLimited(netip.MustParseAddr("2001:db8::1"))
		if failed, _ := failUntilLimited(netip.MustParseAddr("2001:db8::2")); failed != 0 {
			t.Errorf("got %d failures of another address of the same network, want 0", failed)
		}
		if failed, _ := failUntilLimited(netip.MustParseAddr("2001:db8:0:1::1")); failed != 5 {
			t.Errorf("got %d failures of another network, want 5", failed)
		}
	})
	f := newFailedLogins(60)
	for i := range 3 * rememberedAddresses {
		f.note(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), time.Now())
	}
	if got := f.addresses.Len(); got != rememberedAddresses {
		t.Errorf("got %d addresses, want %d", got, rememberedAddresses)
	}
	tiny := newFailedLogins(1e-300)
	tiny.note(caller, time.Now())
	if got := tiny.waitTime(caller, time.Now()); got != time.Hour {
		t.Errorf("got %s to wait for a tiny rate, want 1h", got)
	}
}

func TestConcurrentRequestsAreLimited(t *testing.T) {
	t.Parallel()
	g := newGuard(t, Config{PerPrincipal: 2})
	var leaves []func()
	for range 2 {
		leave, err := g.calls.enter("a")
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, leave)
	}
	if _, err := g.calls.enter("a"); codeOf(t, err) != TooManyRequests || refusalOf(t, err).RetryAfter <= 0 {
		t.Errorf("got error %v, want 429 with a time to wait", err)
	}
	if leave, err := g.calls.enter("b"); err != nil {
		t.Errorf("got error %v for another caller", err)
	} else {
		leave()
	}
	leaves[0]()
	if _, err := g.calls.enter("a"); err != nil {
		t.Errorf("got error %v after one is answered", err)
	}
	leaves[1]()
	leaves[1]()
	leaves[1]()
	if got := len(g.calls.now); got != 0 {
		t.Errorf("got %d callers, want 0", got)
	}
	if got := CallerKey(&Principal{ID: "1.1.1.1", Method: ByToken}, caller); got == CallerKey(nil, netip.MustParseAddr("1.1.1.1")) {
		t.Errorf("got key %q for a principal, which is also an address's", got)
	}
}

func TestAudit(t *testing.T) {
	t.Parallel()
	good, line := tokenLine(t, "good", "read", "*", time.Time{})
	file := filepath.Join(t.TempDir(), "audit.log")
	var log testLog
	g, err := New(Config{File: writeFile(t, line), Audit: file}, "c", log.logger())
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("got mode %v, error %v, want 0600", info, err)
	}
	gate := g.NewGate(false)
	bad := "tp_bad-token-of-this-test"
	for _, token := range []string{good, bad, ""} {
		_, _ = gate.Admit(t.Context(), &Request{Method: "POST", Route: "/x/:id", ID: "r1", Peer: caller, Credentials: Credentials{Token: token}}, Administer)
	}
	_ = gate.CheckSite(&Request{Method: "PO\"ST\n", Route: "/", ID: "r2", Peer: caller, Origin: "null"})
	p, _ := identify(g, good)
	g.Record(Action{RequestID: "r3", Principal: p, Address: caller, Method: "POST", Route: "/up", Decision: Allowed, Detail: []slog.Attr{slog.Int("rows", 7)}})
	if err := g.audit.close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	want := []struct{ id, principal, by, decision string }{
		{"r1", "good", "token", "forbidden"}, {"r1", "nobody", "none", "unauthenticated"}, {"r1", "nobody", "none", "unauthenticated"},
		{"r2", "nobody", "none", "cross_site"}, {"r3", "good", "token", "allowed"},
	}
	if len(lines) != len(want) {
		t.Fatalf("got %d lines, want %d:\n%s", len(lines), len(want), text)
	}
	for i, w := range want {
		var got map[string]any
		if err := json.Unmarshal([]byte(lines[i]), &got); err != nil {
			t.Fatalf("line %d: %v", i, err)
		}
		if got["request_id"] != w.id || got["principal"] != w.principal || got["identified_by"] != w.by || got["decision"] != w.decision || got["address"] != caller.String() {
			t.Errorf("got %s, want %+v", lines[i], w)
		}
		for _, member := range []string{"time", "method", "route"} {
			if got[member] == "" || got[member] == nil {
				t.Errorf("line %d has no %s: %s", i, member, lines[i])
			}
		}
	}
	if !strings.Contains(lines[4], `"rows":7`) {
		t.Errorf("got %s, want the details", lines[4])
	}
	if strings.Contains(string(text), good) || strings.Contains(string(text), bad) {
		t.Errorf("the audit log shows a token:\n%s", text)
	}
	log.checkSecrets(t, good, bad)
	if got := valueOf(t, g.metrics.refusals.WithLabelValues("unauthenticated")); got != 2 {
		t.Errorf("got %g refusals in the metric, want 2", got)
	}
}

func TestMetricsAreRegistered(t *testing.T) {
	t.Parallel()
	for _, open := range []bool{true, false} {
		cfg := Config{Open: open}
		if !open {
			cfg.File = writeFile(t)
		}
		g := newGuard(t, cfg)
		reg := prometheus.NewRegistry()
		if err := g.Metrics(reg); err != nil {
			t.Fatal(err)
		}
		want := map[bool]float64{true: 1, false: 0}[open]
		if got := valueOf(t, g.metrics.open); got != want {
			t.Errorf("open %t: got access_open %g, want %g", open, got, want)
		}
	}
}

// newIssuerGuard returns a guard that takes the tokens of an issuer.
func newIssuerGuard(t testing.TB, is *accesstest.Issuer, lg *slog.Logger, lines ...string) *Guard {
	t.Helper()
	cfg := Config{Issuer: issuer.Config{URL: is.URL, Audience: accesstest.Audience}}
	if len(lines) > 0 {
		cfg.File = writeFile(t, lines...)
	}
	g, err := New(cfg, "c", lg)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// The failed logins of others at an address keep nobody out whose token the issuer signed.
func TestSignedTokensPassFailedLogins(t *testing.T) {
	t.Parallel()
	is := accesstest.NewIssuer(t)
	g := newIssuerGuard(t, is, nil)
	if _, err := identify(g, is.Token(map[string]any{"sub": "first"})); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := identify(g, "bad"); codeOf(t, err) == TooManyRequests {
			break
		}
	}
	if _, err := identify(g, is.Token(map[string]any{"sub": "second"})); err != nil {
		t.Errorf("a signed token: %v", err)
	}
	if _, err := identify(g, is.TokenBy(accesstest.NewKey(is.Key().ID, is.Key().Algorithm), map[string]any{"sub": "third"})); codeOf(t, err) != TooManyRequests {
		t.Errorf("a forged token: %v, want 429", err)
	}
}

// A pipe in the place of the file would be waited for.
func TestPipeIsNoFileOfPrincipals(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Skip("this system has no pipes with names: ", err)
	}
	if _, err := New(Config{File: name}, "c", nil); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("got %v, want an error about a pipe", err)
	}
}

func TestIssuersTokens(t *testing.T) {
	t.Parallel()
	is := accesstest.NewIssuer(t)
	g := newIssuerGuard(t, is, nil,
		`{"id":"uploader","subject":"system:serviceaccount:ns:up","roles":["ingest"],"scope":"host=a"}`,
		`{"id":"alice","subject":"s","roles":["read"],"scope":"*"}`)
	tests := []struct {
		name   string
		claims map[string]any
		id     string
		rights []Right
		scope  string
		want   Code
	}{
		{"claims", map[string]any{"sub": "u", "telemetry_roles": []string{"read", "other"}, "telemetry_scope": []string{"host=a"}}, "oidc:u", []Right{Read}, "host=a", ""},
		{"nothing claimed", map[string]any{"sub": "u"}, "oidc:u", nil, "", ""},
		{"roles only", map[string]any{"sub": "u", "telemetry_roles": "admin"}, "oidc:u", nil, "", ""},
		{"scope list empty", map[string]any{"sub": "u", "telemetry_roles": "admin", "telemetry_scope": []string{}}, "oidc:u", nil, "", ""},
		{"scope only", map[string]any{"sub": "u", "telemetry_scope": "*"}, "oidc:u", nil, "*", ""},
		{"another cluster", map[string]any{"sub": "u", "telemetry_roles": "admin", "telemetry_scope": "cluster=d"}, "oidc:u", nil, "", ""},
		{"bad scope", map[string]any{"sub": "u", "telemetry_roles": "admin", "telemetry_scope": "everything"}, "", nil, "", Forbidden},
		{"id of a line", map[string]any{"sub": "alice", "telemetry_roles": "admin", "telemetry_scope": "*"}, "oidc:alice", []Right{Read, Ingest, Administer}, "*", ""},
		{"service account", map[string]any{"sub": "system:serviceaccount:ns:up", "telemetry_roles": "admin", "telemetry_scope": "*"}, "uploader", []Right{Ingest}, "host=a", ""},
		{"unsafe subject", map[string]any{"sub": "a\nb", "telemetry_roles": "read", "telemetry_scope": "*"}, "oidc:sha256:" + shortHash("a\nb"), []Right{Read}, "*", ""},
	}
	for _, tt := range tests {
		token := is.Token(tt.claims)
		for range 2 { // verified, and remembered
			p, err := identify(g, token)
			if got := codeOf(t, err); got != tt.want {
				t.Fatalf("%s: got error %v, want %q", tt.name, err, tt.want)
			}
			if err != nil {
				continue
			}
			if p.ID != tt.id || p.Method != ByOIDC || p.Scope.String() != tt.scope || p.Expires.IsZero() {
				t.Errorf("%s: got %+v", tt.name, p)
			}
			for _, right := range []Right{Read, Ingest, Administer} {
				if got, want := p.May(right), bytes.ContainsRune(rightsText(tt.rights), rune('0'+right)); got != want {
					t.Errorf("%s: may %s: got %t, want %t", tt.name, right, got, want)
				}
			}
		}
	}
	if got := is.Fetches(); got != 1 {
		t.Errorf("got %d fetches, want 1", got)
	}
}

func rightsText(rights []Right) []byte {
	var text []byte
	for _, right := range rights {
		text = fmt.Append(text, int(right))
	}
	return text
}

func TestIssuerIsAwayAtStart(t *testing.T) {
	t.Parallel()
	is := accesstest.NewIssuer(t)
	is.Stop()
	static, line := tokenLine(t, "static", "read", "*", time.Time{})
	var log testLog
	g := newIssuerGuard(t, is, log.logger(), line)
	token := is.Token(nil)
	_, err := identify(g, token)
	refusal := refusalOf(t, err)
	if refusal == nil || refusal.Code != Unavailable || refusal.Status != 503 || refusal.RetryAfter <= 0 {
		t.Errorf("got %+v, want 503", refusal)
	}
	if _, err := identify(g, static); err != nil {
		t.Errorf("got error %v for a static token", err)
	}
	if g.Ready() != nil || g.Degraded() == nil {
		t.Errorf("got Ready %v, Degraded %v, want nil, an error", g.Ready(), g.Degraded())
	}
	only := newIssuerGuard(t, is, nil)
	if only.Ready() == nil || only.Degraded() == nil {
		t.Error("a guard of an issuer only is ready while the issuer is away")
	}
	for range 100 { // that the issuer is away is no failed login
		if _, err := identify(g, token); codeOf(t, err) != Unavailable {
			t.Fatalf("got error %v, want 503", err)
		}
	}
	is.Start()
	if _, err := identify(only, token); err != nil {
		t.Errorf("got error %v after the issuer's return", err)
	}
	if only.Ready() != nil || only.Degraded() != nil {
		t.Errorf("got Ready %v, Degraded %v, want nil", only.Ready(), only.Degraded())
	}
	log.checkSecrets(t, token, static)
}

func TestWithdrawnKeyEndsSessions(t *testing.T) {
	t.Parallel()
	is := accesstest.NewIssuer(t)
	g := newIssuerGuard(t, is, nil)
	claims := map[string]any{"telemetry_roles": "read", "telemetry_scope": "*"}
	old := is.Token(claims)
	p, err := identify(g, old)
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := g.Bind(t.Context(), p)
	defer end()
	is.Rotate()
	is.Withdraw()
	if _, err := identify(g, old); err != nil {
		t.Errorf("got error %v for a remembered token before the keys are fetched again", err)
	}
	newer := is.Token(claims)
	np, err := identify(g, newer) // fetches the keys
	if err != nil {
		t.Fatal(err)
	}
	newCtx, newEnd := g.Bind(t.Context(), np)
	defer newEnd()
	if got := context.Cause(ctx); !errors.Is(got, ErrRevoked) {
		t.Errorf("got cause %v for the session of a withdrawn key, want ErrRevoked", got)
	}
	for range 3 {
		if _, err := identify(g, old); codeOf(t, err) != Unauthenticated {
			t.Errorf("got error %v for a remembered token of a withdrawn key, want 401", err)
		}
	}
	if _, err := identify(g, newer); err != nil || context.Cause(newCtx) != nil {
		t.Errorf("got error %v, cause %v for the new key", err, context.Cause(newCtx))
	}
	stale, staleEnd := g.Bind(t.Context(), p) // logged in before, bound after
	defer staleEnd()
	if got := context.Cause(stale); !errors.Is(got, ErrRevoked) {
		t.Errorf("got cause %v for a session that began after the withdrawal, want ErrRevoked", got)
	}
}

func TestNewLineReplacesClaims(t *testing.T) {
	t.Parallel()
	is := accesstest.NewIssuer(t)
	g := newIssuerGuard(t, is, nil, "# nobody")
	token := is.Token(map[string]any{"sub": "s", "telemetry_roles": "admin", "telemetry_scope": "*"})
	p, err := identify(g, token)
	if err != nil || !p.May(Administer) {
		t.Fatalf("got principal %+v, error %v", p, err)
	}
	ctx, end := g.Bind(t.Context(), p)
	defer end()
	putLines(t, g.cfg.File, `{"id":"a","subject":"other","roles":["read"],"scope":"*"}`)
	if err := g.readFile(); err != nil || context.Cause(ctx) != nil {
		t.Fatalf("got error %v, cause %v by a line of another subject", err, context.Cause(ctx))
	}
	putLines(t, g.cfg.File, `{"id":"a","subject":"s","roles":["read"],"scope":"*"}`)
	if err := g.readFile(); err != nil {
		t.Fatal(err)
	}
	if got := context.Cause(ctx); !errors.Is(got, ErrRevoked) {
		t.Errorf("got cause %v, want ErrRevoked", got)
	}
	if p, err := identify(g, token); err != nil || p.ID != "a" || p.May(Administer) {
		t.Errorf("got principal %+v, error %v, want the line's", p, err)
	}
}

func TestRevokedSubjectIsNotRemembered(t *testing.T) {
	t.Parallel()
	is := accesstest.NewIssuer(t)
	line := `{"id":"a","subject":"s","roles":["read"],"scope":"*"}`
	g := newIssuerGuard(t, is, nil, line)
	token := is.Token(map[string]any{"sub": "s"})
	p, err := identify(g, token)
	if err != nil || !p.May(Read) {
		t.Fatalf("got principal %+v, error %v", p, err)
	}
	ctx, end := g.Bind(t.Context(), p)
	defer end()
	putLines(t, g.cfg.File, "# none")
	if err := g.readFile(); err != nil {
		t.Fatal(err)
	}
	// A verification that began before the file changed must not be remembered after it.
	g.verified.Add(sha256.Sum256([]byte(token)), verifiedToken{p, g.changes.Load() - 1})
	if got := context.Cause(ctx); !errors.Is(got, ErrRevoked) {
		t.Errorf("got cause %v, want ErrRevoked", got)
	}
	if p, err := identify(g, token); err != nil || p.May(Read) {
		t.Errorf("got principal %+v, error %v, want one without rights", p, err)
	}
}
