package issuer

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"telemetry-pipeline/events/access/accesstest"
)

// newTestIssuer returns a verifier of an issuer's tokens.
func newTestIssuer(t *testing.T, is *accesstest.Issuer, replaced func()) *Issuer {
	t.Helper()
	if replaced == nil {
		replaced = func() {}
	}
	i, err := New(Config{URL: is.URL, Audience: accesstest.Audience}, replaced, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestTokensOfEachAlgorithmAreVerified(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.EdDSA} {
		is := accesstest.NewIssuer(t)
		is.RotateTo(algorithm)
		exp := time.Now().Add(time.Minute).Truncate(time.Second)
		claims, err := newTestIssuer(t, is, nil).Verify(t.Context(), is.Token(map[string]any{
			"sub": "a", "exp": exp.Unix(), "telemetry_roles": []string{"read"}, "telemetry_scope": "host=a,b"}))
		if err != nil {
			t.Errorf("%s: got error %v", algorithm, err)
			continue
		}
		if claims.Subject != "a" || !claims.Expires.Equal(exp) || strings.Join(claims.Roles, "+") != "read" || claims.Scope != "host=a,b" {
			t.Errorf("%s: got %+v", algorithm, claims)
		}
	}
}

func TestClaimsThatAreTextsOrLists(t *testing.T) {
	t.Parallel()
	is := accesstest.NewIssuer(t)
	i := newTestIssuer(t, is, nil)
	tests := []struct {
		name                  string
		roles, scope          any
		wantRoles, wantScopes string
	}{
		{"lists", []string{"read", "ingest"}, []string{"host=a", "cluster=b"}, "read+ingest", "host=a,cluster=b"},
		{"texts", "read, ingest", "host=a cluster=b", "read+ingest", "host=a,cluster=b"},
		{"everything", "read", "*", "read", "*"},
		{"none", nil, nil, "", ""},
		{"empty list", []string{}, []string{}, "", ""},
		{"empty texts", "", "", "", ""},
		{"numbers", 7, 7, "", ""},
		{"list with a number", []any{"read", 1}, []any{"*", 1}, "", ""},
		{"object", map[string]any{"read": true}, map[string]any{"*": true}, "", ""},
		{"true", true, true, "", ""},
	}
	for _, tt := range tests {
		claims, err := i.Verify(t.Context(), is.Token(map[string]any{"telemetry_roles": tt.roles, "telemetry_scope": tt.scope}))
		if err != nil {
			t.Errorf("%s: got error %v", tt.name, err)
			continue
		}
		if got := strings.Join(claims.Roles, "+"); got != tt.wantRoles {
			t.Errorf("%s: got roles %q, want %q", tt.name, got, tt.wantRoles)
		}
		if claims.Scope != tt.wantScopes {
			t.Errorf("%s: got scope %q, want %q", tt.name, claims.Scope, tt.wantScopes)
		}
	}
}

func TestBadTokensAreRefused(t *testing.T) {
	t.Parallel()
	is := accesstest.NewIssuer(t)
	is.RotateTo(jose.RS256)
	i := newTestIssuer(t, is, nil)
	good := is.Token(nil)
	if _, err := i.Verify(t.Context(), good); err != nil {
		t.Fatalf("got error %v for a good token", err)
	}
	parts := strings.Split(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + "."
	key := is.Key()
	wrongKey := accesstest.NewKey(key.ID, jose.RS256)
	unknownKey := accesstest.NewKey("unknown", jose.ES256)
	otherAlgorithm := key
	otherAlgorithm.Algorithm = jose.PS256
	tests := []struct{ name, token string }{
		{"nothing", ""},
		{"text", "abc"},
		{"dots", ".."},
		{"none", none},
		{"none with a signature", none + parts[2]},
		{"HS256 by the public key", hmacToken(t, key, parts[1])},
		{"other payload", parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"root"}`)) + "." + parts[2]},
		{"cut", good[:len(good)-8]},
		{"other audience", is.Token(map[string]any{"aud": "another"})},
		{"no audience", is.Token(map[string]any{"aud": nil})},
		{"other issuer", is.Token(map[string]any{"iss": "https://evil.example"})},
		{"issuer with a slash", is.Token(map[string]any{"iss": is.URL + "/"})},
		{"no issuer", is.Token(map[string]any{"iss": nil})},
		{"unknown key", is.TokenBy(unknownKey, nil)},
		{"wrong key of the right name", is.TokenBy(wrongKey, nil)},
		{"algorithm that the key is not for", is.TokenBy(otherAlgorithm, nil)},
		{"expired", is.Token(map[string]any{"exp": time.Now().Add(-5 * time.Second).Unix()})},
		{"no expiry", is.Token(map[string]any{"exp": nil})},
		{"not yet", is.Token(map[string]any{"nbf": time.Now().Add(time.Hour).Unix()})},
		{"no subject", is.Token(map[string]any{"sub": nil})},
		{"empty subject", is.Token(map[string]any{"sub": ""})},
	}
	for _, tt := range tests {
		claims, err := i.Verify(t.Context(), tt.token)
		if err == nil {
			t.Errorf("%s: got claims %+v, want an error", tt.name, claims)
			continue
		}
		if errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: got %v, want an error about the token", tt.name, err)
		}
		if tt.token != "" && len(tt.token) > 20 && strings.Contains(err.Error(), tt.token) {
			t.Errorf("%s: the error shows the token: %v", tt.name, err)
		}
	}
}

// hmacToken returns a token signed by a public key as if it were a shared secret.
func hmacToken(t *testing.T, key accesstest.Key, payload string) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Private.Public())
	if err != nil {
		t.Fatal(err)
	}
	secret := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: secret}, (&jose.SignerOptions{}).WithHeader("kid", key.ID))
	if err != nil {
		t.Fatal(err)
	}
	claims, _ := base64.RawURLEncoding.DecodeString(payload)
	signed, err := signer.Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	token, _ := signed.CompactSerialize()
	return token
}

func TestUnavailableIssuer(t *testing.T) {
	t.Parallel()
	is := accesstest.NewIssuer(t)
	is.Stop()
	i := newTestIssuer(t, is, nil)
	if _, err := i.Verify(t.Context(), is.Token(nil)); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got error %v, want ErrUnavailable", err)
	}
	if err := i.Ready(); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got Ready %v, want ErrUnavailable", err)
	}
	is.Start()
	if _, err := i.Verify(t.Context(), is.Token(nil)); err != nil {
		t.Errorf("got error %v after the issuer's return", err)
	}
	if err := i.Ready(); err != nil {
		t.Errorf("got Ready %v, want nil", err)
	}
	is.Stop()
	i.keys.fetches.SetBurst(100) // every look is a fetch
	_ = i.keys.refresh(t.Context())
	if _, err := i.Verify(t.Context(), is.Token(nil)); err != nil {
		t.Errorf("got error %v by the last known keys", err)
	}
	if _, err := i.VerifyAgain(is.Token(map[string]any{"aud": "x"})); err == nil {
		t.Error("got no error for another audience")
	}
}

func TestBadAnswersOfTheIssuerAreBounded(t *testing.T) {
	t.Parallel()
	stolen := accesstest.NewIssuer(t)
	tests := []struct {
		name   string
		answer http.HandlerFunc
	}{
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, stolen.URL+"/keys", http.StatusFound)
		}},
		{"huge", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"keys":[{"kid":"`))
			for range 64 {
				if _, err := w.Write(bytes.Repeat([]byte("x"), maxResponse/8)); err != nil {
					return
				}
			}
		}},
		{"no JSON", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }},
		{"no keys", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"keys":[]}`) }},
		{"a shared secret", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"key-1"}]}`)
		}},
		{"an error", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }},
	}
	for _, tt := range tests {
		is := accesstest.NewIssuer(t)
		is.AnswerKeys(tt.answer)
		i := newTestIssuer(t, is, nil)
		if _, err := i.Verify(t.Context(), is.Token(nil)); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: got error %v, want ErrUnavailable", tt.name, err)
		}
		if i.keys.currentKeys() != nil {
			t.Errorf("%s: got keys", tt.name)
		}
	}
	if got := stolen.Fetches(); got != 0 {
		t.Errorf("got %d requests to the redirect's address, want 0", got)
	}
}

