package projections

import (
	"errors"

	"telemetry-pipeline/events"
)

// ErrRemoved ends the reading of a generation that another one has replaced and whose models are being removed: the rest
// looks like a smaller fleet.
var ErrRemoved = errors.New("the generation was replaced and is being removed")

// ActiveGeneration is the generation that query servers serve.
type ActiveGeneration struct {
	Generation Generation
	Refusal    error // the reason why this program cannot serve it; nil if it can
}

// Unreadable is a stored value that could not be read and is missing in a Batch. A later write of the same value
// replaces it.
type Unreadable struct {
	Key       string
	Kind      string // live, identity or offsets; empty if the key itself could not be read
	Partition events.Partition
	Host      events.HostID // empty for offsets
	Err       error
}
