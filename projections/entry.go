package projections

import "telemetry-pipeline/events"

// Entry is every reading of one entity at one exact time.
type Entry struct {
	At       events.Timestamp
	Host     events.HostID
	Entity   events.Entity
	Identity events.Identity // of several at one time that of the greatest id
	Readings []Reading       // sorted by Metric, then greatest Value first; several per metric are possible
}

// Reading is one metric's reading in an Entry.
type Reading struct {
	Metric string
	Source string
	Value  events.Value
}

// EntryFilter says which readings of a series make entries. Empty slices take everything; From and To are inclusive, and zero
// means unbounded.
type EntryFilter struct {
	From, To events.Timestamp
	GPUs     []events.GPUID // with their parts
	Metrics  []string
	Newest   bool   // newest first
	Limit    int    // at most so many, from the end that Newest names; 0 means all
	Behind   *Place // only entries strictly behind this place, in the direction that Newest names
}

// Place is an entry's place in the order of entries: by time, then host, then entity.
type Place struct {
	At     events.Timestamp
	Host   events.HostID
	Entity events.Entity
}

// Place tells where e stands.
func (e *Entry) Place() Place { return Place{At: e.At, Host: e.Host, Entity: e.Entity} }

// Compare orders places: -1, 0 or +1.
func (p Place) Compare(q Place) int { panic("contract") }

// Entries joins a host's records of one window into entries, ascending by Place, or descending with Newest. identity resolves the
// columns' identities. Its cost follows the filtered columns and what Limit lets through, not the window's size.
func Entries(host events.HostID, s *Series, identity *Identity, f EntryFilter) []Entry {
	panic("contract")
}
