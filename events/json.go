package events

import (
	"fmt"
	"unicode/utf8"
)

// EncodeJSON appends an event's value as an array of long rows, one per reading, in the order of the columns; the
// first row also has the fields of the event itself. DecodeJSON returns the same event. Text that is not UTF-8, and
// two labels of the same name, cannot be represented in JSON.
func EncodeJSON(dst []byte, ev *Event) ([]byte, error) {
	if err := ev.Check(); err != nil {
		return dst, fmt.Errorf("encoding event as JSON: %w", err)
	}
	w := JSONWriter{Buf: append(dst, tagRows), EscapeHTML: true}
	first := true
	for i := range ev.Columns {
		c := &ev.Columns[i]
		if err := ev.checkTexts(c); err != nil {
			return w.Buf, fmt.Errorf("encoding event of host %.64q as JSON: %w", ev.Host, err)
		}
		r := Record{Identity: &ev.Identities[c.Identity], Metric: c.Metric, Source: c.Source}
		for r.At, r.Value = range c.All() {
			if !first {
				w.Buf = append(w.Buf, ",\n"...)
			}
			w.appendRow(ev, &r, first)
			first = false
		}
	}
	return append(w.Buf, ']'), nil
}

// appendRow appends a record as a row, with the fields of the event if whole is set.
func (w *JSONWriter) appendRow(ev *Event, r *Record, whole bool) {
	w.Open('{')
	w.Record(RowNames, r, FieldAt, FieldSource|Always, FieldMetric|Always)
	w.Identity(RowNames, ev.Host, r.Identity, FieldIndex, FieldDevice, FieldUUID, FieldModel, FieldHostname, FieldContainer, FieldPod,
		FieldNamespace, FieldPCI, FieldDriver, FieldMIG, FieldMIGProfile, FieldPart)
	w.Record(RowNames, r, FieldValue|Always, FieldAbsent, FieldRaw)
	w.Identity(RowNames, ev.Host, r.Identity, FieldLabels)
	if whole {
		w.Event(RowNames, ev, FieldSequence, FieldZone, FieldUpload, FieldAppendedAt)
	}
	w.Close('}')
}

// checkTexts returns an error if a text of a column's rows cannot be represented in JSON.
func (e *Event) checkTexts(c *Column) error {
	id := &e.Identities[c.Identity]
	texts := []string{string(e.Host), c.Metric, c.Source, e.Zone, string(e.Upload)}
	for _, f := range id.fieldPointers() {
		texts = append(texts, *f)
	}
	for i, l := range id.Labels {
		if i > 0 && l.Name == id.Labels[i-1].Name {
			return fmt.Errorf("two labels are named %.64q", l.Name)
		}
		texts = append(texts, l.Name, l.Value)
	}
	for _, a := range c.Absent {
		texts = append(texts, a.Raw)
	}
	for _, t := range texts {
		if !utf8.ValidString(t) {
			return fmt.Errorf("%.64q is not UTF-8", t)
		}
	}
	return nil
}
