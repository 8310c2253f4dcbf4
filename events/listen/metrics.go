package listen

import "github.com/prometheus/client_golang/prometheus"

func newFailures() prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{
		Name: "tls_reload_failures_total", Help: "Attempts to read the TLS files again that failed, one every 2 seconds while they are unusable."})
}

// Metrics registers the metrics of the certificate, if there is one; call it once.
func (t *TLS) Metrics(reg prometheus.Registerer) error {
	if t.current.Load() == nil {
		return nil
	}
	expiry := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "tls_certificate_expiry_seconds", Help: "Time until the served TLS certificate expires, negative afterwards."}, t.SecondsToExpiry)
	for _, c := range []prometheus.Collector{expiry, t.failures} {
		if err := reg.Register(c); err != nil {
			return err
		}
	}
	return nil
}