func TestHugeSetOfKeysIsRefused(t *testing.T) {
	t.Parallel()
	is := accesstest.NewIssuer(t)
	key := is.Key()
	for padding, want := range map[int]bool{0: true, maxResponse: false} {
		is.AnswerKeys(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(bytes.Repeat([]byte(" "), padding))
			_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Private.Public(), KeyID: key.ID}}})
		})
		if _, err := newTestIssuer(t, is, nil).Verify(t.Context(), is.Token(nil)); (err == nil) != want {
			t.Errorf("%d bytes more: got error %v, want the keys: %t", padding, err, want)
		}
	}
}

// memory is a transport that calls a handler, without sockets, so that it works in a synctest bubble.
type memory struct{ http.Handler }

func (m memory) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("the connection was broken off")
		}
	}()
	w := httptest.NewRecorder()
	m.ServeHTTP(w, r)
	return w.Result(), nil
}

func TestFloodOfBadTokensFetchesRarely(t *testing.T) {
	is := accesstest.NewIssuer(t)
	synctest.Test(t, func(t *testing.T) {
		i := newTestIssuer(t, is, nil)
		i.keys.client.Transport = memory{is}
		bad := is.TokenBy(accesstest.NewKey("unknown", jose.ES256), nil)
		for range 100 { // 100 s
			for range 20 {
				if _, err := i.Verify(t.Context(), bad); err == nil {
					t.Fatal("got no error for an unknown key")
				}
			}
			time.Sleep(time.Second)
		}
		if got, most := is.Fetches(), 100/10+fetchBurst; got > most || got < 5 {
			t.Errorf("got %d fetches in 100 s, want 5 to %d", got, most)
		}
		before := is.Fetches()
		time.Sleep(time.Minute)
		wrong := is.TokenBy(accesstest.NewKey(is.Key().ID, jose.ES256), nil)
		for range 20 {
			_, _ = i.Verify(t.Context(), wrong)
		}
		if got := is.Fetches() - before; got != 0 {
			t.Errorf("got %d fetches for wrong signatures of a known key, want 0", got)
		}
	})
}

