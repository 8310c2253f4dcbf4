package projections

import (
	"cmp"
	"sort"

	"telemetry-pipeline/events"
)

// Identity holds the known identities of a host's entities and the windows of its history. It changes rarely,
// and is written only then. Its slices are never changed in place (see Host). Implausible readings count
// for nothing here, as in the other models.
type Identity struct {
	Known   []Known       // sorted by ID
	Windows []WindowRange // windows that hold records: disjoint, ascending, not adjacent
}

// Known is one identity (UUID, model, labels …) and when it was first seen, by record time.
type Known struct {
	ID        events.IdentityID
	Identity  events.Identity
	FirstSeen events.Timestamp
}

// WindowRange is a run of windows, both ends included.
type WindowRange struct{ First, Last Window }

// Find returns the known identity with an id; false when there is none.
func (id *Identity) Find(of events.IdentityID) (*Known, bool) {
	i, ok := id.findKnown(of)
	if !ok {
		return nil, false
	}
	return &id.Known[i], true
}

func (id *Identity) findKnown(of events.IdentityID) (int, bool) {
	return sort.Find(len(id.Known), func(i int) int { return cmp.Compare(of, id.Known[i].ID) })
}

// Holds reports whether a window holds records of the host.
func (id *Identity) Holds(w Window) bool {
	_, found := findWindow(id.Windows, w)
	return found
}
