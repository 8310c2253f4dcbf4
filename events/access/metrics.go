package access

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of the guard. Nothing is counted by principal, so that callers cannot create series.
type metrics struct {
	open         prometheus.GaugeFunc
	sessions     prometheus.GaugeFunc
	refusals     *prometheus.CounterVec
	fileFailures prometheus.Counter
}

func newMetrics(g *Guard) *metrics {
	m := &metrics{
		open: prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "access_open", Help: "1 if callers need no credentials, else 0."}, func() float64 {
			if g.IsOpen() {
				return 1
			}
			return 0
		}),
		sessions: prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "access_sessions", Help: "Open connections whose credentials are watched."},
			func() float64 { return float64(g.sessions.count()) }),
		refusals:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "access_refusals_total", Help: "Requests refused, by the reason."}, []string{"code"}),
		fileFailures: prometheus.NewCounter(prometheus.CounterOpts{Name: "access_file_failures_total", Help: "Looks at the file of principals that failed; its last good version is kept."}),
	}
	for _, code := range []Code{Unauthenticated, Forbidden, CrossSite, WrongHost, BadRequest, TooManyRequests, Unavailable} {
		m.refusals.WithLabelValues(string(code)) // begins with 0, so that the first refusal is an increase
	}
	return m
}

// Metrics registers the metrics of the guard.
func (g *Guard) Metrics(reg prometheus.Registerer) error {
	return errors.Join(reg.Register(g.metrics.open), reg.Register(g.metrics.sessions), reg.Register(g.metrics.refusals), reg.Register(g.metrics.fileFailures))
}
