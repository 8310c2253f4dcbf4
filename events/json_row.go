package events

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// toRecords returns the row's readings. All other fields become labels.
func (f *rowFields) toRecords() ([]Record, error) {
	if f.texts[FieldHostname] == "" {
		return nil, errors.New("it names no host: give it a hostname")
	}
	at, err := f.parseTime()
	if err != nil {
		return nil, err
	}
	var out []Record
	if f.long {
		r, err := f.longRecord()
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	for _, o := range f.others {
		text, err := fieldText(o.value)
		if err == nil && (f.long || !isNumber(o.value)) {
			f.labels = append(f.labels, Label{Name: o.name, Value: text})
			continue
		}
		var v Value
		if err == nil {
			v, err = textValue(text)
		}
		if err != nil {
			return nil, fmt.Errorf("field %.64q: %w", o.name, err)
		}
		out = append(out, Record{Metric: o.name, Source: o.name, Value: v, Text: []byte(text)})
	}
	slices.SortFunc(f.labels, Label.compareTo)
	id := f.toIdentity()
	for i := range out {
		out[i].Identity, out[i].At = id, at
	}
	return out, nil
}

// isNumber reports whether a JSON value is a number.
func isNumber(value []byte) bool { return value[0] == '-' || value[0]-'0' <= 9 }

// longRecord returns the reading of a long row.
func (f *rowFields) longRecord() (Record, error) {
	r := Record{Metric: cmp.Or(f.texts[FieldMetric], f.texts[FieldSource]), Source: f.texts[FieldSource]}
	if r.Metric == "" {
		return Record{}, errors.New("metric_name is empty")
	}
	if absent, raw := f.texts[FieldAbsent], f.texts[FieldRaw]; absent != "" {
		reason, err := ParseReason(absent)
		r.Value, r.Text = Value{Absent: reason, Raw: raw}, []byte(raw)
		if reason == Present {
			r.Value = Value{}
			err = cmp.Or(err, errors.New("absent is no reason"))
		}
		return r, err
	}
	if f.value == nil {
		return Record{}, errors.New("it has a metric_name and no value")
	}
	text, err := fieldText(f.value)
	if err != nil {
		return Record{}, fmt.Errorf("value: %w", err)
	}
	r.Text = []byte(text)
	r.Value, err = textValue(text)
	return r, err
}

// textValue parses the text of a metric.
func textValue(text string) (Value, error) {
	if text = strings.TrimSpace(text); text == "" {
		return Value{Absent: Blank}, nil
	}
	n, err := ParseNumber(text)
	return Value{Number: n}, err
}

// parseTime parses the row's time. A time without a zone is taken as UTC, which is then recorded as the row's zone.
func (f *rowFields) parseTime() (Timestamp, error) {
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006/01/02 15:04:05"} {
		if t, err := time.Parse(layout, f.texts[FieldAt]); err == nil {
			f.texts[FieldZone] = cmp.Or(f.texts[FieldZone], "UTC")
			return checkedTimestamp(t)
		}
	}
	return ParseTimestamp(f.texts[FieldAt])
}

// longPCI returns a PCI address in lower case with a domain of 8 digits. It returns any other text unchanged.
func longPCI(address string) string {
	domain, rest, ok := strings.Cut(strings.ToLower(address), ":")
	if !ok || !strings.Contains(rest, ":") || len(domain) > 8 {
		return address
	}
	return strings.Repeat("0", 8-len(domain)) + domain + ":" + rest
}
