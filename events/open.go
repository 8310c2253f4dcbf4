package events

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/zeebo/xxh3"
)

// openEvent gathers the records of one host until they become an event.
//
// Its Sequence is a chain of 128-bit xxh3 hashes: over host and zone, then per record over the hash before it, the
// hash of the identity's content, the record's time, the source's name of the metric and the source's
// text, each text with its length before it. Nothing of it depends on canonical names, on how a value was understood
// or on how events are stored, so an upgrade of those does not make old files new. It is a fact of stored keys; never change it.
type openEvent struct {
	host  HostID
	zone  string
	chain [16]byte
	buf   []byte

	identities []*Identity
	digests    [][16]byte
	byPointer  map[*Identity]int32
	byContent  map[string]int32

	columns   []columnName
	byName    map[columnName]int32
	following []int32 // by column, the one that came after it last time

	readings []reading
	absent   []Value // of readings, by their mantissa
	last     int32   // column of the newest reading
}

// columnName is what makes a column of an event.
type columnName struct {
	identity       int32
	metric, source string
}

// reading is a record's place, time and value. Of an absent one the mantissa is its index in openEvent.absent.
type reading struct {
	at       Timestamp
	mantissa int64
	column   int32
	exponent int16
	absent   bool
}

func newOpenEvent() *openEvent {
	return &openEvent{
		byPointer: make(map[*Identity]int32),
		byContent: make(map[string]int32),
		byName:    make(map[columnName]int32),
	}
}

// begin starts an event in what reset left.
func (o *openEvent) begin(host HostID, zone string) {
	o.host, o.zone = host, zone
	o.buf = appendText(appendText(o.buf[:0], string(host)), zone)
	o.chain = xxh3.Hash128(o.buf).Bytes()
}

// reset forgets all records, and keeps the memory.
func (o *openEvent) reset() {
	clear(o.byPointer)
	clear(o.byContent)
	clear(o.byName)
	clear(o.identities)
	clear(o.columns)
	clear(o.absent)
	o.host, o.zone, o.last = "", "", 0
	o.identities, o.digests, o.columns, o.following = o.identities[:0], o.digests[:0], o.columns[:0], o.following[:0]
	o.readings, o.absent = o.readings[:0], o.absent[:0]
}

// add takes a record in. It does not keep its Text.
func (o *openEvent) add(r *Record) {
	column := o.column(r)
	o.hash(r, column)
	n := r.Value.Number
	reading := reading{at: r.At, mantissa: n.Mantissa, exponent: n.Exponent, column: column}
	if r.Value.Absent != Present {
		reading.absent, reading.mantissa, reading.exponent = true, int64(len(o.absent)), 0
		o.absent = append(o.absent, Value{Absent: r.Value.Absent, Raw: r.Value.Raw})
	}
	o.readings = append(o.readings, reading)
}

// hash adds a record to the chain.
func (o *openEvent) hash(r *Record, column int32) {
	digest := &o.digests[o.columns[column].identity]
	b := append(append(o.buf[:0], o.chain[:]...), digest[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(r.At))
	b = appendText(appendText(b, r.Source), r.Text)
	o.chain, o.buf = xxh3.Hash128(b).Bytes(), b
}

// column finds the record's column. Most sources repeat themselves, so the one that came after the last column
// before is tried first.
func (o *openEvent) column(r *Record) int32 {
	if len(o.columns) > 0 {
		next := o.following[o.last]
		c := &o.columns[next]
		if o.identities[c.identity] == r.Identity && c.metric == r.Metric && c.source == r.Source {
			o.last = next
			return next
		}
	}
	name := columnName{o.identity(r.Identity), r.Metric, r.Source}
	n, ok := o.byName[name]
	if !ok {
		n = int32(len(o.columns))
		o.byName[name] = n
		o.columns = append(o.columns, name)
		o.following = append(o.following, n)
	}
	o.following[o.last] = n
	o.last = n
	return n
}

// identity finds an identity by its pointer, else by its content.
func (o *openEvent) identity(id *Identity) int32 {
	if n, ok := o.byPointer[id]; ok {
		return n
	}
	o.buf = id.appendContent(o.buf[:0])
	n, ok := o.byContent[string(o.buf)]
	if !ok {
		n = int32(len(o.identities))
		o.byContent[string(o.buf)] = n
		o.identities = append(o.identities, id)
		o.digests = append(o.digests, xxh3.Hash128(o.buf).Bytes())
	}
	o.byPointer[id] = n
	return n
}

// event makes the event of what was added, at least one record.
func (o *openEvent) event(upload UploadID) Event {
	ev := Event{Host: o.host, Sequence: o.chain, Zone: o.zone, Upload: upload}
	ranks := o.sortIdentities(&ev)
	order := make([]int32, len(o.columns))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(i, j int32) int {
		a, b := &o.columns[i], &o.columns[j]
		return cmp.Or(cmp.Compare(ranks[a.identity], ranks[b.identity]), cmp.Compare(a.metric, b.metric), cmp.Compare(a.source, b.source))
	})
	samples := o.samples()
	ev.Columns = make([]Column, len(order))
	for i, n := range order {
		name := &o.columns[n]
		ev.Columns[i] = Column{Identity: ranks[name.identity], Metric: name.metric, Source: name.source, Samples: samples[n]}
	}
	return ev
}

// sortIdentities sets the event's identities, and tells the place of each of o's.
func (o *openEvent) sortIdentities(ev *Event) (ranks []int) {
	order := make([]int, len(o.identities))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return o.identities[i].Compare(o.identities[j]) })
	ranks = make([]int, len(order))
	ev.Identities = make([]Identity, len(order))
	for rank, i := range order {
		ranks[i] = rank
		ev.Identities[rank] = *o.identities[i]
	}
	return ranks
}

// samples spreads the readings over their columns, all in one piece of memory, and makes each canonical.
func (o *openEvent) samples() []Samples {
	out := make([]Samples, len(o.columns))
	counts := make([]int, len(o.columns))
	for i := range o.readings {
		counts[o.readings[i].column]++
	}
	times := make([]Timestamp, len(o.readings))
	mantissas := make([]int64, len(o.readings))
	exponents := make([]int16, len(o.readings))
	end := 0
	for i, n := range counts {
		out[i].Times = times[end : end : end+n]
		out[i].Mantissas = mantissas[end : end : end+n]
		out[i].Exponents = exponents[end : end : end+n]
		end += n
	}
	for i := range o.readings {
		o.spread(&o.readings[i], &out[o.readings[i].column])
	}
	for i := range out {
		s := &out[i]
		s.setRows(s.Mantissas, s.Exponents)
		s.Exponents = slices.Clone(s.Exponents) // rare; those of all others need not stay
		if !s.sorted() {
			s.sort()
		}
	}
	return out
}

// spread appends one reading to its column.
func (o *openEvent) spread(r *reading, s *Samples) {
	n := normalised(r.mantissa, r.exponent)
	if r.absent {
		v := &o.absent[r.mantissa]
		s.Absent = append(s.Absent, Absence{Row: len(s.Times), Reason: v.Absent, Raw: v.Raw})
		n = Number{}
	}
	s.Times = append(s.Times, r.at)
	s.Mantissas = append(s.Mantissas, n.Mantissa)
	s.Exponents = append(s.Exponents, n.Exponent)
}
