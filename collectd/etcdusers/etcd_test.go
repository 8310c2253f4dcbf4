package etcdusers_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"

	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
)

// secureEtcd is an etcd that verifies client certificates, and the authority of these certificates.
type secureEtcd struct {
	t         *testing.T
	dir       string
	authority *x509.Certificate
	key       *ecdsa.PrivateKey
	cfg       eventlog.Config // without certificate
}

// newSecureEtcd starts an etcd over TLS; verify sets --client-cert-auth.
func newSecureEtcd(t *testing.T, verify bool) *secureEtcd {
	t.Helper()
	s := &secureEtcd{t: t, dir: t.TempDir()}
	s.authority, s.key = s.issue("authority")
	s.issue("etcd")
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := url.URL{Scheme: "https", Host: free.Addr().String()}
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	server := eventstest.NewServer(t, func(c *embed.Config) {
		c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{at}, []url.URL{at}
		c.ClientTLSInfo = transport.TLSInfo{CertFile: s.file("etcd.pem"), KeyFile: s.file("etcd.key"), ClientCertAuth: verify}
		if verify {
			c.ClientTLSInfo.TrustedCAFile = s.file("authority.pem")
		}
	})
	s.cfg = server.Config(t)
	s.cfg.CAFile, s.cfg.Partitions = s.file("authority.pem"), 4
	return s
}

func (s *secureEtcd) file(name string) string { return filepath.Join(s.dir, name) }

// issue writes a certificate with a common name, and its key, to files. The first one is the authority of the others.
func (s *secureEtcd) issue(name string) (*x509.Certificate, *ecdsa.PrivateKey) {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IsCA:        s.authority == nil, BasicConstraintsValid: true,
	}
	by, byKey := s.authority, s.key
	if by == nil {
		by, byKey = cert, key
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, by, key.Public(), byKey)
	if err != nil {
		s.t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		s.t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{name + ".pem": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "EC PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(s.file(file), pem.EncodeToMemory(block), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	return cert, key
}

// as returns the settings of a process with the certificate of a user.
func (s *secureEtcd) as(user string) eventlog.Config {
	s.t.Helper()
	if _, err := os.Stat(s.file(user + ".pem")); err != nil {
		s.issue(user)
	}
	cfg := s.cfg
	cfg.CertFile, cfg.KeyFile = s.file(user+".pem"), s.file(user+".key")
	return cfg
}

// dial returns a client with settings cfg.
func (s *secureEtcd) dial(cfg eventlog.Config) *clientv3.Client {
	s.t.Helper()
	client, err := cfg.Dial(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { client.Close() })
	return client
}
