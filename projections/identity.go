package projections

import (
	"cmp"
	"sort"

	"telemetry-pipeline/events"
)

// Identity is what is known of a host's entities, and in which windows it has history. It changes rarely,
// and is written only then. Its slices are never changed in place (see Host). Implausible readings count
// for nothing here, as in the other models.
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

// Find gives what is known of an identity.
func (id *Identity) Find(of events.IdentityID) (*Known, bool) {
	i, ok := id.find(of)
	if !ok {
		return nil, false
	}
	return &id.Known[i], true
}

func (id *Identity) find(of events.IdentityID) (int, bool) {
	return sort.Find(len(id.Known), func(i int) int { return cmp.Compare(of, id.Known[i].ID) })
}

// Holds tells whether a window holds records of the host.
func (id *Identity) Holds(w Window) bool {
	_, found := findWindow(id.Windows, w)
	return found
}
