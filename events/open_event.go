package events

import (
	"encoding/binary"
	"slices"

	"github.com/zeebo/xxh3"
)

// openEvent collects the records of one host until they become an event.
//
// Its Sequence is a chain of 128-bit xxh3 hashes: first over host and zone, then per record over the previous hash,
// the hash of the identity's content, the record's time, the metric's name in the source and the source's text, each
// text after its length. It does not depend on canonical names, on the interpretation of a value or on the stored
// form of events, so that an upgrade of these does not turn old files into new ones. Stored keys contain it; never
// change it.
type openEvent struct {
	host  HostID
	zone  string
	chain [16]byte
	buf   []byte

	identities []openIdentity
	byPointer  map[*Identity]int32 // of identities after the first few
	byDigest   map[[16]byte]int32  // also of these

	names    []columnName
	byName   map[columnName]int32 // of names after the first few
	lastName int32

	columns    []openColumn
	lastColumn int32

	readings []reading
	absent   []Value // of absent readings, indexed by their mantissa
}

// columnName is a canonical metric name and its name in the source.
type columnName struct{ metric, source string }

// few is the number of identities and of names that are found without a map: most hosts have no more, and there may be
// tens of thousands of open hosts.
const few = 16

// openIdentity is an identity with the hash of its content and the index of its newest column, -1 before the first.
type openIdentity struct {
	*Identity
	digest [16]byte
	column int32
}

// openColumn is a column, by the indices of its identity and its name. next is the index of the column that followed it
// last time, older the index of the same identity's column before it, -1 for none.
type openColumn struct{ identity, name, next, older int32 }

// reading is the column, time and value of a record. For an absent reading, mantissa is the index in
// openEvent.absent.
type reading struct {
	at       Timestamp
	mantissa int64
	column   int32
	exponent int16
	absent   bool
}

// beginEvent starts an event in the memory kept by resetRecords.
func (o *openEvent) beginEvent(host HostID, zone string) {
	o.host, o.zone = host, zone
	o.buf = appendText(appendText(o.buf[:0], string(host)), zone)
	o.chain = xxh3.Hash128(o.buf).Bytes()
	o.identities = slices.Grow(o.identities, 8)
	o.columns = slices.Grow(o.columns, 16)
	o.readings = slices.Grow(o.readings, 16)
}

// resetRecords drops all records and keeps the memory.
func (o *openEvent) resetRecords() {
	clear(o.byPointer)
	clear(o.byDigest)
	clear(o.byName)
	clear(o.identities)
	clear(o.names)
	clear(o.absent)
	o.host, o.zone, o.lastName, o.lastColumn = "", "", 0, 0
	o.identities, o.names = o.identities[:0], o.names[:0]
	o.columns, o.readings, o.absent = o.columns[:0], o.readings[:0], o.absent[:0]
}

// addRecord adds a record. It does not keep its Text.
func (o *openEvent) addRecord(r *Record) {
	column := o.columnIndex(r)
	o.hashRecord(r, column)
	n := r.Value.Number
	reading := reading{at: r.At, mantissa: n.Mantissa, exponent: n.Exponent, column: column}
	if r.Value.Absent != Present {
		reading.absent, reading.mantissa, reading.exponent = true, int64(len(o.absent)), 0
		o.absent = append(o.absent, Value{Absent: r.Value.Absent, Raw: r.Value.Raw})
	}
	o.readings = append(o.readings, reading)
}

// hashRecord adds a record to the chain.
func (o *openEvent) hashRecord(r *Record, column int32) {
	digest := &o.identities[o.columns[column].identity].digest
	b := append(append(o.buf[:0], o.chain[:]...), digest[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(r.At))
	b = appendText(appendText(b, r.Source), r.Text)
	o.chain, o.buf = xxh3.Hash128(b).Bytes(), b
}

// columnIndex returns the index of the record's column. Most sources repeat their order, so it first tries the column
// that followed the current one last time.
func (o *openEvent) columnIndex(r *Record) int32 {
	if len(o.columns) > 0 {
		next := o.columns[o.lastColumn].next
		c := &o.columns[next]
		if o.identities[c.identity].Identity == r.Identity && o.names[c.name].isNameOf(r) {
			o.lastColumn = next
			return next
		}
	}
	identity, name := o.identityIndex(r.Identity), o.nameIndex(r)
	n := o.identities[identity].column
	for n >= 0 && o.columns[n].name != name {
		n = o.columns[n].older
	}
	if n < 0 {
		n = o.addColumn(identity, name)
	}
	o.columns[o.lastColumn].next = n
	o.lastColumn = n
	return n
}

func (o *openEvent) addColumn(identity, name int32) int32 {
	n := int32(len(o.columns))
	of := &o.identities[identity]
	o.columns = append(o.columns, openColumn{identity: identity, name: name, next: n, older: of.column})
	of.column = n
	return n
}

// isNameOf reports whether r has this name.
func (n *columnName) isNameOf(r *Record) bool { return n.metric == r.Metric && n.source == r.Source }

// nameIndex returns the index of a record's name. It tries the last name, then the first few, then the map.
func (o *openEvent) nameIndex(r *Record) int32 {
	if len(o.names) > 0 && o.names[o.lastName].isNameOf(r) {
		return o.lastName
	}
	for i := range min(few, len(o.names)) {
		if o.names[i].isNameOf(r) {
			o.lastName = int32(i)
			return o.lastName
		}
	}
	name := columnName{r.Metric, r.Source}
	n, ok := o.byName[name]
	if !ok {
		n = int32(len(o.names))
		o.names = append(o.names, name)
		if n >= few {
			if o.byName == nil {
				o.byName = map[columnName]int32{}
			}
			o.byName[name] = n
		}
	}
	o.lastName = n
	return n
}

// identityIndex returns the index of an identity, found by its pointer or by its content.
func (o *openEvent) identityIndex(id *Identity) int32 {
	for i := range min(few, len(o.identities)) {
		if o.identities[i].Identity == id {
			return int32(i)
		}
	}
	if n, ok := o.byPointer[id]; ok {
		return n
	}
	o.buf = id.appendContent(o.buf[:0])
	digest := [16]byte(xxh3.Hash128(o.buf).Bytes())
	n := o.findDigest(&digest)
	if n < 0 || o.identities[n].Compare(id) != 0 {
		return o.addIdentity(openIdentity{id, digest, -1})
	}
	if n < few {
		o.identities[n].Identity = id // an equal one, which comes again
	} else {
		o.byPointer[id] = n
	}
	return n
}

// findDigest returns the index of an identity by its hash, -1 for none.
func (o *openEvent) findDigest(digest *[16]byte) int32 {
	for i := range min(few, len(o.identities)) {
		if o.identities[i].digest == *digest {
			return int32(i)
		}
	}
	if n, ok := o.byDigest[*digest]; ok {
		return n
	}
	return -1
}

func (o *openEvent) addIdentity(id openIdentity) int32 {
	n := int32(len(o.identities))
	o.identities = append(o.identities, id)
	if n < few {
		return n
	}
	if o.byPointer == nil {
		o.byPointer, o.byDigest = map[*Identity]int32{}, map[[16]byte]int32{}
	}
	o.byPointer[id.Identity], o.byDigest[id.digest] = n, n
	return n
}
