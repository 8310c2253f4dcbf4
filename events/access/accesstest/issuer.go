// Package accesstest provides an OpenID Connect issuer for tests.
//
// In: claims. Out: tokens that the issuer signed, and its keys at a loopback address. It can rotate and withdraw its keys, be
// away, and make tokens that must be refused. It is linked into no daemon.
package accesstest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Audience is the audience of the issuer's tokens.
const Audience = "telemetry"

// Issuer is an issuer that listens on loopback until the test ends. It is safe for concurrent use.
type Issuer struct {
	URL string

	mu      sync.Mutex
	keys    []Key // published; the last one signs
	made    int
	stopped bool
	fetches int
	answer  http.HandlerFunc // in place of the keys; nil: none
}

// Key is a private key with its name.
type Key struct {
	ID        string
	Algorithm jose.SignatureAlgorithm
	Private   crypto.Signer
}

// NewIssuer returns a running issuer with one ES256 key.
func NewIssuer(tb testing.TB) *Issuer {
	tb.Helper()
	i := &Issuer{}
	server := httptest.NewServer(i)
	tb.Cleanup(server.Close)
	i.URL = server.URL
	i.Rotate()
	return i
}

// NewKey returns a new key for ES256, RS256 or EdDSA.
func NewKey(id string, algorithm jose.SignatureAlgorithm) Key {
	var private crypto.Signer
	var err error
	switch algorithm {
	case jose.ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jose.RS256:
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	case jose.EdDSA:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		err = fmt.Errorf("no keys for %s", algorithm)
	}
	if err != nil {
		panic(err)
	}
	return Key{ID: id, Algorithm: algorithm, Private: private}
}

// Rotate makes a new key sign; the earlier ones stay published.
func (i *Issuer) Rotate() { i.RotateTo(jose.ES256) }

// RotateTo is Rotate to a key of an algorithm.
func (i *Issuer) RotateTo(algorithm jose.SignatureAlgorithm) Key {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.made++
	key := NewKey(fmt.Sprintf("key-%d", i.made), algorithm)
	i.keys = append(i.keys, key)
	return key
}

// Withdraw stops publishing all keys but the one that signs.
func (i *Issuer) Withdraw() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = i.keys[len(i.keys)-1:]
}

// Key returns the key that signs.
func (i *Issuer) Key() Key {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.keys[len(i.keys)-1]
}

// Stop makes the issuer break off each connection, and Start ends that.
func (i *Issuer) Stop() { i.setStopped(true) }

// Start makes the issuer answer again.
func (i *Issuer) Start() { i.setStopped(false) }

func (i *Issuer) setStopped(stopped bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.stopped = stopped
}

// AnswerKeys makes a handler answer requests for the keys; nil ends that.
func (i *Issuer) AnswerKeys(answer http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer = answer
}

// Fetches returns the number of requests for the keys.
func (i *Issuer) Fetches() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fetches
}

// Token returns a token with claims. Those that are missing are: iss, aud, sub ("somebody"), and exp in an hour; a nil claim is
// left out.
func (i *Issuer) Token(claims map[string]any) string { return Sign(i.Key(), i.complete(claims)) }

func (i *Issuer) complete(claims map[string]any) map[string]any {
	all := map[string]any{"iss": i.URL, "aud": Audience, "sub": "somebody", "exp": time.Now().Add(time.Hour).Unix()}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return all
}

// TokenBy is Token signed by any key.
func (i *Issuer) TokenBy(key Key, claims map[string]any) string { return Sign(key, i.complete(claims)) }

// Sign returns a token with exactly these claims.
func Sign(key Key, claims map[string]any) string {
	options := (&jose.SignerOptions{}).WithType("JWT")
	if key.ID != "" {
		options = options.WithHeader("kid", key.ID)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: key.Algorithm, Key: key.Private}, options)
	if err != nil {
		panic(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		panic(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return token
}

// ServeHTTP answers discovery and requests for the keys.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	stopped, answer := i.stopped, i.answer
	var set jose.JSONWebKeySet
	for _, key := range i.keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: key.Private.Public(), KeyID: key.ID, Algorithm: string(key.Algorithm), Use: "sig"})
	}
	if r.URL.Path == "/keys" {
		i.fetches++
	}
	i.mu.Unlock()
	switch {
	case stopped:
		panic(http.ErrAbortHandler)
	case r.URL.Path == "/.well-known/openid-configuration":
		writeJSON(w, map[string]any{"issuer": i.URL, "jwks_uri": i.URL + "/keys", "authorization_endpoint": i.URL + "/authorize",
			"token_endpoint": i.URL + "/token", "id_token_signing_alg_values_supported": []string{"none", "HS256", "ES256", "RS256", "EdDSA"}})
	case r.URL.Path == "/keys" && answer != nil:
		answer(w, r)
	case r.URL.Path == "/keys":
		writeJSON(w, set)
	default:
		http.NotFound(w, r)
	}
}

func writeJSON(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body) // the connection is the client's affair
}
