package history

import "telemetry-pipeline/events/metric"

// ShownAggregates returns the query's aggregates by metric. Without aggregates in the query that is the average; for a counter,
// whose average has no meaning, and for codes, which are not quantities, it is the last reading.
func (q Query) ShownAggregates() func(metric string) []Aggregate {
	if len(q.Aggregates) > 0 {
		return func(string) []Aggregate { return q.Aggregates }
	}
	known := make(map[string][]Aggregate)
	return func(name string) []Aggregate {
		shown, ok := known[name]
		if !ok {
			shown = []Aggregate{defaultAggregate(name)}
			known[name] = shown
		}
		return shown
	}
}

func defaultAggregate(name string) Aggregate {
	if m, _, _ := metric.Lookup(name); m.Kind == metric.Counter || m.Unit == "code" {
		return Last
	}
	return Avg
}
