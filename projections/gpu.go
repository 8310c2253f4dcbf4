package projections

import (
	"time"

	"telemetry-pipeline/events"
)

// GPU is one GPU as its newest records show it, merged over every host that it was seen on.
type GPU struct {
	ID        events.GPUID
	Host      events.HostID   // where it is: see MergeGPU
	Hosts     []events.HostID // every host it was seen on, sorted
	Conflict  []events.HostID // other hosts that report it at the same time, sorted
	Identity  events.Identity // the newest value of each field, and its current workload
	FirstSeen events.Timestamp
	LastSeen  events.Timestamp // of its own records and its parts' records
	Latest    []Latest         // its own metrics, sorted by Metric
	Parts     []Part           // MIG instances, links, processes; sorted by Name
}

// Part is a part of a GPU that has readings of its own.
type Part struct {
	Name     string // as events.Entity.Part
	Identity events.Identity
	LastSeen events.Timestamp
	Latest   []Latest
}

// JoinTolerance is how far apart the readings of one view of a GPU may be: one scrape's readings differ by
// seconds.
const JoinTolerance = 15 * time.Second

// Joined returns the GPU's own readings that are no older than tolerance before the newest of them, and the
// oldest time among them. A zero tolerance means JoinTolerance. Without readings oldest is 0.
func (g *GPU) Joined(tolerance time.Duration) (readings []Latest, oldest events.Timestamp) {
	if len(g.Latest) == 0 {
		return nil, 0
	}
	if tolerance == 0 {
		tolerance = JoinTolerance
	}
	newest := newestLatest(g.Latest)
	oldest = newest
	for _, l := range g.Latest {
		if elapsed(l.At, newest) > tolerance {
			continue
		}
		readings = append(readings, l)
		oldest = min(oldest, l.At)
	}
	return readings, oldest
}
