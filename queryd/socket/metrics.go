package socket

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

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
	m := metrics{
		connections: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "socket_connections", Help: "WebSocket connections that are open."}, []string{"protocol"}),
		messages: counter("socket_messages_total", "WebSocket messages.", "protocol", "direction"),
		bytes:    counter("socket_sent_bytes_total", "Bytes of WebSocket messages sent.", "protocol"),
		refused:  counter("socket_refused_total", "Upgrades that were refused.", "reason"),
		closed: counter("socket_closed_total",
			"WebSocket connections that ended, by what ended them: the close code that was sent, gone or stuck.", "protocol", "cause"),
	}
	m.createSeries()
	return m
}

// createSeries creates the series of labels whose values are known, so that they begin with 0.
func (m *metrics) createSeries() {
	for _, protocol := range []string{liveProtocol, graphqlProtocol} {
		m.connections.WithLabelValues(protocol)
		m.messages.WithLabelValues(protocol, "in")
		m.sentCounters(protocol)
		m.closed.WithLabelValues(protocol, "gone")
		m.closed.WithLabelValues(protocol, "stuck")
		for _, code := range []int{
			codeTooMany, codeInvalidText, codeCrashed, codeRestart, codeSlow, codeBadMessage, codeUnauthorized, codeSubprotocol,
			codeTimeout, codeDuplicate, codeTooOften, codeInternal,
		} {
			m.closed.WithLabelValues(protocol, strconv.Itoa(code))
		}
	}
	for _, why := range []refusal{stopping, tooMany, tooManyIP} {
		m.refused.WithLabelValues(string(why))
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
