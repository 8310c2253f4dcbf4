package events

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
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
