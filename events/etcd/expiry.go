package etcd

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics registers the time that is left to each certificate file of the connection, and nothing without such files.
func (c Connection) Metrics(reg prometheus.Registerer) error {
	for certificate, path := range map[string]string{"client": c.CertFile, "authority": c.CAFile} {
		if path == "" {
			continue
		}
		left := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name:        "etcd_certificate_expiry_seconds",
			Help:        "Seconds until the first certificate in the file towards etcd expires, negative afterwards; 0 while the file cannot be read.",
			ConstLabels: prometheus.Labels{"certificate": certificate},
		}, func() float64 { return secondsToExpiry(path, time.Now()) })
		if err := reg.Register(left); err != nil {
			return err
		}
	}
	return nil
}

// secondsToExpiry reads a file of certificates, which other programs renew, and returns the time to the earliest end of one.
func secondsToExpiry(path string, now time.Time) (least float64) {
	rest, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	found := false
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return least
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return 0
		}
		if left := cert.NotAfter.Sub(now).Seconds(); !found || left < least {
			least, found = left, true
		}
	}
}
