package listen

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"os"
)

// TLSConfig names the files of a server's certificate. The zero value means plain HTTP.
type TLSConfig struct {
	Cert     string // certificate and its chain, PEM
	Key      string // private key of Cert, PEM
	ClientCA string // certificates that sign client certificates, PEM; "": clients have none
}

// Flags registers the flags tls.cert, tls.key and tls.client-ca.
func (c *TLSConfig) Flags(fs *flag.FlagSet) {
	fs.StringVar(&c.Cert, "tls.cert", c.Cert, "file with the certificate that servers show, and its chain, in PEM form; read again when it changes; empty means plain HTTP")
	fs.StringVar(&c.Key, "tls.key", c.Key, "file with the private key of tls.cert, in PEM form")
	fs.StringVar(&c.ClientCA, "tls.client-ca", c.ClientCA,
		"file with the certificates of the authorities whose client certificates are accepted, in PEM form; empty means that clients need none")
}

// Enabled reports whether a certificate is configured.
func (c TLSConfig) Enabled() bool { return c.Cert != "" }

// validateFlags refuses settings that only work together with others.
func (c TLSConfig) validateFlags() error {
	switch {
	case c.Cert != "" && c.Key == "":
		return errors.New("flag tls.cert is set without tls.key: set both for HTTPS, or neither for plain HTTP")
	case c.Cert == "" && c.Key != "":
		return errors.New("flag tls.key is set without tls.cert: set both for HTTPS, or neither for plain HTTP")
	case c.Cert == "" && c.ClientCA != "":
		return errors.New("flag tls.client-ca is set without tls.cert: client certificates need HTTPS; set tls.cert and tls.key as well")
	}
	return nil
}

// pemFiles are the contents of the files of a TLSConfig.
type pemFiles struct{ cert, key, clientCA []byte }

func (c TLSConfig) readFiles() (f pemFiles, err error) {
	for _, file := range []struct {
		flag, path string
		content    *[]byte
	}{
		{"tls.cert", c.Cert, &f.cert},
		{"tls.key", c.Key, &f.key},
		{"tls.client-ca", c.ClientCA, &f.clientCA},
	} {
		if file.path == "" {
			continue
		}
		if *file.content, err = os.ReadFile(file.path); err != nil {
			return f, fmt.Errorf("flag %s: %w; name a file in PEM form that this process may read", file.flag, err)
		}
	}
	return f, nil
}

// contentHash identifies the contents of all files.
func (f pemFiles) contentHash() [sha256.Size]byte {
	h := sha256.New()
	for _, content := range [][]byte{f.cert, f.key, f.clientCA} {
		one := sha256.Sum256(content)
		h.Write(one[:])
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// served is the content of the files in the form in which handshakes use it. Immutable.
type served struct {
	hash   [sha256.Size]byte // of the files
	config *tls.Config
	leaf   *x509.Certificate
}

// parseFiles returns the certificate of the files, which c names.
func (c TLSConfig) parseFiles(f pemFiles) (*served, error) {
	pair, err := tls.X509KeyPair(f.cert, f.key)
	if err != nil {
		return nil, fmt.Errorf("flags tls.cert (%s) and tls.key (%s): %w; name a certificate and its own key, both in PEM form", c.Cert, c.Key, err)
	}
	config := newServerConfig()
	config.Certificates = []tls.Certificate{pair}
	if c.ClientCA != "" {
		config.ClientCAs = x509.NewCertPool()
		if !config.ClientCAs.AppendCertsFromPEM(f.clientCA) {
			return nil, fmt.Errorf("flag tls.client-ca: no certificate in PEM form is in %s; name a file with the certificates of the authorities", c.ClientCA)
		}
		config.ClientAuth = tls.VerifyClientCertIfGiven // others may have a token
		config.SessionTicketsDisabled = true            // a resumed session would not be verified again
	}
	return &served{hash: f.contentHash(), config: config, leaf: pair.Leaf}, nil
}

func newServerConfig() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
}
