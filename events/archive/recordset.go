package archive

import (
	"cmp"
	"iter"
	"slices"
	"strings"

	"telemetry-pipeline/events"
)

// recordSet holds records by series, in order of arrival; sortedRows returns them in the order of an object. It takes about
// 22 bytes per record.
type recordSet struct {
	all        []*seriesRecords
	byKey      map[seriesKey]int32
	identities []*events.Identity
	byID       map[events.IdentityID][]int32 // places in identities
	records    int64
}

// seriesKey identifies a series. identity is an index into recordSet.identities.
type seriesKey struct {
	host           events.HostID
	identity       int32
	metric, source string
}

// seriesRecords holds the records of a series, in columns.
type seriesRecords struct {
	series
	gpu       events.GPUID
	times     []events.Timestamp
	mantissas []int64
	exponents []int16 // of each, as its event had it
	owners    []int32 // the event of each
	absent    []events.Absence
	cells     *seriesCells // of recordWriter
}

// row is one record of a series.
type row struct {
	series *seriesRecords
	at     events.Timestamp
	number events.Number
	absent events.Reason
	raw    string
	event  int32
}

func newRecordSet() *recordSet {
	return &recordSet{byKey: make(map[seriesKey]int32), byID: make(map[events.IdentityID][]int32)}
}

// addEvent adds the records of event number owner.
func (g *recordSet) addEvent(ev *events.Event, owner int32) {
	places := make([]int32, len(ev.Identities))
	for i := range ev.Identities {
		places[i] = g.identityIndex(&ev.Identities[i])
	}
	for i := range ev.Columns {
		c := &ev.Columns[i]
		s := g.seriesFor(ev.Host, places[c.Identity], c.Metric, c.Source)
		for _, a := range c.Absent {
			a.Row += len(s.times)
			s.absent = append(s.absent, a)
		}
		s.times = append(s.times, c.Times...)
		s.mantissas = append(s.mantissas, c.Mantissas...)
		if c.Exponents != nil {
			s.exponents = append(s.exponents, c.Exponents...)
		}
		for range c.Times {
			if c.Exponents == nil {
				s.exponents = append(s.exponents, c.Exponent)
			}
			s.owners = append(s.owners, owner)
		}
		g.records += int64(c.Len())
	}
}

// identityIndex returns the index of an identity, which it adds if it is new.
func (g *recordSet) identityIndex(id *events.Identity) int32 {
	hash := id.ID()
	for _, place := range g.byID[hash] {
		if g.identities[place].Compare(id) == 0 {
			return place
		}
	}
	place := int32(len(g.identities))
	g.identities = append(g.identities, id)
	g.byID[hash] = append(g.byID[hash], place)
	return place
}

func (g *recordSet) seriesFor(host events.HostID, identity int32, metric, source string) *seriesRecords {
	key := seriesKey{host, identity, metric, source}
	place, found := g.byKey[key]
	if !found {
		place = int32(len(g.all))
		g.byKey[key] = place
		id := g.identities[identity]
		g.all = append(g.all, &seriesRecords{
			series: series{host: host, identity: id, metric: metric, source: source},
			gpu:    id.Entity(host).GPU,
		})
	}
	return g.all[place]
}

// sortedRows returns the records by host, GPU, part, metric, time, then source, identity, value and event. With distinct, it
// returns only the first of records that are equal except for the event.
func (g *recordSet) sortedRows(distinct bool) iter.Seq[row] {
	return func(yield func(row) bool) {
		slices.SortFunc(g.all, func(a, b *seriesRecords) int {
			return cmp.Or(a.compareGroup(b), a.compareInGroup(&b.series))
		})
		for group := range groupNeighbours(g.all, func(a, b *seriesRecords) bool { return a.compareGroup(b) == 0 }) {
			for _, s := range group {
				s.levelExponents()
			}
			if !groupRows(group, distinct, yield) {
				return
			}
		}
	}
}

// compareGroup compares series by the sort columns before the time.
func (s *seriesRecords) compareGroup(t *seriesRecords) int {
	return cmp.Or(
		strings.Compare(string(s.host), string(t.host)),
		strings.Compare(string(s.gpu), string(t.gpu)),
		strings.Compare(s.identity.Part, t.identity.Part),
		strings.Compare(s.metric, t.metric))
}

// compareInGroup compares series that are equal in the sort columns before the time.
func (s *series) compareInGroup(t *series) int {
	return cmp.Or(strings.Compare(s.source, t.source), s.identity.Compare(t.identity))
}

