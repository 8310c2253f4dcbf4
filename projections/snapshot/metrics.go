package snapshot

import "github.com/prometheus/client_golang/prometheus"

// metrics count from New on and are exported once registered.
type metrics struct {
	transactions *prometheus.CounterVec
	bytes        prometheus.Counter
	damaged      prometheus.Counter
	overflows    prometheus.Counter
}

func newMetrics() *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "snapshot_" + name, Help: help})
	}
	m := &metrics{
		transactions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "snapshot_transactions_total", Help: "Transactions that wrote projections, by result (saved, fenced, stale, failed)."}, []string{"result"}),
		bytes:     counter("written_bytes_total", "Bytes of keys and values written."),
		damaged:   counter("damaged_values_total", "Stored values that could not be read."),
		overflows: counter("watch_overflows_total", "Watches ended because their reader was too slow."),
	}
	for _, result := range []string{"saved", "fenced", "stale", "failed"} {
		m.transactions.WithLabelValues(result) // begins with 0, so that the first failure is an increase
	}
	return m
}

// Metrics registers the store's metrics; call it once.
func (s *Store) Metrics(reg prometheus.Registerer) error {
	m := s.metrics
	for _, c := range []prometheus.Collector{m.transactions, m.bytes, m.damaged, m.overflows} {
		if err := reg.Register(c); err != nil {
			return err
		}
	}
	return nil
}
