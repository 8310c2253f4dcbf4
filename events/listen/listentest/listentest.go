// Package listentest makes the certificates that tests of TLS need: names in, PEM files out. Nothing else trusts them.
package listentest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// CA is a certificate authority.
type CA struct {
	File string // its certificate, PEM

	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewCA returns an authority whose certificate is in a temporary directory of the test.
func NewCA(t testing.TB) *CA {
	t.Helper()
	template := newTemplate(t, "test authority", x509.KeyUsageCertSign)
	template.IsCA, template.BasicConstraintsValid = true, true
	ca := &CA{File: filepath.Join(t.TempDir(), "ca.crt"), cert: template}
	der, key := ca.sign(t, template)
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	ca.cert, ca.key = cert, key
	writePEM(t, ca.File, "CERTIFICATE", der)
	return ca
}

// Pool returns the certificates that trust the authority.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	return pool
}

// Server writes a server's certificate and key to tls.crt and tls.key in dir, as a Kubernetes secret has them, and returns
// their paths. The names are host names and addresses; without any they are localhost, 127.0.0.1 and ::1.
func (ca *CA) Server(t testing.TB, dir string, names ...string) (cert, key string) {
	t.Helper()
	if len(names) == 0 {
		names = []string{"localhost", "127.0.0.1", "::1"}
	}
	template := newTemplate(t, names[0], x509.KeyUsageDigitalSignature)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	return ca.write(t, filepath.Join(dir, "tls"), template)
}

// Client writes a client's certificate and key, with cn as its common name, to client.crt and client.key in dir, and
// returns their paths.
func (ca *CA) Client(t testing.TB, dir, cn string) (cert, key string) {
	t.Helper()
	template := newTemplate(t, cn, x509.KeyUsageDigitalSignature)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return ca.write(t, filepath.Join(dir, "client"), template)
}

func newTemplate(t testing.TB, cn string, usage x509.KeyUsage) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: cn}, KeyUsage: usage,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
}

// sign returns a signed certificate and its new key; the authority's own certificate signs itself.
func (ca *CA) sign(t testing.TB, template *x509.Certificate) (der []byte, key *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer := ca.key
	if signer == nil {
		signer = key
	}
	if der, err = x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), signer); err != nil {
		t.Fatal(err)
	}
	return der, key
}

// write writes a new certificate and its key to base.crt and base.key.
func (ca *CA) write(t testing.TB, base string, template *x509.Certificate) (certFile, keyFile string) {
	t.Helper()
	der, key := ca.sign(t, template)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = base+".crt", base+".key"
	writePEM(t, certFile, "CERTIFICATE", der)
	writePEM(t, keyFile, "PRIVATE KEY", private)
	return certFile, keyFile
}

func writePEM(t testing.TB, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
