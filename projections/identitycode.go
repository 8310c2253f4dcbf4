package projections

import (
	"cmp"
	"encoding/binary"
	"errors"

	"telemetry-pipeline/events"
)

// The form of an identity model:
//
//	names · ticks (base: the earliest FirstSeen)
//	known: id (8 bytes), distance of FirstSeen from the base, a bit for each field that is set (in the order of
//	    identityFields, then one for labels), a name for each of them; with labels their count, then name and value of each
//	windows: distance of First from the Last before, Last less First
const identityForm = 1

// identityFields are an identity's texts. Their order is stored: add at the end.
func identityFields(id *events.Identity) [12]*string {
	return [...]*string{
		&id.UUID, &id.Index, &id.PCI, &id.Device, &id.Model, &id.Driver,
		&id.MIG, &id.MIGProfile, &id.Pod, &id.Namespace, &id.Container, &id.Part,
	}
}

// labelsBit says that labels follow the fields.
const labelsBit = 1 << len([12]*string{})

// AppendIdentity writes id behind dst.
func AppendIdentity(dst []byte, id *Identity) []byte {
	var table names
	times := identityTicks(id.Known)
	for i := range id.Known {
		known := &id.Known[i].Identity
		for _, text := range identityFields(known) {
			table.addOptional(*text, "")
		}
		for _, l := range known.Labels {
			table.addName(l.Name)
			table.addName(l.Value)
		}
	}
	table.sortNames()
	dst = append(dst, identityForm)
	dst = table.appendTable(dst)
	dst = times.appendTicks(dst)
	dst = binary.AppendUvarint(dst, uint64(len(id.Known)))
	for i := range id.Known {
		dst = appendKnown(dst, &id.Known[i], &table, &times)
	}
	return appendWindows(dst, id.Windows)
}

// identityTicks finds the earliest time and the unit of all.
func identityTicks(known []Known) ticks {
	if len(known) == 0 {
		return ticksFrom(0)
	}
	base := known[0].FirstSeen
	for i := range known {
		base = min(base, known[i].FirstSeen)
	}
	times := ticksFrom(base)
	for i := range known {
		times.fitUnit(base, known[i].FirstSeen)
	}
	return times
}

func appendKnown(dst []byte, k *Known, table *names, times *ticks) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, uint64(k.ID))
	dst = binary.AppendUvarint(dst, times.ticksBetween(times.base, k.FirstSeen))
	fields, set := identityFields(&k.Identity), uint64(0)
	for i, text := range fields {
		if *text != "" {
			set |= 1 << i
		}
	}
	if len(k.Identity.Labels) > 0 {
		set |= labelsBit
	}
	dst = binary.AppendUvarint(dst, set)
	for _, text := range fields {
		if *text != "" {
			dst = binary.AppendUvarint(dst, table.refOf(*text))
		}
	}
	if set&labelsBit == 0 {
		return dst
	}
	dst = binary.AppendUvarint(dst, uint64(len(k.Identity.Labels)))
	for _, l := range k.Identity.Labels {
		dst = binary.AppendUvarint(dst, table.refOf(l.Name))
		dst = binary.AppendUvarint(dst, table.refOf(l.Value))
	}
	return dst
}

func appendWindows(dst []byte, spans []WindowRange) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(spans)))
	last := Window(0)
	for _, s := range spans {
		dst = appendVarint(dst, int64(s.First-last))
		dst = binary.AppendUvarint(dst, uint64(s.Last-s.First))
		last = s.Last
	}
	return dst
}

// ParseIdentity undoes AppendIdentity. Bytes behind the model are an error.
func ParseIdentity(src []byte) (Identity, error) {
	r := reader{src: src}
	r.checkForm(identityForm)
	table, times := r.readNames(), r.readTicks()
	const size = 10
	var id Identity
	if n := r.readCount(size); n > 0 {
		id.Known = make([]Known, n)
	}
	for i := range id.Known {
		r.readKnown(&id.Known[i], table, &times)
	}
	if !isStrictlyAscending(id.Known, func(a, b *Known) int { return cmp.Compare(a.ID, b.ID) }) {
		r.fail(errors.New("identities not in order"))
	}
	id.Windows = r.readWindows()
	if err := r.finishModel("identity"); err != nil {
		return Identity{}, err
	}
	return id, nil
}

func (r *reader) readKnown(k *Known, table []string, times *ticks) {
	k.ID = events.IdentityID(r.readFixed64())
	k.FirstSeen = times.timeAfter(times.base, r.readUvarint())
	set := r.readUvarint()
	if set >= 2*labelsBit {
		r.fail(errors.New("unknown identity field (a newer program may have written it)"))
	}
	for i, text := range identityFields(&k.Identity) {
		if set&(1<<i) != 0 {
			*text = r.readRef(table)
		}
	}
	if set&labelsBit == 0 {
		return
	}
	n := r.readCount(2)
	if n == 0 {
		r.fail(errors.New("labels of none"))
		return
	}
	k.Identity.Labels = make([]events.Label, n)
	for i := range k.Identity.Labels {
		k.Identity.Labels[i] = events.Label{Name: r.readRef(table), Value: r.readRef(table)}
	}
}

func (r *reader) readWindows() []WindowRange {
	n := r.readCount(2)
	if n == 0 {
		return nil
	}
	spans := make([]WindowRange, n)
	last := Window(0)
	for i := range spans {
		first := last + Window(r.readVarint())
		last = first + Window(r.readUvarint())
		spans[i] = WindowRange{First: first, Last: last}
	}
	if err := checkWindows(spans); err != nil {
		r.fail(err)
	}
	return spans
}
