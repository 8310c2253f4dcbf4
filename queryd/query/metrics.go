package query

import (
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"telemetry-pipeline/events/cache"
)

// metrics count requests by route, never by path, so that clients cannot create series.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newMetrics() *metrics {
	return &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "query_requests_total",
			Help: "Requests answered, by route and status.",
		}, []string{"route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "query_request_seconds",
			Help:    "Time from a request's header to its answer, by route; waiting (?wait=) is part of it.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"route"}),
	}
}

// Metrics registers the metrics of the server and its surfaces; call it once, after ReadArchive.
func (s *Server) Metrics(reg prometheus.Registerer) error {
	return errors.Join(s.front.registerMetrics(reg), s.services.registerMetrics(reg), s.engine.Metrics(reg))
}

// registerMetrics registers the metrics of the listener.
func (s *front) registerMetrics(reg prometheus.Registerer) error {
	return errors.Join(reg.Register(s.metrics.requests), reg.Register(s.metrics.seconds), s.sockets.Metrics(reg))
}

// registerMetrics registers the metrics of a cluster.
func (s *services) registerMetrics(reg prometheus.Registerer) error {
	err := s.hub.Metrics(reg)
	for name, stats := range s.caches {
		err = errors.Join(err, registerCache(reg, name, stats))
	}
	return err
}

// registerCache registers the counts of a cache of history.
func registerCache(reg prometheus.Registerer, name string, stats func() cache.Stats) error {
	labels := prometheus.Labels{"cache": name}
	return errors.Join(
		reg.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "history_cache_hits_total", Help: "Reads of history that found what they need in memory.", ConstLabels: labels,
		}, func() float64 { return float64(stats().Hits) })),
		reg.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "history_cache_misses_total", Help: "Reads of history that did not find what they need in memory.", ConstLabels: labels,
		}, func() float64 { return float64(stats().Misses) })),
		reg.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "history_cache_bytes", Help: "Bytes of history in memory; -history.cache bounds them.", ConstLabels: labels,
		}, func() float64 { return float64(stats().Bytes) })),
	)
}

// measureRequest measures a request. It is the outermost handler, so it turns an error into its answer before it
// looks at the status.
func (s *front) measureRequest(c *fiber.Ctx) error {
	start := time.Now()
	if err := c.Next(); err != nil {
		if err := s.answerError(c, err); err != nil {
			return err
		}
	}
	route, status := c.Route().Path, c.Response().StatusCode()
	if route == "/" && (status == http.StatusNotFound || status == http.StatusMethodNotAllowed || c.Method() == http.MethodOptions) {
		route = "none" // nothing but this handler matched
	}
	s.metrics.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	took := time.Since(start)
	s.metrics.seconds.WithLabelValues(route).Observe(took.Seconds())
	s.lg.LogAttrs(c.UserContext(), slog.LevelDebug, "answered", slog.String("method", c.Method()), slog.String("route", route), slog.Int("status", status), slog.Duration("took", took))
	return nil
}
