package projections

import "telemetry-pipeline/events"

// Live is the newest reading of every metric of every entity of one host. Sorted by Entity, then Metric.
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

// Find gives the reading of one metric in readings sorted by Metric.
func Find(latest []Latest, metric string) (Latest, bool) { panic("contract") }
