package projections

import (
	"cmp"
	"slices"

	"telemetry-pipeline/events"
)

// HostWindow is the set of records of one host in one window. Columns are sorted by (Entity, Metric, Source,
// Identity), their samples canonical: two equal sets of records are equal byte for byte.
type HostWindow struct {
	Columns    []Column
	Identities []WindowIdentity // of the columns, sorted by ID
}

// WindowIdentity is an identity by its ID. The identity may be shared, and must not be changed.
type WindowIdentity struct {
	ID       events.IdentityID
	Identity *events.Identity
}

// Find returns the identity of a column; nil when the window has no such column.
func (s *HostWindow) Find(id events.IdentityID) *events.Identity {
	i, ok := slices.BinarySearchFunc(s.Identities, id, func(e WindowIdentity, id events.IdentityID) int { return cmp.Compare(e.ID, id) })
	if !ok {
		return nil
	}
	return s.Identities[i].Identity
}

// With returns a window of some of the columns of s, with their identities.
func (s *HostWindow) With(columns []Column) HostWindow {
	switch len(columns) {
	case 0:
		return HostWindow{}
	case len(s.Columns):
		return HostWindow{Columns: columns, Identities: s.Identities}
	}
	used := make(map[events.IdentityID]bool, len(s.Identities))
	for i := range columns {
		used[columns[i].Identity] = true
	}
	part := HostWindow{Columns: columns}
	if len(used) == len(s.Identities) {
		part.Identities = s.Identities
		return part
	}
	for _, e := range s.Identities {
		if used[e.ID] {
			part.Identities = append(part.Identities, e)
		}
	}
	return part
}

// identitySet is a set of identities by their ID.
type identitySet map[events.IdentityID]*events.Identity

// windowOf returns the window of columns whose identities are in the set.
func (all identitySet) windowOf(columns []Column) HostWindow {
	s := HostWindow{Columns: columns, Identities: make([]WindowIdentity, 0, min(len(all), len(columns)))}
	for i := range columns {
		if id := columns[i].Identity; i == 0 || columns[i-1].Identity != id {
			s.Identities = append(s.Identities, WindowIdentity{id, all[id]})
		}
	}
	slices.SortFunc(s.Identities, func(a, b WindowIdentity) int { return cmp.Compare(a.ID, b.ID) })
	s.Identities = slices.CompactFunc(s.Identities, func(a, b WindowIdentity) bool { return a.ID == b.ID })
	return s
}

// NewHostWindow returns the window of canonical columns in order, with the identities given for their IDs.
func NewHostWindow(columns []Column, identities map[events.IdentityID]*events.Identity) HostWindow {
	return identitySet(identities).windowOf(columns)
}

// Column is the records of one series under one source name and one identity.
type Column struct {
	Entity   events.Entity
	Metric   string
	Source   string
	Identity events.IdentityID
	events.Samples
}

// Records returns the number of readings.
func (s *HostWindow) Records() int {
	n := 0
	for i := range s.Columns {
		n += s.Columns[i].Len()
	}
	return n
}

// Add unites the records of other into s and returns the ones that s did not have. Both are canonical, and other
// stays as it is; memory may be shared. The cost of adding newer and newer records follows their number, not the size
// of s.
func (s *HostWindow) Add(other HostWindow) (added HostWindow) {
	var fresh []Column // columns whose key s has not
	whole := true      // so far s had none of the records; then the columns of other are the added ones
	i := 0
	for j := range other.Columns {
		c := &other.Columns[j]
		for i < len(s.Columns) && compareKey(&s.Columns[i], c) < 0 {
			i++
		}
		part := *c
		if i == len(s.Columns) || compareKey(&s.Columns[i], c) != 0 {
			if fresh == nil {
				fresh = make([]Column, 0, len(other.Columns)-j)
			}
			fresh = append(fresh, part)
		} else {
			part.Samples = s.Columns[i].Unite(c.Samples)
		}
		if whole && part.Len() < c.Len() {
			whole, added.Columns = false, slices.Clone(other.Columns[:j])
		}
		if !whole && part.Len() > 0 {
			added.Columns = append(added.Columns, part)
		}
	}
	s.insertColumns(fresh)
	if whole {
		added.Columns = other.Columns
	}
	if len(added.Columns) == 0 {
		return HostWindow{}
	}
	s.Identities = uniteIdentities(s.Identities, other.Identities)
	return other.With(added.Columns)
}

