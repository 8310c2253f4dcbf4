package projections

import (
	"time"

	"telemetry-pipeline/events"
)

// GPU is one GPU as its newest records show it, merged over every host that it was seen on.
type GPU struct {
	ID        events.GPUID
	Host      events.HostID   // where its newest record is from
	Hosts     []events.HostID // every host it was seen on, sorted
	Identity  events.Identity // of its newest record
	FirstSeen events.Timestamp
	LastSeen  events.Timestamp
	Latest    []Latest // its own metrics, sorted by Metric
	Parts     []Part   // MIG instances, links, processes; sorted by Name
}

// Part is a part of a GPU that has readings of its own.
type Part struct {
	Name     string // as events.Entity.Part
	Identity events.Identity
	LastSeen events.Timestamp
	Latest   []Latest
}

// Status tells how current something is; it depends on the clock and is never stored.
type Status string

const (
	Active  Status = "active"  // a record in the last StaleAfter
	Stale   Status = "stale"   // none since
	Missing Status = "missing" // a GPU that is silent while its host is not
)

// StaleAfter is how long after its newest record something counts as active; MissingAfter is how far behind its host's newest
// record a GPU's may be before it counts as missing.
const (
	StaleAfter   = 5 * time.Minute
	MissingAfter = 10 * time.Minute
)

// StatusOf is the status of something last seen at last, on a host last seen at host (pass last again for a host itself), at now.
func StatusOf(last, host, now events.Timestamp) Status { panic("contract") }

// Fragment is what one host knows of one GPU.
type Fragment struct {
	Host     *Host
	Entities []*LiveEntity // the GPU itself and its parts, sorted by Part
}

// MergeGPU merges what the hosts know of one GPU, by record time; ties: the smaller host name. It does not keep or change its arguments.
func MergeGPU(id events.GPUID, fragments []Fragment) *GPU { panic("contract") }

// JoinTolerance is how far apart the readings of one view of a GPU may be: one scrape's readings differ by seconds.
const JoinTolerance = 15 * time.Second

// Joined gives the GPU's own readings that are no older than tolerance before the newest of them, and the oldest time among those.
// A zero tolerance means JoinTolerance. Without readings oldest is 0.
func (g *GPU) Joined(tolerance time.Duration) (readings []Latest, oldest events.Timestamp) {
	panic("contract")
}
