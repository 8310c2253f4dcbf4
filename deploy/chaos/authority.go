package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// authority signs the certificates of a run. Its files are in one directory, as name.crt and name.key; its own certificate is ca.crt.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

const authorityName = "ca"

// newAuthority makes an authority whose files are in dir.
func newAuthority(dir string) (*authority, error) {
	a := &authority{dir: dir, pool: x509.NewCertPool()}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := a.issueCertificate(authorityName); err != nil {
		return nil, err
	}
	a.pool.AddCert(a.cert)
	return a, nil
}

func (a *authority) certFile(name string) string { return filepath.Join(a.dir, name+".crt") }
func (a *authority) keyFile(name string) string  { return filepath.Join(a.dir, name+".key") }

// issueCertificate writes a certificate for servers and clients on this machine, with name as its common name. The first one is the
// authority's own.
func (a *authority) issueCertificate(name string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return err
	}
	cert := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(7 * 24 * time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		cert.KeyUsage, cert.ExtKeyUsage, cert.IsCA, cert.BasicConstraintsValid = x509.KeyUsageCertSign, nil, true, true
		cert.DNSNames, cert.IPAddresses = nil, nil
		parent, signer = cert, key
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, key.Public(), signer)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if a.cert == nil {
		if a.cert, err = x509.ParseCertificate(der); err != nil {
			return err
		}
		a.key = key
	}
	return errors.Join(writePEM(a.certFile(name), "CERTIFICATE", der), writePEM(a.keyFile(name), "PRIVATE KEY", private))
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// serverConfig returns the settings of a server of etcd's kind: it shows the certificate of a name, and demands one of the authority.
func (a *authority) serverConfig(name string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(a.certFile(name), a.keyFile(name))
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, ClientCAs: a.pool,
		ClientAuth: tls.RequireAndVerifyClientCert, NextProtos: []string{"h2"}}, err
}

// clientConfig returns the settings of a client of etcd with the certificate of a name.
func (a *authority) clientConfig(name string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(a.certFile(name), a.keyFile(name))
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, RootCAs: a.pool, ServerName: "localhost", NextProtos: []string{"h2"}}, err
}
