package access

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"telemetry-pipeline/events/access/issuer"
	"telemetry-pipeline/events/wait"
)

// maxToken bounds the bytes of a token.
const maxToken = 16 << 10

// maxVerified bounds the remembered tokens of the issuer: a verification costs 0.1 ms.
const maxVerified = 10_000

// verifiedToken is the principal of a token of the issuer.
type verifiedToken struct {
	principal *Principal
	changes   uint64 // Guard.changes before it was verified
}

// Guard identifies the callers of a process. It is safe for concurrent use; Run keeps its principals current.
type Guard struct {
	cfg     Config
	cluster string
	lg      *slog.Logger
	proxies []netip.Prefix

	text     []byte // of the file of principals, as it was last read; only Run uses it
	book     atomic.Pointer[book]
	issuer   *issuer.Issuer // nil: none
	verified *lru.Cache[hashOf, verifiedToken]
	changes  atomic.Uint64 // of the book and of the issuer's keys: what was verified before one is verified again
	everyone *Principal    // Everybody

	own map[hashOf]*Principal // parts of this process

	sessions sessions
	logins   *failedLogins
	calls    *concurrent
	audit    *auditLog
	metrics  *metrics
}

// New returns the guard of a process of a cluster. It reads the file of principals, and fails if it cannot.
func New(cfg Config, cluster string, lg *slog.Logger) (*Guard, error) {
	if lg == nil {
		lg = slog.New(slog.DiscardHandler)
	}
	cfg = cfg.withDefaults()
	if err := cfg.checkFlags(); err != nil {
		return nil, fmt.Errorf("setting up access: %w", err)
	}
	g := &Guard{own: map[hashOf]*Principal{}, cfg: cfg, cluster: cluster, lg: lg, logins: newFailedLogins(cfg.LoginRate), calls: newConcurrent(cfg.PerPrincipal), everyone: Everybody()}
	var err error
	if g.proxies, err = parseNetworks(cfg.TrustedProxies); err != nil {
		return nil, fmt.Errorf("setting up access: %w", err)
	}
	if g.verified, err = lru.New[hashOf, verifiedToken](maxVerified); err != nil {
		return nil, fmt.Errorf("setting up access: %w", err)
	}
	g.book.Store(&book{})
	if cfg.File != "" {
		if err := g.readFile(); err != nil {
			return nil, fmt.Errorf("setting up access: flag access.file: %w", err)
		}
	}
	if cfg.Issuer.Enabled() {
		if g.issuer, err = issuer.New(cfg.Issuer, g.keysReplaced, lg); err != nil {
			return nil, fmt.Errorf("setting up access: %w", err)
		}
	}
	if g.audit, err = newAuditLog(cfg.Audit, lg); err != nil {
		return nil, fmt.Errorf("setting up access: flag access.audit: %w", err)
	}
	g.metrics = newMetrics(g)
	return g, nil
}

// IsOpen reports whether callers need no credentials.
func (g *Guard) IsOpen() bool { return !g.cfg.Enabled() }

// filePoll is the pause between two looks at the file of principals. Watches of the file system miss the exchange of a mounted
// Secret, which is a symbolic link to a folder that is swapped.
const filePoll = 2 * time.Second

// Run reads the file of principals again when it changes, and keeps the issuer's keys current, until ctx ends.
func (g *Guard) Run(ctx context.Context) error {
	if g.IsOpen() {
		g.lg.Warn("everybody who reaches the listeners may do everything (open mode); other machines reach them only if a flag lets them")
	}
	ended := make(chan error, 1)
	if g.issuer == nil {
		ended <- nil
	} else {
		go func() { ended <- g.issuer.Run(ctx) }()
	}
	for failure := ""; wait.Sleep(ctx, filePoll); {
		failure = g.pollFile(ctx, failure)
	}
	return errors.Join(<-ended, g.audit.close())
}

// pollFile reads the file of principals again if it changed. It returns the error's text, which it logs once.
func (g *Guard) pollFile(ctx context.Context, before string) (failure string) {
	if g.cfg.File == "" {
		return ""
	}
	if err := g.readChangedFile(ctx); err != nil {
		g.metrics.fileFailures.Inc()
		if err.Error() != before {
			g.lg.Error("the file of principals cannot be used; the principals of its last good version are kept", "file", g.cfg.File, "err", err)
		}
		return err.Error()
	}
	if before != "" {
		g.lg.Info("the file of principals can be used again", "file", g.cfg.File)
	}
	return ""
}

// fileSettle is the pause between the two looks at a changed file.
const fileSettle = 100 * time.Millisecond

// readChangedFile is readFile for a file that may be in the middle of a change: it is used once two looks at it agree, so that
// a file of which a part is written revokes nobody. Until then the principals stay as they are.
func (g *Guard) readChangedFile(ctx context.Context) error {
	first, err := readBounded(g.cfg.File)
	if err != nil || bytes.Equal(first, g.text) || !wait.Sleep(ctx, fileSettle) {
		return err
	}
	second, err := readBounded(g.cfg.File)
	if err != nil || !bytes.Equal(first, second) {
		return err
	}
	return g.useFile(second)
}

// readFile reads the file of principals and uses it.
func (g *Guard) readFile() error {
	text, err := readBounded(g.cfg.File)
	if err != nil {
		return err
	}
	return g.useFile(text)
}

// useFile makes the principals of a file the current ones if it differs from the last time, and ends the sessions of the
// principals that are no longer in it as they were.
func (g *Guard) useFile(text []byte) error {
	if g.text != nil && bytes.Equal(text, g.text) {
		return nil
	}
	b, err := parseBook(text, g.cluster)
	if err != nil {
		return fmt.Errorf("reading %s: %w", g.cfg.File, err)
	}
	first := g.text == nil
	g.text = text
	g.book.Store(b)
	g.changes.Add(1) // after the book: who reads the number before a look at the book verifies again at worst
	if !first {
		g.verified.Purge()
		ended := g.sessions.endInvalid(g.isValid)
		g.lg.Info("read the file of principals", "file", g.cfg.File, "principals", b.size(), "sessions_ended", ended)
	}
	return nil
}

// readBounded reads a file up to one byte more than parseBook takes.
func readBounded(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", name) // opening a pipe waits for its writer
	}
	if err != nil {
		return nil, err
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFileBytes+1))
}

// keysReplaced looks again at everything that was verified by the issuer's earlier keys.
func (g *Guard) keysReplaced() {
	g.changes.Add(1)
	g.verified.Purge()
	if ended := g.sessions.endInvalid(g.isValid); ended > 0 {
		g.lg.Info("the keys of the OIDC issuer changed", "sessions_ended", ended)
	}
}

// isValid reports whether a principal would be identified in the same way now.
func (g *Guard) isValid(p *Principal) bool {
	if p.Method == ByNothing || p.Method == ByProcess {
		return true
	}
	return g.book.Load().has(p) && (p.recheck == nil || p.recheck() == nil)
}

// Ready returns nil once the configured ways to log in can be used. Static tokens and certificates need nothing else.
func (g *Guard) Ready() error {
	if g.issuer != nil && g.cfg.File == "" {
		return g.issuer.Ready()
	}
	return nil
}

// Degraded returns an error while the issuer's tokens cannot be checked.
func (g *Guard) Degraded() error {
	if g.issuer != nil {
		return g.issuer.Ready()
	}
	return nil
}
