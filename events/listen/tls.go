package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"telemetry-pipeline/events/wait"
)

const (
	pollInterval     = 2 * time.Second
	handshakeTimeout = 10 * time.Second
)

// TLS makes listeners speak TLS with the certificate in its files. All methods are safe for concurrent use; Run runs once.
// With a zero TLSConfig it leaves listeners as they are.
type TLS struct {
	cfg      TLSConfig
	lg       *slog.Logger
	current  atomic.Pointer[served] // nil: plain HTTP
	failures prometheus.Counter     // of reading the files again

	pollInterval     time.Duration
	handshakeTimeout time.Duration

	reported string // the last failure that was logged and still lasts; owned by Run
}

// NewTLS reads the files of cfg. Its errors name the flag and the file. A nil lg discards.
func NewTLS(cfg TLSConfig, lg *slog.Logger) (*TLS, error) {
	if lg == nil {
		lg = slog.New(slog.DiscardHandler)
	}
	t := &TLS{cfg: cfg, lg: lg, failures: newFailures(), pollInterval: pollInterval, handshakeTimeout: handshakeTimeout}
	if err := cfg.validateFlags(); err != nil {
		return nil, fmt.Errorf("setting up TLS: %w", err)
	}
	if !cfg.Enabled() {
		return t, nil
	}
	first, err := t.loadFiles()
	if err != nil {
		return nil, fmt.Errorf("setting up TLS: %w", err)
	}
	t.current.Store(first)
	return t, nil
}

// Run exchanges the certificate when its files change, until ctx ends. It returns nil.
func (t *TLS) Run(ctx context.Context) error {
	if t.current.Load() == nil {
		<-ctx.Done()
		return nil
	}
	for wait.Sleep(ctx, t.pollInterval) {
		t.pollFiles()
	}
	return nil
}

// Wrap returns a listener whose connections speak TLS. They shake hands at their first use, not in Accept. Without a
// certificate it returns ln.
func (t *TLS) Wrap(ln net.Listener) net.Listener {
	if t.current.Load() == nil {
		return ln
	}
	config := newServerConfig()
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return t.current.Load().config, nil }
	return &tlsListener{Listener: ln, config: config, timeout: t.handshakeTimeout, lg: t.lg}
}

// Scheme returns the scheme of URLs of wrapped listeners: https, or http without a certificate.
func (t *TLS) Scheme() string {
	if t.current.Load() == nil {
		return "http"
	}
	return "https"
}

// ClientConfig returns the settings of a client of this process that calls its own listeners: it takes the very certificate that
// they serve, by any name. It returns nil without a certificate.
func (t *TLS) ClientConfig() *tls.Config {
	if t.current.Load() == nil {
		return nil
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // VerifyConnection compares the certificate itself
		VerifyConnection: func(state tls.ConnectionState) error {
			if !state.PeerCertificates[0].Equal(t.current.Load().leaf) {
				return errOtherCertificate
			}
			return nil
		},
	}
}

var errOtherCertificate = errors.New("the certificate is not the one that this process serves")

// SecondsToExpiry returns the time until the served certificate expires; it is negative afterwards, and 0 without a
// certificate.
func (t *TLS) SecondsToExpiry() float64 {
	if now := t.current.Load(); now != nil {
		return time.Until(now.leaf.NotAfter).Seconds()
	}
	return 0
}

// loadFiles reads the files. It returns the current certificate if they have not changed.
func (t *TLS) loadFiles() (*served, error) {
	files, err := t.cfg.readFiles()
	if err != nil {
		return nil, err
	}
	if now := t.current.Load(); now != nil && now.hash == files.contentHash() {
		return now, nil
	}
	return t.cfg.parseFiles(files)
}

// pollFiles serves the content of the files if it has changed and is usable.
func (t *TLS) pollFiles() {
	next, err := t.loadFiles()
	if err != nil {
		next, err = t.loadFiles() // the files may have been exchanged between the reads of two of them
	}
	if err != nil {
		t.reportFailure(err)
		return
	}
	t.reported = ""
	if t.current.Swap(next) != next {
		t.lg.Info("serving another TLS certificate", "file", t.cfg.Cert, "subject", next.leaf.Subject.String(), "expires", next.leaf.NotAfter)
	}
}

func (t *TLS) reportFailure(err error) {
	t.failures.Inc()
	if text := err.Error(); text != t.reported {
		t.reported = text
		t.lg.Warn("the TLS certificate is not exchanged; the one before is still served", "err", err)
	}
}
