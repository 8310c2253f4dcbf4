package projections

import (
	"cmp"
	"slices"

	"telemetry-pipeline/events"
)

// HostWindow is the set of records of one host in one window. Columns are sorted by (Entity, Metric, Source,
// Identity), their samples canonical: two equal sets of records are equal byte for byte.
type HostWindow struct {
	Columns []Column
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
	i := 0
	for j := range other.Columns {
		c := &other.Columns[j]
		for i < len(s.Columns) && compareKey(&s.Columns[i], c) < 0 {
			i++
		}
		if i == len(s.Columns) || compareKey(&s.Columns[i], c) != 0 {
			fresh = append(fresh, *c)
			added.Columns = append(added.Columns, *c)
			continue
		}
		if rows := s.Columns[i].Unite(c.Samples); rows.Len() > 0 {
			part := *c
			part.Samples = rows
			added.Columns = append(added.Columns, part)
		}
	}
	s.insertColumns(fresh)
	return added
}

// insertColumns inserts sorted columns with new keys into s.
func (s *HostWindow) insertColumns(fresh []Column) {
	if len(fresh) == 0 {
		return
	}
	for i := range fresh {
		fresh[i].Samples, _ = events.Union(events.Samples{}, fresh[i].Samples) // without room that another may append to
	}
	if n := len(s.Columns); n == 0 || compareKey(&s.Columns[n-1], &fresh[0]) < 0 {
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
	var all HostWindow
	for _, d := range order {
		all.Add(d.series)
	}
	return all
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
