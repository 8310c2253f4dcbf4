package socket

import "github.com/prometheus/client_golang/prometheus"

// metrics is one server's metrics.
type metrics struct {
	connections *prometheus.GaugeVec
	messages    *prometheus.CounterVec
	bytes       *prometheus.CounterVec
	refused     *prometheus.CounterVec
	closed      *prometheus.CounterVec
}

func newMetrics() metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	return metrics{
		connections: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "socket_connections", Help: "WebSocket connections that are open."}, []string{"protocol"}),
		messages: counter("socket_messages_total", "WebSocket messages.", "protocol", "direction"),
		bytes:    counter("socket_sent_bytes_total", "Bytes of WebSocket messages sent.", "protocol"),
		refused:  counter("socket_refused_total", "Upgrades that were refused.", "reason"),
		closed: counter("socket_closed_total",
			"WebSocket connections that ended, by what ended them: the close code that was sent, gone or stuck.", "protocol", "cause"),
	}
}

// Metrics registers the server's metrics; call it once.
func (s *Server) Metrics(reg prometheus.Registerer) error {
	m := s.metrics
	for _, c := range []prometheus.Collector{m.connections, m.messages, m.bytes, m.refused, m.closed} {
		if err := reg.Register(c); err != nil {
			return err
		}
	}
	return nil
}

// sentCounters counts the messages of one protocol that are sent.
type sentCounters struct{ messages, bytes prometheus.Counter }

func (m *metrics) sentCounters(protocol string) sentCounters {
	return sentCounters{m.messages.WithLabelValues(protocol, "out"), m.bytes.WithLabelValues(protocol)}
}
