package eventlog_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"

	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
)

// writeKeyPair writes a certificate and its key to files. Without an authority the certificate signs itself.
func writeKeyPair(t *testing.T, dir, name string, authority *x509.Certificate, authorityKey *ecdsa.PrivateKey) (cert *x509.Certificate, key *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert = &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IsCA:        authority == nil, BasicConstraintsValid: true,
	}
	if authority == nil {
		authority, authorityKey = cert, key
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, authority, key.Public(), authorityKey)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{name + ".pem": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "EC PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// TestEncryptedEtcd talks to an etcd that demands a certificate of its clients.
func TestEncryptedEtcd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	authority, key := writeKeyPair(t, dir, "authority", nil, nil)
	writeKeyPair(t, dir, "etcd", authority, key)
	writeKeyPair(t, dir, "ingestd", authority, key)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := url.URL{Scheme: "https", Host: free.Addr().String()}
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	s := eventstest.NewServer(t, func(c *embed.Config) {
		c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{at}, []url.URL{at}
		c.ClientTLSInfo = transport.TLSInfo{CertFile: file("etcd.pem"), KeyFile: file("etcd.key"), TrustedCAFile: file("authority.pem"), ClientCertAuth: true}
	})
	cfg := s.Config(t)
	cfg.CAFile, cfg.CertFile, cfg.KeyFile = file("authority.pem"), file("ingestd.pem"), file("ingestd.key")
	if _, err := eventstest.OpenLog(t, cfg).Append(t.Context(), eventstest.Events("h1", 0, 1)); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*eventlog.Config){
		"no certificate":       func(c *eventlog.Config) { c.CertFile, c.KeyFile = "", "" },
		"an unknown authority": func(c *eventlog.Config) { c.CAFile = "" },
		"without encryption":   func(c *eventlog.Config) { *c = eventlog.Config{Endpoints: "http://" + at.Host} },
	} {
		other := cfg
		change(&other)
		other.DialTimeout = 300 * time.Millisecond
		if l, err := eventlog.Open(t.Context(), other, nil); err == nil {
			l.Close()
			t.Errorf("%s: opened", name)
		}
	}
}

// TestClientLogsQuietly checks that a client that reaches no server logs nothing above debug.
func TestClientLogsQuietly(t *testing.T) {
	for _, level := range []slog.Level{slog.LevelInfo, slog.LevelDebug} {
		var out bytes.Buffer
		lg := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level}))
		cfg := eventlog.Config{Endpoints: fmt.Sprintf("unix://%s/nobody", t.TempDir()), DialTimeout: time.Second}
		if l, err := eventlog.Open(t.Context(), cfg, lg); err == nil {
			l.Close()
			t.Fatal("opened")
		}
		if got, want := strings.Contains(out.String(), "etcd client: "), level == slog.LevelDebug; got != want {
			t.Errorf("level %s: got the client's messages %t, want %t:\n%s", level, got, want, out.String())
		}
	}
}