// groupNeighbours returns the runs of adjacent elements for which same is true.
func groupNeighbours[T any](all []T, same func(a, b T) bool) iter.Seq[[]T] {
	return func(yield func([]T) bool) {
		for len(all) > 0 {
			n := 1
			for n < len(all) && same(all[n-1], all[n]) {
				n++
			}
			if !yield(all[:n]) {
				return
			}
			all = all[n:]
		}
	}
}

// rowPosition is the position of a record in a group of series.
type rowPosition struct{ series, row int32 }

// levelExponents changes all records of s to the finest exponent where their numbers fit it, so that the column of scales is
// constant for a series and not different for each number. The numbers stay the same.
func (s *seriesRecords) levelExponents() {
	finest, some := int16(0), false
	for i, m := range s.mantissas {
		if m != 0 && (!some || s.exponents[i] < finest) {
			finest, some = s.exponents[i], true
		}
	}
	for i, m := range s.mantissas {
		n := events.Number{Mantissa: m, Exponent: s.exponents[i]}
		if m == 0 || n.Exponent == finest && isExact(n, n.Float()) {
			s.exponents[i] = finest
		} else if m, fits := n.MantissaAt(finest); fits && isExact(events.Number{Mantissa: m, Exponent: finest}, n.Float()) {
			s.mantissas[i], s.exponents[i] = m, finest
		} else {
			n = events.NumberOf(n.Mantissa, n.Exponent)
			s.mantissas[i], s.exponents[i] = n.Mantissa, n.Exponent
		}
	}
}

// groupRows yields the records of series that differ in source and identity alone and are sorted by them. It reports whether
// to continue.
func groupRows(group []*seriesRecords, distinct bool, yield func(row) bool) bool {
	if len(group) == 1 && group[0].isAscending() {
		return group[0].yieldRows(yield)
	}
	var order []rowPosition
	for i, s := range group {
		for j := range s.times {
			order = append(order, rowPosition{int32(i), int32(j)})
		}
	}
	slices.SortFunc(order, func(a, b rowPosition) int {
		s, t := group[a.series], group[b.series]
		if c := cmp.Or(cmp.Compare(s.times[a.row], t.times[b.row]), cmp.Compare(a.series, b.series)); c != 0 {
			return c
		}
		return cmp.Or(s.valueAt(int(a.row)).Compare(s.valueAt(int(b.row))), cmp.Compare(s.owners[a.row], s.owners[b.row]))
	})
	for i, p := range order {
		s := group[p.series]
		if distinct && i > 0 && order[i-1].series == p.series && s.times[order[i-1].row] == s.times[p.row] &&
			s.valueAt(int(order[i-1].row)) == s.valueAt(int(p.row)) {
			continue
		}
		if !yield(s.rowAt(int(p.row))) {
			return false
		}
	}
	return true
}

// isAscending reports whether each record is later than the previous one.
func (s *seriesRecords) isAscending() bool {
	for i := 1; i < len(s.times); i++ {
		if s.times[i-1] >= s.times[i] {
			return false
		}
	}
	return true
}

// yieldRows yields the records in their present order, and reports whether to continue.
func (s *seriesRecords) yieldRows(yield func(row) bool) bool {
	absent := s.absent
	for i := range s.times {
		r := row{series: s, at: s.times[i], number: events.Number{Mantissa: s.mantissas[i], Exponent: s.exponents[i]}, event: s.owners[i]}
		if len(absent) > 0 && absent[0].Row == i {
			r.absent, r.raw, absent = absent[0].Reason, absent[0].Raw, absent[1:]
		}
		if !yield(r) {
			return false
		}
	}
	return true
}

// rowAt returns record i. Its number is not normalised.
func (s *seriesRecords) rowAt(i int) row {
	r := row{series: s, at: s.times[i], number: events.Number{Mantissa: s.mantissas[i], Exponent: s.exponents[i]}, event: s.owners[i]}
	if v := s.valueAt(i); v.Absent != events.Present {
		r.absent, r.raw = v.Absent, v.Raw
	}
	return r
}

// valueAt returns the value of record i, normalised.
func (s *seriesRecords) valueAt(i int) events.Value {
	if len(s.absent) > 0 {
		k, absent := slices.BinarySearchFunc(s.absent, i, func(a events.Absence, row int) int { return cmp.Compare(a.Row, row) })
		if absent {
			return events.Value{Absent: s.absent[k].Reason, Raw: s.absent[k].Raw}
		}
	}
	return events.Value{Number: events.NumberOf(s.mantissas[i], s.exponents[i])}
}
