package projections

import "telemetry-pipeline/events"

// Identity is what is known of a host's entities, and in which windows it has history. It changes
// rarely, and is written only then.
type Identity struct {
	Known   []Known // sorted by ID
	Windows []Span  // windows that hold records: disjoint, ascending, not adjacent
}

// Known is one identity (UUID, model, labels …) and when it was first seen, by record time.
type Known struct {
	ID        events.IdentityID
	Identity  events.Identity
	FirstSeen events.Timestamp
}

// Span is a run of windows, both ends included.
type Span struct{ First, Last Window }
