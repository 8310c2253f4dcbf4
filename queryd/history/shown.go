package history

import "telemetry-pipeline/events/metric"

// Shown gives the aggregates of each metric that a query asks for. Where it names none, that is the average;
// but the last reading of a counter, whose average means nothing, and of codes, which are no quantities.
func (q Query) Shown() func(metric string) []Aggregate {
	if len(q.Aggregates) > 0 {
		return func(string) []Aggregate { return q.Aggregates }
	}
	known := make(map[string][]Aggregate)
	return func(name string) []Aggregate {
		shown, ok := known[name]
		if !ok {
			shown = []Aggregate{usual(name)}
			known[name] = shown
		}
		return shown
	}
}

func usual(name string) Aggregate {
	if m, _, _ := metric.Lookup(name); m.Kind == metric.Counter || m.Unit == "code" {
		return Last
	}
	return Avg
}
