package projections

import (
	"time"

	"telemetry-pipeline/events"
)

// Status says how current a host or GPU is; it depends on the clock and is never stored.
type Status string

const (
	Active  Status = "active"  // a record in the last StaleAfter
	Stale   Status = "stale"   // none since
	Missing Status = "missing" // a GPU that is silent while its host is not
)

// StaleAfter is how long after its newest record something counts as active; MissingAfter is how far behind
// its host's newest record a GPU's may be before it counts as missing.
const (
	StaleAfter   = 5 * time.Minute
	MissingAfter = 10 * time.Minute
)

// StatusOf returns the status of something last seen at last, on a host last seen at host (pass last again for a
// host itself), at now. A GPU that fell behind its host is missing however long ago that was: in an old
// file too the host went on without it.
func StatusOf(last, host, now events.Timestamp) Status {
	switch {
	case elapsed(last, host) > MissingAfter:
		return Missing
	case elapsed(last, now) > StaleAfter:
		return Stale
	}
	return Active
}

// elapsed returns the time between two instants, as far as a Duration goes.
func elapsed(from, to events.Timestamp) time.Duration { return to.Time().Sub(from.Time()) }
