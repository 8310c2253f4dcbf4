package projections

import (
	"cmp"
	"strings"

	"telemetry-pipeline/events"
)

// Entry is every reading of one entity at one exact time.
type Entry struct {
	At       events.Timestamp
	Host     events.HostID
	Entity   events.Entity
	Identity *events.Identity // of several at one time the one with the greatest id; shared, and never nil
	Readings []Reading        // sorted by metric, then greatest value first, then greatest source; several per metric are possible
}

// Reading is one metric's reading in an Entry: a place in the series that the entry was made from, as an answer
// of many entries would else consist of copies.
type Reading struct {
	column *Column
	row    int
}

// Metric returns the canonical name of the metric.
func (r Reading) Metric() string { return r.column.Metric }

// Source returns the name by which the source called the metric.
func (r Reading) Source() string { return r.column.Source }

// Value returns the number, or the reason for having none.
func (r Reading) Value() events.Value {
	_, v := r.column.At(r.row)
	return v
}

// Equal reports whether two readings have the same metric, source name and value.
func (r Reading) Equal(s Reading) bool {
	return r.Metric() == s.Metric() && r.Source() == s.Source() && r.Value() == s.Value()
}

// compare orders the readings of an entry.
func (r Reading) compare(s Reading) int {
	return cmp.Or(strings.Compare(r.Metric(), s.Metric()), s.Value().Compare(r.Value()), strings.Compare(s.Source(), r.Source()))
}

// EntryFilter says which readings of a series make entries. Empty slices take everything; From and To are
// inclusive, and zero means unbounded.
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

// Place returns e's place in the order of entries.
func (e *Entry) Place() Place { return Place{At: e.At, Host: e.Host, Entity: e.Entity} }

// Compare orders places: -1, 0 or +1.
func (p Place) Compare(q Place) int {
	if c := cmp.Compare(p.At, q.At); c != 0 {
		return c
	}
	if c := cmp.Compare(p.Host, q.Host); c != 0 {
		return c
	}
	return p.Entity.Compare(q.Entity)
}

// timeBounds are the first and last time that the filter lets through.
func (f *EntryFilter) timeBounds() (from, to events.Timestamp) {
	from, to = f.From, f.To
	if from == 0 {
		from = minTime
	}
	if to == 0 {
		to = maxTime
	}
	switch {
	case f.Behind == nil:
	case f.Newest:
		to = min(to, f.Behind.At)
	default:
		from = max(from, f.Behind.At)
	}
	return from, to
}

// hasPassed reports whether a place is not behind f.Behind, so that an earlier page has it.
func (f *EntryFilter) hasPassed(p Place) bool {
	if f.Behind == nil {
		return false
	}
	if f.Newest {
		return p.Compare(*f.Behind) >= 0
	}
	return p.Compare(*f.Behind) <= 0
}
