package graph

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

func newOperations() *prometheus.CounterVec {
	operations := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "graph_operations_total",
		Help: "GraphQL operations by kind (query, mutation, subscription, unknown) and result: ok, errors (some field failed), " +
			"refused (nothing was executed) or unanswered (by no fault of the request). A subscription counts when it begins.",
	}, []string{"operation", "result"})
	for _, kind := range []string{"query", "mutation", "subscription", "unknown"} {
		for _, result := range []string{"ok", "errors", "refused", "unanswered"} {
			operations.WithLabelValues(kind, result) // begins with 0, so that the first one is an increase
		}
	}
	return operations
}

// Metrics registers the engine's metrics; call it once.
func (e *Engine) Metrics(reg prometheus.Registerer) error {
	return errors.Join(reg.Register(e.operations), reg.Register(e.guard.hits), reg.Register(e.guard.misses))
}

func newCacheCounter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

// countOperation counts an operation that was answered, or a subscription that began or was refused.
func (e *Engine) countOperation(r *Result) {
	kind, result := r.Operation, "ok"
	switch {
	case r.Unanswered:
		result = "unanswered"
	case r.Refused:
		result = "refused"
	case r.failed:
		result = "errors"
	}
	if kind == "" {
		kind = "unknown" // refused before it was known
	}
	e.operations.WithLabelValues(kind, result).Inc()
}
