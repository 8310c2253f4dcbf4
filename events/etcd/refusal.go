package etcd

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// RefusedError is a request that etcd did not permit to the user of a connection.
type RefusedError struct {
	User        string // "" if the connection has none
	Certificate string // file whose common name is the user, "" for a user with a password
	Err         error
}

func (e *RefusedError) Error() string {
	user := "a client without user (set -etcd.cert and -etcd.key)"
	switch {
	case e.User != "" && e.Certificate != "":
		user = fmt.Sprintf("user %q, the common name of %s", e.User, e.Certificate)
	case e.User != "":
		user = fmt.Sprintf("user %q", e.User)
	}
	return fmt.Sprintf("%v: etcd refuses it to %s; `collectd access` grants the rights that a daemon needs (docs/runbooks/etcd-access.md)", e.Err, user)
}

func (e *RefusedError) Unwrap() error { return e.Err }

// isRefusal reports whether etcd answered that the user of a request lacks the right, or that there is no such user.
func isRefusal(err error) bool {
	for _, refusal := range []error{rpctypes.ErrPermissionDenied, rpctypes.ErrUserEmpty, rpctypes.ErrAuthFailed} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}

// ExplainRefusal returns err with the user of the connection and the cure if etcd refused the request to that user, and
// otherwise err itself.
func (c Connection) ExplainRefusal(err error) error {
	_, explained := errors.AsType[*RefusedError](err)
	switch {
	case err == nil || explained:
		return err
	case isRefusal(err):
		e := &RefusedError{User: c.User(), Err: err}
		if c.Username == "" && e.User != "" {
			e.Certificate = c.CertFile
		}
		return e
	}
	return err
}

// User returns the etcd user of the connection: Username, or else the common name of the client certificate. It returns ""
// if there is neither, or if the certificate cannot be read.
func (c Connection) User() string {
	if c.Username != "" || c.CertFile == "" {
		return c.Username
	}
	text, err := os.ReadFile(c.CertFile)
	if err != nil {
		return ""
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return ""
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return ""
	}
	return cert.Subject.CommonName
}
