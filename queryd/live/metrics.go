package live

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics is one hub's metrics.
type metrics struct {
	subscribers *prometheus.GaugeVec
	changes     prometheus.Counter
	updates     prometheus.Counter
	lags        prometheus.Counter
	slow        prometheus.Counter
	resets      *prometheus.CounterVec
	loads       prometheus.Counter
	failures    prometheus.Counter
	gpus, hosts prometheus.GaugeFunc
	unreadable  prometheus.GaugeFunc
	folded, age prometheus.GaugeFunc
}

func newMetrics(h *Hub) metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	gauge := func(name, help string, of func(*State) float64) prometheus.GaugeFunc {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return of(h.State()) })
	}
	m := metrics{
		subscribers: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "live_subscribers", Help: "Subscriptions that are open."}, []string{"mode"}),
		changes: counter("live_changes_total", "Stored changes that changed a reading."),
		updates: counter("live_updates_total", "Updates delivered to subscribers."),
		lags:    counter("live_lag_total", "Subscribers in events mode whose queue became half full."),
		slow:    counter("live_slow_total", "Subscribers in events mode that were ended as too slow."),
		resets: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "live_resets_total", Help: "Subscriptions that had to start again from a snapshot."}, []string{"reason"}),
		loads:    counter("live_loads_total", "Loads of the whole view."),
		failures: counter("live_failures_total", "Times that following the stored projections stopped working."),
		gpus:     gauge("live_gpus", "GPUs in the view.", func(s *State) float64 { return float64(s.gpus.length) }),
		hosts:    gauge("live_hosts", "Hosts in the view.", func(s *State) float64 { return float64(s.hosts.length) }),
		unreadable: gauge("live_unreadable_values", "Stored values that could not be read and are missing in the view.",
			func(s *State) float64 { return float64(len(s.unreadable)) }),
		folded: gauge("live_folded_revision", "Log position up to which every partition is folded.",
			func(s *State) float64 { return float64(s.folded.Number) }),
		age: gauge("live_view_age_seconds", "Time since etcd last confirmed the view.", func(s *State) float64 {
			if !s.isLoaded() {
				return 0
			}
			return time.Since(s.asOf).Seconds()
		}),
	}
	for _, mode := range []Mode{LatestMode, EventsMode} {
		m.subscribers.WithLabelValues(string(mode))
	}
	for _, reason := range []string{ResetCompacted, ResetSlow, ResetEpoch, ResetGeneration} {
		m.resets.WithLabelValues(reason) // begins with 0, so that the first reset is an increase
	}
	return m
}

// Metrics registers the hub's metrics; call it once.
func (h *Hub) Metrics(reg prometheus.Registerer) error {
	m := h.metrics
	for _, c := range []prometheus.Collector{
		m.subscribers, m.changes, m.updates, m.lags, m.slow, m.resets, m.loads, m.failures, m.gpus, m.hosts, m.unreadable, m.folded, m.age,
	} {
		if err := reg.Register(c); err != nil {
			return err
		}
	}
	return nil
}
