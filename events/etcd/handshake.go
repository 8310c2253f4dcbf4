package etcd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

// handshakeTimeout bounds a TLS handshake of CheckHandshake, and alertTimeout the wait for an alert after it.
const (
	handshakeTimeout = 2 * time.Second
	alertTimeout     = 500 * time.Millisecond
)

// CheckHandshake returns the reason why TLS with an endpoint fails, or nil. It is for an etcd that gave no answer: the
// client repeats failed handshakes and returns only that the time is over.
func (c Connection) CheckHandshake(ctx context.Context) error {
	endpoints, err := c.parseEndpoints()
	if err != nil {
		return err
	}
	secure, err := c.tlsConfig(endpoints)
	if secure == nil || err != nil {
		return err
	}
	for _, endpoint := range endpoints {
		scheme, address, found := strings.Cut(endpoint, "://")
		if !found {
			address = endpoint
		} else if scheme != "https" {
			continue
		}
		err := shakeHands(ctx, address, secure.Clone())
		if err != nil && c.CertFile == "" && strings.Contains(err.Error(), "certificate required") {
			return fmt.Errorf("%s demands a client certificate: set -etcd.cert and -etcd.key (docs/runbooks/etcd-access.md): %w", endpoint, err)
		}
		if err != nil {
			return fmt.Errorf("TLS with %s fails: %w", endpoint, err)
		}
	}
	return nil
}

// shakeHands returns the error of a TLS handshake, or nil if it succeeds or no connection was made. A server of TLS 1.3 sends
// its verdict on the client's certificate after the handshake, as an alert.
func shakeHands(ctx context.Context, address string, secure *tls.Config) error {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	plain, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil
	}
	defer plain.Close()
	if secure.ServerName == "" {
		secure.ServerName, _, _ = net.SplitHostPort(address)
	}
	secure.NextProtos = []string{"h2"}
	conn := tls.Client(plain, secure)
	if err := conn.HandshakeContext(ctx); err != nil {
		return ignoreTimeout(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(alertTimeout)); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1))
	return ignoreTimeout(err)
}

func ignoreTimeout(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}
