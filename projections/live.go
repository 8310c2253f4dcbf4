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
	Appended events.Timestamp // newest time at which an event of the host was appended
}

// LiveEntity is one entity's newest readings. An entity all of whose readings are ahead of their time has no Latest yet,
// and was not seen (SeenAt is 0).
type LiveEntity struct {
	Entity   events.Entity    // under the name that its records give it (see Names)
	SeenAt   events.Timestamp // newest time of Latest
	Appended events.Timestamp // when the newest reading was appended; of several records of it, the first
	Said     []Said           // sorted by Field
	Workload *Workload        // nil when no record named one; never changed in place
	Latest   []Latest         // sorted by Metric
	Ahead    []Latest         // see Ahead; sorted by Metric, then time; all newer than the metric's Latest
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

// countParts returns the number of parts of a GPU.
func (l *Live) countParts(gpu events.GPUID) int {
	from, _ := l.findEntity(events.Entity{GPU: gpu})
	n := 0
	for i := from; i < len(l.Entities) && l.Entities[i].Entity.GPU == gpu; i++ {
		if l.Entities[i].Entity.Part != "" {
			n++
		}
	}
	return n
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

// CountGPUs returns the number of entities that are no parts.
func (l *Live) CountGPUs() (n int) {
	for i := range l.Entities {
		if l.Entities[i].Entity.Part == "" {
			n++
		}
	}
	return n
}
