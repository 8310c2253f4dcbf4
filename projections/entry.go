package projections

import "telemetry-pipeline/events"

// Entry is every reading of one entity at one exact time.
type Entry struct {
	At       events.Timestamp
	Host     events.HostID
	Entity   events.Entity
	Identity events.Identity
	Readings []Reading // sorted by Metric, then greatest Value first; several per metric are possible
}

// Reading is one metric's reading in an Entry.
type Reading struct {
	Metric string
	Source string
	Value  events.Value
}

// EntryFilter says which readings of a series make entries. Empty slices take everything; From and To are inclusive.
type EntryFilter struct {
	From, To events.Timestamp
	GPUs     []events.GPUID
	Metrics  []string
}

// Entries joins a host's records of one window into entries, ascending by (At, Host, Entity). identity resolves the columns' identities.
func Entries(host events.HostID, s *Series, identity *Identity, f EntryFilter) []Entry {
	panic("contract")
}
