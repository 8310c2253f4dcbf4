package access

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// entry is a line of the file of principals: a JSON object. Exactly one of SHA256, Subject and Certificate says how the
// principal is identified.
type entry struct {
	ID          string    `json:"id"`
	SHA256      string    `json:"sha256,omitempty"`      // of a token, in hexadecimal
	Subject     string    `json:"subject,omitempty"`     // claim sub of the tokens of the OIDC issuer
	Certificate string    `json:"certificate,omitempty"` // common name or a subject alternative name of a client certificate
	Roles       []Role    `json:"roles"`
	Scope       string    `json:"scope"`
	Expires     time.Time `json:"expires,omitzero"`
}

// maxFileBytes, maxID and maxName bound the file of principals, an id, and a subject or name of a certificate.
const (
	maxFileBytes = 8 << 20
	maxID        = 64
	maxName      = 512
)

// tokenPrefix lets people and scanners recognize a token.
const tokenPrefix = "tp_"

// claimsPrefix begins the ids of principals whom only the issuer's claims describe, so that none is taken for somebody in the
// file.
const claimsPrefix = "oidc:"

// isToken reports whether a text is a token where none may be.
func isToken(text string) bool { return strings.HasPrefix(text, tokenPrefix) }

// tokenBytes is the number of random bytes of a token: nobody guesses them, so a fast hash of it is enough.
const tokenBytes = 32

// hashOf is the hash by which a token is found.
type hashOf [sha256.Size]byte

// NewToken returns a new random token and its line for the file of principals. The line does not contain the token.
func NewToken(id string, roles []Role, scope Scope, expires time.Time) (token, line string, err error) {
	var random [tokenBytes]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", "", fmt.Errorf("making a token: %w", err)
	}
	token = tokenPrefix + base64.RawURLEncoding.EncodeToString(random[:])
	sum := sha256.Sum256([]byte(token))
	e := entry{ID: id, SHA256: hex.EncodeToString(sum[:]), Roles: roles, Scope: scope.String(), Expires: expires}
	if _, err := e.principal(""); err != nil {
		return "", "", err
	}
	text, err := json.Marshal(e)
	return token, string(text), err
}

// book holds the principals of a file. Immutable.
type book struct {
	tokens       map[hashOf]*Principal
	subjects     map[string]*Principal
	certificates map[string]*Principal
	proofs       map[string]bool // of all of them
	ids          map[string]bool // of all of them
}

// parseBook parses the file of principals. Empty lines and lines that begin with # are skipped.
func parseBook(text []byte, cluster string) (*book, error) {
	if len(text) > maxFileBytes {
		return nil, fmt.Errorf("it has %d bytes, at most %d are read", len(text), maxFileBytes)
	}
	b := &book{tokens: map[hashOf]*Principal{}, subjects: map[string]*Principal{}, certificates: map[string]*Principal{}, proofs: map[string]bool{}, ids: map[string]bool{}}
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // some editors write a byte order mark
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, errors.New("it is empty; to let nobody in, leave a line that begins with #")
	}
	number := 0
	for line := range bytes.Lines(text) {
		number++
		if line = bytes.TrimSpace(line); len(line) == 0 || line[0] == '#' {
			continue
		}
		e, err := parseEntry(line)
		if err == nil && b.ids[e.ID] {
			err = fmt.Errorf("id %q is used twice", e.ID)
		}
		if err == nil {
			b.ids[e.ID] = true
			err = b.addPrincipal(e, cluster)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
	}
	return b, nil
}

// parseEntry parses a line.
func parseEntry(line []byte) (entry, error) {
	var e entry
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&e); err != nil {
		return e, fmt.Errorf("it is no principal: %w; `queryd token new` prints such a line", withoutText(err))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return e, errors.New("something follows the object; write one object per line")
	}
	return e, nil
}

