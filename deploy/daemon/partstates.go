package daemon

import "github.com/prometheus/client_golang/prometheus"

// partStates collects whether each part is ready, and whether it is degraded, when it is scraped: the answers of /ready and
// /health as numbers, for alerts.
type partStates struct {
	parts           []Part
	ready, degraded *prometheus.Desc
}

func newPartStates(parts []Part) *partStates {
	return &partStates{
		parts:    parts,
		ready:    prometheus.NewDesc("ready", "Whether a part of the process is ready: 1 or 0; /ready has the reason.", []string{"part"}, nil),
		degraded: prometheus.NewDesc("degraded", "Whether a part of the process needs people to look after it: 1 or 0; /health has the reason.", []string{"part"}, nil),
	}
}

// Describe sends the descriptions of both metrics.
func (s *partStates) Describe(out chan<- *prometheus.Desc) { out <- s.ready; out <- s.degraded }

// Collect sends a value for each part that has a state.
func (s *partStates) Collect(out chan<- prometheus.Metric) {
	for _, p := range s.parts {
		if p.Ready != nil {
			out <- prometheus.MustNewConstMetric(s.ready, prometheus.GaugeValue, numberOf(p.Ready() == nil), p.Name)
		}
		if p.Degraded != nil {
			out <- prometheus.MustNewConstMetric(s.degraded, prometheus.GaugeValue, numberOf(p.Degraded() != nil), p.Name)
		}
	}
}

func numberOf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
