package partition

import "github.com/prometheus/client_golang/prometheus"

// metrics exist from New on and are exported once registered.
type metrics struct {
	claims  prometheus.Gauge
	members prometheus.Gauge
	unowned prometheus.Gauge
	won     prometheus.Counter
	ended   *prometheus.CounterVec
}

func newMetrics() metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "partition_" + name, Help: help})
	}
	m := metrics{
		claims:  gauge("claims_held", "Partitions that this collector owns, of all generations that it works on."),
		members: gauge("members_alive", "Collectors of this model version that are alive, this one included."),
		unowned: gauge("partitions_unowned", "Partitions that no collector owns, of all generations that this one works on."),
		won: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "partition_claims_won_total", Help: "Claims won."}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "partition_claims_ended_total", Help: "Claims ended, by cause (lost, moved, stopping, returned)."}, []string{"cause"}),
	}
	for _, cause := range []string{"lost", "moved", "stopping", "returned"} {
		m.ended.WithLabelValues(cause) // begins with 0, so that the first end is an increase
	}
	return m
}

// Metrics registers the metrics of this collector's ownership; call it once.
func (o *Ownership) Metrics(reg prometheus.Registerer) error {
	m := o.metrics
	for _, c := range []prometheus.Collector{m.claims, m.members, m.unowned, m.won, m.ended} {
		if err := reg.Register(c); err != nil {
			return err
		}
	}
	return nil
}
