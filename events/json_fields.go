package events

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// rowFields holds the fields of a JSON row by their meaning.
type rowFields struct {
	long   bool
	texts  [fieldCount]string
	value  json.RawMessage // of a long row
	labels []Label
	others []otherField
}

// otherField is a field without a Field of its own: a metric of a wide row, or a label.
type otherField struct {
	name  string
	value json.RawMessage
}

// assignFields sorts the fields of a row by their meaning. If several names have the same meaning, the first
// non-empty field in order of names counts.
func assignFields(fields map[string]json.RawMessage) (*rowFields, error) {
	var f rowFields
	for name := range fields {
		f.long = f.long || strings.EqualFold(name, "metric_name")
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if err := f.assignField(name, fields[name]); err != nil {
			return nil, fmt.Errorf("field %.64q: %w", name, err)
		}
	}
	f.texts[FieldPCI] = longPCI(f.texts[FieldPCI])
	return &f, nil
}

func (f *rowFields) assignField(name string, value json.RawMessage) error {
	lower := strings.ToLower(name)
	switch {
	case lower == "labels" && value[0] == '{':
		return f.addLabels(value)
	case lower == "value" && f.long:
		f.value = value
		return nil
	}
	field, known := f.rowField(lower)
	if !known {
		f.others = append(f.others, otherField{name, value})
		return nil
	}
	text, err := fieldText(value)
	f.texts[field] = cmp.Or(f.texts[field], text)
	return err
}

// rowField returns the Field of a member's name, which is in lower case. Some fields exist in long rows only.
func (f *rowFields) rowField(lower string) (Field, bool) {
	field, known := fieldsOfRows()[lower]
	switch field {
	case FieldSource, FieldMetric, FieldAbsent, FieldRaw:
		known = known && f.long
	}
	return field, known
}

// fieldsOfRows returns the text fields of rows, by name in lower case. The map is read-only.
var fieldsOfRows = sync.OnceValue(func() map[string]Field {
	fields := map[string]Field{FieldModel.Name(QueryNames): FieldModel} // as in wide files
	for field := range fieldCount {
		if name := field.Name(RowNames); name != "" && field != FieldValue && field != FieldLabels {
			fields[strings.ToLower(name)] = field
		}
	}
	return fields
})

// toIdentity returns the row's identity. It lacks the labels that have not been recognised as such yet.
func (f *rowFields) toIdentity() *Identity {
	id := &Identity{Labels: f.labels}
	for i, text := range id.fieldPointers() {
		*text = f.texts[i]
	}
	return id
}

// fieldText returns the text of a field: the content of a JSON string, "" for null, and the JSON text of any other
// value.
func fieldText(value json.RawMessage) (string, error) {
	switch {
	case string(value) == "null":
		return "", nil
	case value[0] != '"':
		return string(value), nil
	}
	var text string
	err := json.Unmarshal(value, &text)
	return text, err
}

// addLabels adds the members of an object as labels.
func (f *rowFields) addLabels(value json.RawMessage) error {
	var labels map[string]json.RawMessage
	if err := json.Unmarshal(value, &labels); err != nil {
		return err
	}
	for name, v := range labels {
		text, err := fieldText(v)
		if err != nil {
			return err
		}
		f.labels = append(f.labels, Label{Name: name, Value: text})
	}
	return nil
}

// setEvent sets the fields of ev that apply to the whole event.
func (f *rowFields) setEvent(ev *Event) (err error) {
	ev.Upload = cmp.Or(ev.Upload, UploadID(f.texts[FieldUpload]))
	ev.Zone = cmp.Or(ev.Zone, f.texts[FieldZone])
	if text := f.texts[FieldSequence]; text != "" {
		if ev.Sequence, err = ParseContentHash(text); err != nil {
			return err
		}
	}
	if text := f.texts[FieldAppendedAt]; text != "" {
		ev.AppendedAt, err = ParseTimestamp(text)
	}
	return err
}
