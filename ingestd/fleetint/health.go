package fleetint

import (
	"strings"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/rows"
)

// Health returns the dialect of fleetint_component_health_*.csv.
func Health() dialect.Grammar {
	return newGrammar("fleetint-health", []string{"timestamp", "component_name", "health", "reason"}, parseHealth)
}

const (
	healthComponent = iota + 1
	healthState
	healthReason
)

// healthPrefix begins the metrics that are named after components.
const healthPrefix = "health_"

// parseHealth parses the state of one component as a number.
func parseHealth(r *reader, row *rows.Row, out *dialect.Parsed) {
	component, state := r.cellOf(row, healthComponent), r.cellOf(row, healthState)
	if fault := dialect.NameFault(component); fault != "" {
		r.rejectCell(row, healthComponent, strings.Replace(fault, "names no metric", "names no component", 1), out)
		return
	}
	value, ok := stateOf(state)
	if !ok {
		r.rejectCell(row, healthState, "not a state of health; write Healthy, Degraded, Unhealthy or Initializing", out)
		return
	}
	m := metric.Metric{Name: healthPrefix + string(component)}
	ofHost := func(*dialect.Source) {} // even if the reason names a GPU: it sums up all that the component watches
	r.addReading(row, reading{metric: m, source: string(component), text: state, value: value}, []int{healthState, healthReason}, ofHost, out)
}

// stateOf returns a state as a number: 0 healthy, 1 degraded, 2 unhealthy. A state that is not known yet is absent,
// as is a word for a missing value.
func stateOf(text []byte) (events.Value, bool) {
	switch strings.ToLower(string(text)) {
	case "healthy":
		return events.Value{Number: events.Int(0)}, true
	case "degraded":
		return events.Value{Number: events.Int(1)}, true
	case "unhealthy":
		return events.Value{Number: events.Int(2)}, true
	case "initializing":
		return events.Value{Absent: events.Blank, Raw: string(text)}, true
	}
	reason := metric.Token(text)
	return events.Value{Absent: reason, Raw: string(text)}, reason != events.Present && len(text) <= maxText
}