// Take is Add for records that nobody else uses from then on, and returns how many s did not have.
func (s *HostWindow) Take(other HostWindow) (added int) {
	if len(s.Columns) > 0 {
		fresh := s.Add(other)
		return fresh.Records()
	}
	s.insertColumns(other.Columns)
	s.Identities = other.Identities
	return s.Records()
}

// uniteIdentities returns the union of two lists in order, the first itself where it holds the second.
func uniteIdentities(have, more []WindowIdentity) []WindowIdentity {
	missing := 0
	for i, j := 0, 0; j < len(more); j++ {
		for i < len(have) && have[i].ID < more[j].ID {
			i++
		}
		if i == len(have) || have[i].ID != more[j].ID {
			missing++
		}
	}
	if missing == 0 {
		return have
	}
	all := make([]WindowIdentity, 0, len(have)+missing)
	for len(have)+len(more) > 0 {
		switch {
		case len(more) == 0:
			return append(all, have...)
		case len(have) == 0:
			return append(all, more...)
		case have[0].ID < more[0].ID:
			all, have = append(all, have[0]), have[1:]
		default:
			if have[0].ID == more[0].ID {
				have = have[1:]
			}
			all, more = append(all, more[0]), more[1:]
		}
	}
	return all
}

// insertColumns inserts sorted columns with new keys into s, which takes their slice over.
func (s *HostWindow) insertColumns(fresh []Column) {
	if len(fresh) == 0 {
		return
	}
	for i := range fresh {
		fresh[i].Samples, _ = events.Union(events.Samples{}, fresh[i].Samples) // without room that another may append to
	}
	switch n := len(s.Columns); {
	case n == 0:
		s.Columns = fresh
		return
	case compareKey(&s.Columns[n-1], &fresh[0]) < 0:
		s.Columns = append(s.Columns, fresh...)
		return
	}
	all := make([]Column, 0, len(s.Columns)+len(fresh))
	for _, c := range s.Columns {
		for len(fresh) > 0 && compareKey(&fresh[0], &c) < 0 {
			all, fresh = append(all, fresh[0]), fresh[1:]
		}
		all = append(all, c)
	}
	s.Columns = append(all, fresh...)
}

// Merge returns the set union of chunks of one window, in any order. It is fast where they follow each other
// in time, and the result may share memory with them.
func Merge(chunks ...HostWindow) HostWindow {
	type dated struct {
		series HostWindow
		first  events.Timestamp
	}
	order := make([]dated, len(chunks))
	for i, s := range chunks {
		order[i] = dated{series: s, first: s.firstTime()}
	}
	slices.SortStableFunc(order, func(a, b dated) int { return cmp.Compare(a.first, b.first) })
	sorted := make([]HostWindow, len(order))
	for i, d := range order {
		sorted[i] = d.series
	}
	return mergeSorted(sorted)
}

// mergeSorted merges chunks one after the other, or by halves if they have few series in common: each copy of the list of series
// then doubles it.
func mergeSorted(chunks []HostWindow) (all HostWindow) {
	if n := len(chunks); n > 2 && haveOwnIdentities(chunks) {
		all = mergeSorted(chunks[:n/2])
		all.Add(mergeSorted(chunks[n/2:]))
		return all
	}
	for _, s := range chunks {
		all.Add(s)
	}
	return all
}

// haveOwnIdentities reports whether most chunks have identities that the others have not, by looking at three of them.
func haveOwnIdentities(chunks []HostWindow) bool {
	a, b, c := chunks[0].Identities, chunks[len(chunks)/2].Identities, chunks[len(chunks)-1].Identities
	return len(uniteIdentities(uniteIdentities(a, b), c)) > 2*max(len(a), len(b), len(c))
}

// firstTime returns the earliest time of the window's records, or maxTime when it has none.
func (s *HostWindow) firstTime() events.Timestamp {
	at := maxTime
	for i := range s.Columns {
		if times := s.Columns[i].Times; len(times) > 0 {
			at = min(at, times[0])
		}
	}
	return at
}
