package events

import (
	"cmp"
	"slices"
	"strings"
)

// eventMaker builds events from the readings of a Cutter. It holds the memory of one build for reuse by the next.
type eventMaker struct {
	keeps bool          // the memory of events is used again after releaseEvents
	made  []eventMemory // of the events since then, as far as it is kept
	free  []eventMemory

	identities []int32 // in order
	identity   []int32 // rank of each identity
	names      []int32
	name       []int32
	columns    []int32
	ranks      []int32 // rank of each column
	table      []int32 // column plus one, by the ranks of identity and name
	exponents  []int16
}

// eventMemory is the memory of an event.
type eventMemory struct {
	identities []Identity
	columns    []Column
	times      []Timestamp
	mantissas  []int64
}

// Bounds of the memory that is kept.
const (
	maxKeptEvents  = 16
	maxKeptColumns = 1 << 10
	maxKeptRecords = 1 << 12
)

// releaseEvents takes the memory of all events made so far, which are used no more.
func (m *eventMaker) releaseEvents() {
	for i := range m.made {
		clear(m.made[i].identities)
		clear(m.made[i].columns)
	}
	m.free = append(m.free, m.made...)
	m.keeps, m.made = true, m.made[:0]
}

// takeMemory returns memory for an event of o.
func (m *eventMaker) takeMemory(o *openEvent) eventMemory {
	var e eventMemory
	if n := len(m.free); n > 0 {
		e, m.free = m.free[n-1], m.free[:n-1]
	}
	e.identities = slices.Grow(e.identities[:0], len(o.identities))[:len(o.identities)]
	e.columns = slices.Grow(e.columns[:0], len(o.columns))[:len(o.columns)]
	e.times = slices.Grow(e.times[:0], len(o.readings))[:len(o.readings)]
	e.mantissas = slices.Grow(e.mantissas[:0], len(o.readings))[:len(o.readings)]
	if m.keeps && len(m.made)+len(m.free) < maxKeptEvents && len(e.columns) <= maxKeptColumns && len(e.times) <= maxKeptRecords {
		m.made = append(m.made, e)
	}
	return e
}

// makeEvent returns the event of the records of o, of which there is at least one.
func (m *eventMaker) makeEvent(o *openEvent, upload UploadID) Event {
	ev := Event{Host: o.host, Sequence: o.chain, Zone: o.zone, Upload: upload}
	m.identities, m.identity = sortIndices(m.identities, m.identity, len(o.identities), func(i, j int32) int {
		return o.identities[i].Compare(o.identities[j].Identity)
	})
	m.names, m.name = sortIndices(m.names, m.name, len(o.names), func(i, j int32) int {
		a, b := &o.names[i], &o.names[j]
		return cmp.Or(strings.Compare(a.metric, b.metric), strings.Compare(a.source, b.source))
	})
	m.sortColumns(o)
	memory := m.takeMemory(o)
	ev.Identities, ev.Columns = memory.identities, memory.columns
	for rank, i := range m.identities {
		ev.Identities[rank] = *o.identities[i].Identity
	}
	for rank, i := range m.columns {
		c := o.columns[i]
		name := &o.names[c.name]
		ev.Columns[rank] = Column{Identity: int(m.identity[c.identity]), Metric: name.metric, Source: name.source}
	}
	m.fillColumns(o, &memory)
	return ev
}

// sortColumns sorts the columns by the ranks of their identities and names. Most events have nearly every name for each
// identity, so that a table of both is smaller than a sort.
func (m *eventMaker) sortColumns(o *openEvent) {
	cells := len(o.identities) * len(o.names)
	if cells > 4*len(o.columns) {
		m.columns, m.ranks = sortIndices(m.columns, m.ranks, len(o.columns), func(i, j int32) int {
			a, b := &o.columns[i], &o.columns[j]
			return cmp.Or(cmp.Compare(m.identity[a.identity], m.identity[b.identity]), cmp.Compare(m.name[a.name], m.name[b.name]))
		})
		return
	}
	m.table = slices.Grow(m.table[:0], cells)[:cells]
	clear(m.table)
	for i := range o.columns {
		c := &o.columns[i]
		m.table[int(m.identity[c.identity])*len(o.names)+int(m.name[c.name])] = int32(i) + 1
	}
	m.columns, m.ranks = m.columns[:0], slices.Grow(m.ranks[:0], len(o.columns))[:len(o.columns)]
	for _, i := range m.table {
		if i > 0 {
			m.ranks[i-1] = int32(len(m.columns))
			m.columns = append(m.columns, i-1)
		}
	}
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
func (m *eventMaker) fillColumns(o *openEvent, memory *eventMemory) {
	columns, times, mantissas := memory.columns, memory.times, memory.mantissas
	ranks, ends := m.ranks, m.columns // the order is no longer needed
	clear(ends)
	for i := range o.readings {
		ends[ranks[o.readings[i].column]]++
	}
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
