package events

import (
	"cmp"
	"slices"
	"strings"
)

// eventMaker builds events from the readings of a Cutter. It holds the memory of one build for reuse by the next.
type eventMaker struct {
	identities []int32 // in order
	identity   []int32 // rank of each identity
	names      []int32
	name       []int32
	columns    []int32
	ranks      []int32 // rank of each column
	exponents  []int16
}

// makeEvent returns the event of the records of o, of which there is at least one.
func (m *eventMaker) makeEvent(o *openEvent, upload UploadID) Event {
	ev := Event{Host: o.host, Sequence: o.chain, Zone: o.zone, Upload: upload}
	m.identities, m.identity = sortIndices(m.identities, m.identity, len(o.identities), func(i, j int32) int {
		return o.identities[i].Compare(o.identities[j])
	})
	m.names, m.name = sortIndices(m.names, m.name, len(o.names), func(i, j int32) int {
		a, b := &o.names[i], &o.names[j]
		return cmp.Or(strings.Compare(a.metric, b.metric), strings.Compare(a.source, b.source))
	})
	m.columns, m.ranks = sortIndices(m.columns, m.ranks, len(o.columns), func(i, j int32) int {
		a, b := o.columns[i], o.columns[j]
		return cmp.Or(cmp.Compare(m.identity[a.identity], m.identity[b.identity]), cmp.Compare(m.name[a.name], m.name[b.name]))
	})
	ev.Identities = make([]Identity, len(o.identities))
	for rank, i := range m.identities {
		ev.Identities[rank] = *o.identities[i]
	}
	ev.Columns = make([]Column, len(o.columns))
	for rank, i := range m.columns {
		c := o.columns[i]
		name := &o.names[c.name]
		ev.Columns[rank] = Column{Identity: int(m.identity[c.identity]), Metric: name.metric, Source: name.source}
	}
	m.fillColumns(o, ev.Columns)
	return ev
}

// sortIndices returns the numbers 0 to count-1 in sorted order, and the rank of each. It reuses the given memory.
func sortIndices(order, ranks []int32, count int, compare func(i, j int32) int) ([]int32, []int32) {
	order, ranks = order[:0], slices.Grow(ranks[:0], count)[:count]
	for i := range count {
		order = append(order, int32(i))
	}
	slices.SortFunc(order, compare)
	for rank, i := range order {
		ranks[i] = int32(rank)
	}
	return order, ranks
}

// fillColumns copies the readings into the event's columns, which share one allocation, and makes each column
// canonical. The rank of column i of o is m.ranks[i].
func (m *eventMaker) fillColumns(o *openEvent, columns []Column) {
	ranks, ends := m.ranks, m.columns // the order is no longer needed
	clear(ends)
	for i := range o.readings {
		ends[ranks[o.readings[i].column]]++
	}
	times := make([]Timestamp, len(o.readings))
	mantissas := make([]int64, len(o.readings))
	m.exponents = slices.Grow(m.exponents[:0], len(o.readings))[:len(o.readings)]
	end := int32(0)
	for i, n := range ends {
		s := &columns[i].Samples
		s.Times, s.Mantissas, s.Exponents = times[end:end:end+n], mantissas[end:end:end+n], m.exponents[end:end:end+n]
		end += n
	}
	for i := range o.readings {
		r := &o.readings[i]
		columns[ranks[r.column]].appendReading(o, r)
	}
	for i := range columns {
		s := &columns[i].Samples
		s.setRows(s.Mantissas, s.Exponents)
		s.Exponents = slices.Clone(s.Exponents) // rare; otherwise the next event reuses the memory
		if !s.isSorted() {
			s.sortRows()
		}
	}
}

// appendReading appends one reading of o, with an exponent of its own.
func (s *Samples) appendReading(o *openEvent, r *reading) {
	n := NumberOf(r.mantissa, r.exponent)
	if r.absent {
		v := &o.absent[r.mantissa]
		s.Absent = append(s.Absent, Absence{Row: len(s.Times), Reason: v.Absent, Raw: v.Raw})
		n = Number{}
	}
	s.Times = append(s.Times, r.at)
	s.Mantissas = append(s.Mantissas, n.Mantissa)
	s.Exponents = append(s.Exponents, n.Exponent)
}