// withoutText returns an error of decoding without the decoded text, which may be a secret that was put there by mistake.
func withoutText(err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if wrong.Field == "" {
			return errors.New("it is no JSON object")
		}
		kind, _, _ := strings.Cut(wrong.Value, " ") // without the value of a number
		return fmt.Errorf("member %s may not be a JSON %s", wrong.Field, kind)
	}
	if bad, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("it is no JSON at byte %d", bad.Offset)
	}
	if name, found := strings.CutPrefix(err.Error(), "json: unknown field "); found {
		return fmt.Errorf("there is no member %s", quote(strings.Trim(name, `"`)))
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the object has no end; write one object per line")
	}
	return errors.New("a member has a form that is not taken; expires is a time such as 2027-01-31T00:00:00Z")
}

// addPrincipal adds the principal of an entry.
func (b *book) addPrincipal(e entry, cluster string) error {
	p, err := e.principal(cluster)
	if err != nil {
		return err
	}
	b.proofs[p.proof] = true
	switch {
	case e.SHA256 != "":
		sum, err := hex.DecodeString(e.SHA256)
		if err != nil || len(sum) != sha256.Size {
			return fmt.Errorf("principal %q: sha256 is not the SHA-256 of a token in hexadecimal", e.ID)
		}
		p.Method = ByToken
		return put(b.tokens, hashOf(sum), p)
	case e.Subject != "":
		p.Method = ByOIDC
		return put(b.subjects, e.Subject, p)
	default:
		p.Method = ByCertificate
		return put(b.certificates, e.Certificate, p)
	}
}

func put[K comparable](all map[K]*Principal, key K, p *Principal) error {
	if other := all[key]; other != nil {
		return fmt.Errorf("principals %q and %q are identified by the same token, subject or certificate", other.ID, p.ID)
	}
	all[key] = p
	return nil
}

// principal checks an entry and returns its principal in a cluster.
func (e *entry) principal(cluster string) (*Principal, error) {
	if e.ID == "" || len(e.ID) > maxID || !isSafeID(e.ID) {
		return nil, fmt.Errorf("id: %s is none; give 1 to %d letters, digits and ._:@/-", quote(e.ID), maxID)
	}
	if isToken(e.ID) || strings.HasPrefix(e.ID, claimsPrefix) {
		return nil, fmt.Errorf("id: it may not begin with %s or %s; give a name for people, and never the token", tokenPrefix, claimsPrefix)
	}
	ways := 0
	for _, way := range []string{e.SHA256, e.Subject, e.Certificate} {
		if isToken(way) {
			return nil, fmt.Errorf("principal %q: the token itself is in its line; write only its SHA-256, and make a new token", e.ID)
		}
		if len(way) > maxName {
			return nil, fmt.Errorf("principal %q: a subject or certificate has at most %d bytes", e.ID, maxName)
		}
		if way != "" {
			ways++
		}
	}
	if ways != 1 {
		return nil, fmt.Errorf("principal %q: give one of sha256, subject and certificate", e.ID)
	}
	if len(e.Roles) == 0 {
		return nil, fmt.Errorf("principal %q has no role; give some of ingest, read and admin", e.ID)
	}
	var roles []Role
	for _, role := range e.Roles {
		parsed, err := ParseRoles(string(role))
		if err != nil {
			return nil, fmt.Errorf("principal %q: %w", e.ID, err)
		}
		roles = append(roles, parsed...)
	}
	scope, err := ParseScope(e.Scope)
	if err != nil {
		return nil, fmt.Errorf("principal %q: %w", e.ID, err)
	}
	proof, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("principal %q: %w", e.ID, err)
	}
	return &Principal{ID: e.ID, Roles: roles, Scope: scope.In(cluster), Expires: e.Expires, proof: string(proof)}, nil
}

// isSafeID reports whether a name has only characters that are safe in headers, logs and metrics.
func isSafeID(text string) bool {
	for _, r := range []byte(text) {
		letter := r|0x20 >= 'a' && r|0x20 <= 'z'
		if !letter && (r < '0' || r > '9') && !strings.ContainsRune("._:@/-", rune(r)) {
			return false
		}
	}
	return true
}
