package query

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
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

// Metrics registers the metrics of the server and its surfaces; call it once.
func (s *Server) Metrics(reg prometheus.Registerer) error {
	return errors.Join(reg.Register(s.metrics.requests), reg.Register(s.metrics.seconds), s.hub.Metrics(reg), s.sockets.Metrics(reg))
}

// measureRequest measures a request. It is the outermost handler, so it turns an error into its answer before it
// looks at the status.
func (s *Server) measureRequest(c *fiber.Ctx) error {
	start := time.Now()
	if err := c.Next(); err != nil {
		if err := s.api.Fail(c, err); err != nil {
			return err
		}
	}
	route, status := c.Route().Path, c.Response().StatusCode()
	if route == "/" && (status == http.StatusNotFound || status == http.StatusMethodNotAllowed || c.Method() == http.MethodOptions) {
		route = "none" // nothing but this handler matched
	}
	s.metrics.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	s.metrics.seconds.WithLabelValues(route).Observe(time.Since(start).Seconds())
	return nil
}
