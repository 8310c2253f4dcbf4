package events

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// rowFields are the fields of a JSON row, put in their places.
type rowFields struct {
	long     bool
	host, at string
	id       Identity

	source, metric string // of a long row; metric is "" unless the row says it
	value          json.RawMessage
	absent, raw    string

	sequence, zone, upload, appended string // of the event

	others []otherField
}

// otherField is one that has no place of its own: a metric of a wide row, or a label.
type otherField struct {
	name  string
	value json.RawMessage
}

// placeFields finds the places. Of two fields for one place the first by name that is not empty counts.
func placeFields(fields map[string]json.RawMessage) (*rowFields, error) {
	var f rowFields
	for name := range fields {
		f.long = f.long || strings.EqualFold(name, "metric_name")
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if err := f.place(name, fields[name]); err != nil {
			return nil, fmt.Errorf("field %.64q: %w", name, err)
		}
	}
	f.id.PCI = longPCI(f.id.PCI)
	return &f, nil
}

func (f *rowFields) place(name string, value json.RawMessage) error {
	lower := strings.ToLower(name)
	switch {
	case lower == "labels" && value[0] == '{':
		return f.addLabels(value)
	case lower == "value" && f.long:
		f.value = value
		return nil
	}
	at := f.field(lower)
	if at == nil {
		f.others = append(f.others, otherField{name, value})
		return nil
	}
	text, err := fieldText(value)
	*at = cmp.Or(*at, text)
	return err
}

// field is the place of a field's text; nil when it has none.
func (f *rowFields) field(lower string) *string {
	switch lower {
	case "timestamp":
		return &f.at
	case "hostname":
		return &f.host
	case "uuid":
		return &f.id.UUID
	case "gpu_id":
		return &f.id.Index
	case "pci_bus_id":
		return &f.id.PCI
	case "device":
		return &f.id.Device
	case "modelname", "model_name":
		return &f.id.Model
	case "driver_version":
		return &f.id.Driver
	case "gpu_i_id":
		return &f.id.MIG
	case "gpu_i_profile":
		return &f.id.MIGProfile
	case "pod":
		return &f.id.Pod
	case "namespace":
		return &f.id.Namespace
	case "container":
		return &f.id.Container
	case "entity_part":
		return &f.id.Part
	case "event_sequence":
		return &f.sequence
	case "event_zone":
		return &f.zone
	case "event_upload":
		return &f.upload
	case "event_appended_at":
		return &f.appended
	}
	if f.long {
		return f.longField(lower)
	}
	return nil
}

// longField is a place that only long rows have.
func (f *rowFields) longField(lower string) *string {
	switch lower {
	case "metric_name":
		return &f.source
	case "canonical_name":
		return &f.metric
	case "absent":
		return &f.absent
	case "raw":
		return &f.raw
	}
	return nil
}

// fieldText is a field's text: of a JSON string what it holds, of null nothing, of all else the JSON.
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

// addLabels takes in an object of labels.
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
		f.id.Labels = append(f.id.Labels, Label{Name: name, Value: text})
	}
	return nil
}

// setEvent gives ev what the row says of the whole event.
func (f *rowFields) setEvent(ev *Event) (err error) {
	ev.Upload = cmp.Or(ev.Upload, UploadID(f.upload))
	ev.Zone = cmp.Or(ev.Zone, f.zone)
	if f.sequence != "" {
		if ev.Sequence, err = ParseSequence(f.sequence); err != nil {
			return err
		}
	}
	if f.appended != "" {
		ev.AppendedAt, err = ParseTimestamp(f.appended)
	}
	return err
}

// records gives the row's readings. The fields that are none become labels.
func (f *rowFields) records(resolve func(string) string) ([]Record, error) {
	if f.host == "" {
		return nil, errors.New("it names no host: give it a hostname")
	}
	at, err := f.time()
	if err != nil {
		return nil, err
	}
	var out []Record
	if f.long {
		r, err := f.longRecord(resolve)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	for _, o := range f.others {
		metric := f.wideMetric(o, resolve)
		text, err := fieldText(o.value)
		if err == nil && metric == "" {
			f.id.Labels = append(f.id.Labels, Label{Name: o.name, Value: text})
			continue
		}
		var v Value
		if err == nil {
			v, err = textValue(text)
		}
		if err != nil {
			return nil, fmt.Errorf("field %.64q: %w", o.name, err)
		}
		out = append(out, Record{Metric: metric, Source: o.name, Value: v, Text: []byte(text)})
	}
	slices.SortFunc(f.id.Labels, Label.compare)
	for i := range out {
		out[i].Identity, out[i].At = &f.id, at
	}
	return out, nil
}

// wideMetric is the metric of a field in a wide row, "" when it is none.
func (f *rowFields) wideMetric(o otherField, resolve func(string) string) string {
	switch {
	case f.long:
		return ""
	case resolve != nil:
		return resolve(o.name)
	case o.value[0] == '-' || o.value[0]-'0' <= 9:
		return o.name
	}
	return ""
}

// longRecord is the reading of a long row.
func (f *rowFields) longRecord(resolve func(string) string) (Record, error) {
	r := Record{Metric: f.metric, Source: f.source}
	if r.Metric == "" && resolve != nil {
		r.Metric = resolve(f.source)
	}
	r.Metric = cmp.Or(r.Metric, f.source)
	if r.Metric == "" {
		return Record{}, errors.New("metric_name is empty")
	}
	if f.absent != "" {
		reason, err := ParseReason(f.absent)
		r.Value, r.Text = Value{Absent: reason, Raw: f.raw}, []byte(f.raw)
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

// textValue reads a metric's text.
func textValue(text string) (Value, error) {
	if text = strings.TrimSpace(text); text == "" {
		return Value{Absent: Blank}, nil
	}
	n, err := ParseNumber(text)
	return Value{Number: n}, err
}

// time reads the row's time. Without a zone it is taken as UTC, which the zone then says.
func (f *rowFields) time() (Timestamp, error) {
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006/01/02 15:04:05"} {
		if t, err := time.Parse(layout, f.at); err == nil {
			f.zone = cmp.Or(f.zone, "UTC")
			return checkedTimestamp(t)
		}
	}
	return ParseTimestamp(f.at)
}

// longPCI writes a PCI address in lower case, its domain with 8 digits; what is none stays as it is.
func longPCI(address string) string {
	domain, rest, ok := strings.Cut(strings.ToLower(address), ":")
	if !ok || !strings.Contains(rest, ":") || len(domain) > 8 {
		return address
	}
	return strings.Repeat("0", 8-len(domain)) + domain + ":" + rest
}