func TestSlowIssuerIsFetchedOnceAtATimeAndGivenUp(t *testing.T) {
	is := accesstest.NewIssuer(t)
	synctest.Test(t, func(t *testing.T) {
		i := newTestIssuer(t, is, nil)
		var now, most atomic.Int64
		i.keys.address = func(context.Context) (string, error) { return is.URL + "/keys", nil }
		i.keys.client.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		i.keys.fetches.SetBurst(1000)
		start := time.Now()
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if _, err := i.Verify(t.Context(), is.Token(nil)); !errors.Is(err, ErrUnavailable) {
					t.Errorf("got error %v, want ErrUnavailable", err)
				}
			})
		}
		all.Wait()
		if got := time.Since(start); got > requestTimeout {
			t.Errorf("callers waited %s, want at most %s", got, requestTimeout)
		}
		if got := most.Load(); got != 1 {
			t.Errorf("got %d fetches at a time, want 1", got)
		}
	})
}

// roundTrip is a function as a transport.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestWithdrawnKeyIsNoticedByRun(t *testing.T) {
	is := accesstest.NewIssuer(t)
	synctest.Test(t, func(t *testing.T) {
		var replaced atomic.Int64
		i := newTestIssuer(t, is, func() { replaced.Add(1) })
		i.keys.client.Transport = memory{is}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- i.Run(ctx) }()
		old := is.Token(nil)
		synctest.Wait()
		if _, err := i.Verify(ctx, old); err != nil {
			t.Fatalf("got error %v", err)
		}
		is.Rotate()
		is.Withdraw()
		if _, err := i.VerifyAgain(old); err != nil {
			t.Errorf("got error %v before the keys are fetched again", err)
		}
		time.Sleep(refreshPause + time.Second)
		if got := replaced.Load(); got != 1 {
			t.Errorf("got %d calls of replaced, want 1", got)
		}
		fetches := is.Fetches()
		if _, err := i.VerifyAgain(old); err == nil || errors.Is(err, ErrUnavailable) {
			t.Errorf("got error %v for a token of a withdrawn key, want a refusal", err)
		}
		if got := is.Fetches(); got != fetches {
			t.Errorf("VerifyAgain made %d fetches, want 0", got-fetches)
		}
		time.Sleep(3 * refreshPause)
		if got := replaced.Load(); got != 1 {
			t.Errorf("got %d calls of replaced for the same keys, want 1", got)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("got error %v from Run", err)
		}
	})
}

func TestRotationFailsNoRequest(t *testing.T) {
	t.Parallel()
	is := accesstest.NewIssuer(t)
	i := newTestIssuer(t, is, nil)
	if err := i.keys.refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for range 30 {
				if _, err := i.Verify(t.Context(), is.Token(nil)); err != nil {
					t.Errorf("got error %v", err)
					return
				}
			}
		})
		if n == 4 {
			is.Rotate()
		}
	}
	all.Wait()
	if got := is.Fetches(); got > fetchBurst {
		t.Errorf("got %d fetches, want at most %d", got, fetchBurst)
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	tests := []struct {
		cfg  Config
		want string // part of the error, "" for none
	}{
		{Config{URL: "https://login.example.org/tenant/", Audience: "a"}, ""},
		{Config{URL: "http://127.0.0.1:1", Audience: "a"}, ""},
		{Config{URL: "http://[::1]:1", Audience: "a"}, ""},
		{Config{URL: "http://login.example.org", Audience: "a"}, "https://"},
		{Config{URL: "http://localhost.evil.example", Audience: "a"}, "https://"},
		{Config{URL: "https://", Audience: "a"}, "oidc.issuer"},
		{Config{URL: "https://u:p@x.example", Audience: "a"}, "oidc.issuer"},
		{Config{URL: "https://x.example?a=b", Audience: "a"}, "oidc.issuer"},
		{Config{URL: "https://x.example"}, "oidc.audience"},
		{Config{URL: "https://x.example", Audience: "a", Algorithms: "HS256"}, "oidc.algorithms"},
		{Config{URL: "https://x.example", Audience: "a", Algorithms: "none"}, "oidc.algorithms"},
		{Config{URL: "https://x.example", Audience: "a", Algorithms: "RS256,"}, "oidc.algorithms"},
		{Config{URL: "https://x.example", Audience: "a", CA: "/does/not/exist"}, "oidc.ca"},
	}
	for _, tt := range tests {
		_, err := New(tt.cfg, func() {}, slog.New(slog.DiscardHandler))
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: got error %v, want %q", tt.cfg, err, tt.want)
		}
	}
}
