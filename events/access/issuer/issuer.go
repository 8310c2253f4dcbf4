package issuer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"golang.org/x/time/rate"

	"telemetry-pipeline/events/wait"
)

// ErrUnavailable is the error of tokens that cannot be verified because the issuer's keys are not known.
var ErrUnavailable = errors.New("the keys of the OIDC issuer cannot be fetched at the moment")

// Claims are the claims of a verified token.
type Claims struct {
	Subject string
	Roles   []string
	Scope   string
	Expires time.Time
}

// Issuer verifies the tokens of one issuer. It is safe for concurrent use; Run keeps its keys current.
type Issuer struct {
	cfg    Config
	lg     *slog.Logger
	keys   *keySet
	checks *oidc.Config // of the claims
}

// New returns an issuer; replaced is called each time that its keys have changed. It fetches nothing.
func New(cfg Config, replaced func(), lg *slog.Logger) (*Issuer, error) {
	cfg = cfg.withDefaults()
	if err := cfg.checkURL(); err != nil {
		return nil, err
	}
	if cfg.Audience == "" {
		return nil, errNoAudience
	}
	algorithms, err := cfg.parseAlgorithms()
	if err != nil {
		return nil, err
	}
	client, err := cfg.newClient()
	if err != nil {
		return nil, err
	}
	i := &Issuer{cfg: cfg, lg: lg}
	i.keys = &keySet{client: client, address: i.discover, replaced: replaced, fetches: rate.NewLimiter(rate.Every(fetchPause), fetchBurst)}
	for _, name := range algorithms {
		i.keys.algorithms = append(i.keys.algorithms, jose.SignatureAlgorithm(name))
	}
	i.checks = &oidc.Config{ClientID: cfg.Audience, SupportedSigningAlgs: algorithms}
	return i, nil
}

// refreshPause is the pause between two fetches of keys without a cause, and retryPause the one while there are none.
const (
	refreshPause = 5 * time.Minute
	retryPause   = fetchPause
)

// Run fetches the keys now and then, so that a key that the issuer withdrew is not accepted for long, until ctx ends.
func (i *Issuer) Run(ctx context.Context) error {
	failed := false
	for {
		err := i.keys.refresh(ctx)
		if (err != nil) != failed && ctx.Err() == nil {
			if failed = err != nil; failed {
				i.lg.Warn("the OIDC issuer's keys cannot be fetched; its tokens are checked by the last known keys, other ways to log in work", "issuer", i.cfg.URL, "err", err)
			} else {
				i.lg.Info("the OIDC issuer's keys are known again", "issuer", i.cfg.URL)
			}
		}
		pause := refreshPause
		if failed {
			pause = retryPause
		}
		if !wait.Sleep(ctx, pause) {
			return nil
		}
	}
}

// Ready returns nil once the issuer's keys are known.
func (i *Issuer) Ready() error {
	if i.keys.currentKeys() == nil {
		return ErrUnavailable
	}
	return nil
}

// Verify returns the claims of a token that the issuer signed for the audience and that has not expired. exp has no leeway,
// nbf five minutes. A token of an unknown key may make it fetch the keys.
func (i *Issuer) Verify(ctx context.Context, token string) (Claims, error) {
	return i.verify(ctx, token, &signatureCheck{keys: i.keys, mayFetch: true})
}

// VerifyAgain is Verify by the keys that are known now. It fetches nothing.
func (i *Issuer) VerifyAgain(token string) (Claims, error) {
	return i.verify(context.Background(), token, &signatureCheck{keys: i.keys})
}

// signatureCheck checks the signature of one token (oidc.KeySet), and keeps the error, of which the verifier would keep only
// the text.
type signatureCheck struct {
	keys     *keySet
	mayFetch bool
	err      error
}

// VerifySignature returns the payload of a token that one of the keys signed.
func (c *signatureCheck) VerifySignature(ctx context.Context, token string) (payload []byte, err error) {
	payload, c.err = c.keys.verifySignature(ctx, token, c.mayFetch)
	return payload, c.err
}

func (i *Issuer) verify(ctx context.Context, token string, signature *signatureCheck) (Claims, error) {
	verified, err := oidc.NewVerifier(i.cfg.URL, signature, i.checks).Verify(ctx, token)
	if signature.err != nil {
		return Claims{}, fmt.Errorf("verifying a token: %w", signature.err)
	}
	if err != nil {
		return Claims{}, fmt.Errorf("verifying a token: %w", err)
	}
	if verified.Subject == "" {
		return Claims{}, errors.New("verifying a token: it has no subject")
	}
	var all map[string]any
	if err := verified.Claims(&all); err != nil {
		return Claims{}, fmt.Errorf("verifying a token: %w", err)
	}
	return Claims{
		Subject: verified.Subject, Expires: verified.Expiry,
		Roles: textList(all[i.cfg.RolesClaim], ' ', ','), Scope: strings.Join(textList(all[i.cfg.ScopeClaim], ' '), ","),
	}, nil
}

// discover returns the address of the issuer's keys.
func (i *Issuer) discover(ctx context.Context) (string, error) {
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, i.keys.client), i.cfg.URL)
	if err != nil {
		return "", fmt.Errorf("discovering the keys of %s: %w", i.cfg.URL, err)
	}
	var found struct {
		KeysURL string `json:"jwks_uri"`
	}
	if err := provider.Claims(&found); err != nil {
		return "", fmt.Errorf("discovering the keys of %s: %w", i.cfg.URL, err)
	}
	if u, err := url.Parse(found.KeysURL); err != nil || !isPrivate(u) {
		return "", fmt.Errorf("discovering the keys of %s: its jwks_uri %q must begin with https://", i.cfg.URL, found.KeysURL)
	}
	return found.KeysURL, nil
}
