package foreign

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/dialect"
)

// row is a JSON row in the form of a file's row.
type row struct {
	header, cells [][]byte
	size          int // bytes of its text
}

var (
	errNotUTF8 = errors.New("it is not UTF-8")
	errNotJSON = errors.New("it is not JSON: write one object, or an array of them")
	errNoRow   = errors.New("it is no object with a field for each reading")
	errNUL     = errors.New("it has NUL bytes; is it damaged?")
)

// rowsOf returns the rows of a value. A value that is no JSON as a whole yields one error and nothing else, a row
// that is none an error in its place.
func rowsOf(value []byte) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		value = bytes.TrimSpace(value)
		switch {
		case !utf8.Valid(value):
			yield(row{}, errNotUTF8)
			return
		case !json.Valid(value):
			yield(row{}, errNotJSON)
			return
		case value[0] != '[':
			yield(rowOf(value))
			return
		}
		dec := json.NewDecoder(bytes.NewReader(value))
		_, err := dec.Token()
		for err == nil && dec.More() {
			var one json.RawMessage
			if err = dec.Decode(&one); err == nil && !yield(rowOf(one)) {
				return
			}
		}
		if err != nil { // it was valid before
			yield(row{}, err)
		}
	}
}

func rowOf(text []byte) (row, error) {
	if text[0] != '{' {
		return row{}, errNoRow
	}
	fields, err := fieldsOf(text)
	if err != nil {
		return row{}, err
	}
	canonicalizeFields(fields)
	r := row{size: len(text)}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		column, cell, err := cellOf(name, fields[name])
		if err != nil {
			return row{}, fmt.Errorf("field %.64q: %w", name, err)
		}
		if strings.IndexByte(column, 0) >= 0 || bytes.IndexByte(cell, 0) >= 0 {
			return row{}, fmt.Errorf("field %.64q: %w", name, errNUL)
		}
		r.header, r.cells = append(r.header, []byte(column)), append(r.cells, cell)
	}
	if len(r.header) == 0 {
		return row{}, errNoRow
	}
	return r, nil
}

// maxFields bounds the fields of a row and the labels of one, as intake bounds the columns of a file: each may become
// a series, which is folded, kept and served for good.
const maxFields = 4096

// fieldsOf returns the fields of an object. An object with a field twice is refused, since the intended one is
// unknown.
func fieldsOf(object []byte) (map[string]json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(object))
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	fields := map[string]json.RawMessage{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, err
		}
		name := token.(string) // the value is JSON as a whole
		if _, there := fields[name]; there {
			return nil, fmt.Errorf("field %.64q is there twice; leave one out", name)
		}
		if len(fields) == maxFields {
			return nil, fmt.Errorf("it has more than %d fields", maxFields)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
		fields[name] = value
	}
	return fields, nil
}

// cellOf returns a field as a cell: a text without its quotes, null as nothing, an object of labels as labels, all
// else as it is written.
func cellOf(name string, value json.RawMessage) (column string, cell []byte, err error) {
	switch {
	case string(value) == "null":
		return name, nil, nil
	case value[0] == '"':
		var text string
		err := json.Unmarshal(value, &text)
		return name, []byte(text), err
	case value[0] == '{' && strings.EqualFold(name, "labels"):
		cell, err := labelsOf(value)
		return "labels_raw", cell, err
	}
	return name, value, nil
}

// labelsOf returns an object of labels in the syntax of files.
func labelsOf(value json.RawMessage) ([]byte, error) {
	fields, err := fieldsOf(value)
	if err != nil {
		return nil, err
	}
	var labels []events.Label
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		_, text, err := cellOf(name, fields[name])
		if err != nil {
			return nil, fmt.Errorf("label %.64q: %w", name, err)
		}
		labels = append(labels, events.Label{Name: name, Value: string(text)})
	}
	return dialect.AppendLabels(nil, labels), nil
}

// canonicalizeFields removes fields that only events in JSON have (events.EncodeJSON), in case one is written back:
// its readings are of the canonical metric, however their source named it, and fields about the former event do not
// apply to this one.
func canonicalizeFields(fields map[string]json.RawMessage) {
	name := func(f events.Field) string { return f.Name(events.RowNames) }
	for _, f := range []events.Field{events.FieldSequence, events.FieldZone, events.FieldUpload, events.FieldAppendedAt} {
		delete(fields, name(f))
	}
	canonical, there := fields[name(events.FieldMetric)]
	if !there {
		return
	}
	fields[name(events.FieldSource)] = canonical
	if raw, there := fields[name(events.FieldRaw)]; there && string(fields[name(events.FieldValue)]) == "null" {
		fields[name(events.FieldValue)] = raw
	}
	for _, f := range []events.Field{events.FieldMetric, events.FieldAbsent, events.FieldRaw} {
		delete(fields, name(f))
	}
}
