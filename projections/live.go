package projections

import (
	"sort"
	"strings"

	"telemetry-pipeline/events"
)

// Live is the newest reading of every metric of every entity of one host. Sorted by Entity, then Metric.
// Its slices are never changed in place (see Host).
type Live struct {
	Entities []LiveEntity
}

// LiveEntity is one entity's newest readings.
type LiveEntity struct {
	Entity   events.Entity
	Identity events.IdentityID // of the newest record; ties: the greater id
	SeenAt   events.Timestamp  // newest record time of any metric
	Latest   []Latest          // sorted by Metric
}

// Latest is the newest reading of one metric. Of several at one time the greatest Value (events.Value.Compare),
// then the greatest Source, counts. Implausible readings are never latest.
type Latest struct {
	Metric string
	Source string
	At     events.Timestamp
	Value  events.Value
}

// Find returns the reading of one metric in readings sorted by Metric; of several the first.
func Find(latest []Latest, metric string) (Latest, bool) {
	i, ok := findMetric(latest, metric)
	if !ok {
		return Latest{}, false
	}
	return latest[i], true
}

// findMetric returns the index of a metric, or the index where it belongs, and reports whether it is there.
func findMetric(latest []Latest, metric string) (int, bool) {
	return sort.Find(len(latest), func(i int) int { return strings.Compare(metric, latest[i].Metric) })
}

// findEntity returns the index of an entity, or the index where it belongs, and reports whether it is there.
func (l *Live) findEntity(e events.Entity) (int, bool) {
	return sort.Find(len(l.Entities), func(i int) int { return e.Compare(l.Entities[i].Entity) })
}

// winsOver reports whether l stays the latest beside another reading of its metric.
func (l *Latest) winsOver(at events.Timestamp, v events.Value, source string) bool {
	if at != l.At {
		return at < l.At
	}
	if c := v.Compare(l.Value); c != 0 {
		return c < 0
	}
	return source <= l.Source
}
