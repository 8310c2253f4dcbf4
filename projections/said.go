package projections

import (
	"slices"

	"telemetry-pipeline/events"
)

// Field is an attribute of a GPU that lasts until a record says otherwise. Stored data depends on the order.
type Field uint8

// The fields, in the order in which events.Identity has them.
const (
	FieldUUID Field = iota
	FieldIndex
	FieldPCI
	FieldDevice
	FieldModel
	FieldDriver
	FieldMIG
	FieldMIGProfile
	fieldCount
)

// identityFields returns the texts of an identity: the lasting fields in their order, then the workload's, then
// Part. Stored data depends on the order.
func identityFields(id *events.Identity) [12]*string {
	return [...]*string{
		&id.UUID, &id.Index, &id.PCI, &id.Device, &id.Model, &id.Driver,
		&id.MIG, &id.MIGProfile, &id.Pod, &id.Namespace, &id.Container, &id.Part,
	}
}

// Said is the newest value of a field and the time of the record that said it; of several at one time the greatest.
type Said struct {
	Value string
	At    events.Timestamp
	Field Field
}

// mergeSaid returns the newer value of each field. The arguments are sorted by field and stay as they are; the result is
// the first where nothing changes, which changed reports, and the second where it is newer in every field.
func mergeSaid(have, more []Said) (all []Said, changed bool) {
	if isNewer(more, have) {
		return more, true
	}
	all = have
	for _, s := range more {
		i, found := slices.BinarySearchFunc(all, s.Field, func(h Said, f Field) int { return int(h.Field) - int(f) })
		if found && (s.At < all[i].At || s.At == all[i].At && s.Value <= all[i].Value) {
			continue
		}
		if !changed {
			all, changed = slices.Clone(all), true
		}
		if found {
			all[i] = s
		} else {
			all = slices.Insert(all, i, s)
		}
	}
	return all, changed
}

// isNewer reports whether more has every field of have at a later time.
func isNewer(more, have []Said) bool {
	for _, s := range more {
		if len(have) == 0 {
			return true
		}
		if have[0].Field < s.Field || have[0].Field == s.Field && have[0].At >= s.At {
			return false
		}
		if have[0].Field == s.Field {
			have = have[1:]
		}
	}
	return len(more) > 0 && len(have) == 0
}

// eachField calls f with each field that an identity sets.
func eachField(id *events.Identity, f func(Field, string)) {
	for field, text := range identityFields(id) {
		if field < int(fieldCount) && *text != "" {
			f(Field(field), *text)
		}
	}
}

// EachGPUField calls f with each field that an identity sets of its GPU: the fields of a MIG instance are its own.
func EachGPUField(id *events.Identity, f func(Field, string)) {
	eachField(id, func(field Field, text string) {
		if id.Part == "" || field != FieldMIG && field != FieldMIGProfile {
			f(field, text)
		}
	})
}

func countFields(id *events.Identity) (n int) {
	eachField(id, func(Field, string) { n++ })
	return n
}

// saidBy appends the fields that an identity sets, as said at an instant.
func saidBy(said []Said, id *events.Identity, at events.Timestamp) []Said {
	eachField(id, func(f Field, text string) { said = append(said, Said{Field: f, Value: text, At: at}) })
	return said
}

// fillFields sets the fields of id that are empty.
func fillFields(id *events.Identity, said []Said) {
	texts := identityFields(id)
	for _, s := range said {
		if *texts[s.Field] == "" {
			*texts[s.Field] = s.Value
		}
	}
}
