package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/time/rate"
)

// fetchPause is the pause between two fetches of keys in the long run, and fetchBurst the number of fetches at once: the first
// one and one for keys that were exchanged soon after it.
const (
	fetchPause = 10 * time.Second
	fetchBurst = 2
)

// keySet is the issuer's set of public keys. A token with an unknown key makes it fetch the set again, within
// the rate; a bad signature with a known key does not. It is safe for concurrent use.
type keySet struct {
	client     *http.Client
	algorithms []jose.SignatureAlgorithm
	address    func(ctx context.Context) (string, error) // of the set
	replaced   func()                                    // called when the keys changed
	fetches    *rate.Limiter

	mu       sync.Mutex
	keys     []jose.JSONWebKey // nil: never fetched
	fetching chan struct{}     // nil: no fetch is under way; closed when it ends
	err      error             // of the last fetch
}

// verifySignature returns the payload of a token that one of the keys signed. If the token's key is unknown, it may fetch them.
func (s *keySet) verifySignature(ctx context.Context, token string, mayFetch bool) ([]byte, error) {
	signed, err := jose.ParseSignedCompact(token, s.algorithms)
	if err != nil {
		return nil, fmt.Errorf("reading a token's signature: %w", err)
	}
	if len(signed.Signatures) != 1 {
		return nil, errors.New("a token must have one signature")
	}
	id := signed.Signatures[0].Header.KeyID
	payload, known := verifyWith(s.currentKeys(), id, signed)
	if payload != nil {
		return payload, nil
	}
	if !known && mayFetch {
		err = s.refresh(ctx)
		if payload, known = verifyWith(s.currentKeys(), id, signed); payload != nil {
			return payload, nil
		}
	}
	if s.currentKeys() == nil {
		return nil, errors.Join(ErrUnavailable, err)
	}
	if !known {
		return nil, errors.New("the issuer does not publish the key of the token")
	}
	return nil, errors.New("the signature of the token is wrong")
}

// verifyWith returns the payload if a key with the id made the signature, and whether there is such a key. Tokens without an
// id are tried with every key.
func verifyWith(keys []jose.JSONWebKey, id string, signed *jose.JSONWebSignature) (payload []byte, known bool) {
	for i := range keys {
		if id != "" && keys[i].KeyID != id {
			continue
		}
		known = true
		if use := keys[i].Algorithm; use != "" && use != signed.Signatures[0].Header.Algorithm {
			continue
		}
		if payload, err := signed.Verify(&keys[i]); err == nil {
			return payload, true
		}
	}
	return nil, known
}

func (s *keySet) currentKeys() []jose.JSONWebKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys
}

// refresh fetches the keys unless that happened a moment ago, and waits for a fetch that is under way.
func (s *keySet) refresh(ctx context.Context) error {
	s.mu.Lock()
	if s.fetching == nil {
		if !s.fetches.Allow() {
			defer s.mu.Unlock()
			return s.err
		}
		s.fetching = make(chan struct{})
		go s.fetch(s.fetching) // ends by the client's timeout; its waiters may leave before
	}
	done := s.fetching
	s.mu.Unlock()
	select {
	case <-done:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// fetch fetches the keys once. After an error the last ones are kept.
func (s *keySet) fetch(done chan<- struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	keys, err := s.readKeys(ctx)
	s.mu.Lock()
	changed := err == nil && s.keys != nil && !reflect.DeepEqual(keys, s.keys)
	if err == nil {
		s.keys = keys
	}
	s.err, s.fetching = err, nil
	s.mu.Unlock()
	if changed {
		s.replaced()
	}
	close(done)
}

// readKeys reads the issuer's public keys.
func (s *keySet) readKeys(ctx context.Context) ([]jose.JSONWebKey, error) {
	address, err := s.address(ctx)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("fetching the issuer's keys: %w", err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetching the issuer's keys: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("fetching the issuer's keys: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetching the issuer's keys from %s: %s", address, resp.Status)
	}
	return parseKeys(text)
}

// parseKeys returns the public signature keys of a set. Keys of kinds that are not known are skipped.
func parseKeys(text []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("reading the issuer's keys: %w", err)
	}
	keys := []jose.JSONWebKey{}
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if json.Unmarshal(raw, &key) == nil && key.IsPublic() && key.Use != "enc" {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("the issuer publishes no key for signatures")
	}
	return keys, nil
}
