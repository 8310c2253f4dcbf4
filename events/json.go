package events

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// jsonRow is a reading as EncodeJSON writes it: a row of the DCGM long form, with what an event knows
// besides. The fields of the event itself are in its first row.
type jsonRow struct {
	Timestamp string            `json:"timestamp"`
	Source    string            `json:"metric_name"`
	Metric    string            `json:"canonical_name"`
	GPU       string            `json:"gpu_id,omitempty"`
	Device    string            `json:"device,omitempty"`
	UUID      string            `json:"uuid,omitempty"`
	Model     string            `json:"modelName,omitempty"`
	Hostname  string            `json:"Hostname"`
	Container string            `json:"container,omitempty"`
	Pod       string            `json:"pod,omitempty"`
	Namespace string            `json:"namespace,omitempty"`
	PCI       string            `json:"pci_bus_id,omitempty"`
	Driver    string            `json:"driver_version,omitempty"`
	MIG       string            `json:"GPU_I_ID,omitempty"`
	Profile   string            `json:"GPU_I_PROFILE,omitempty"`
	Part      string            `json:"entity_part,omitempty"`
	Value     *Number           `json:"value"`
	Absent    string            `json:"absent,omitempty"`
	Raw       string            `json:"raw,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`

	Sequence string `json:"event_sequence,omitempty"`
	Zone     string `json:"event_zone,omitempty"`
	Upload   string `json:"event_upload,omitempty"`
	Appended string `json:"event_appended_at,omitempty"`
}

// EncodeJSON appends an event's value as an array of long rows, one per reading, in the order of the
// columns. DecodeJSON returns the same event again. Text that is not UTF-8, and two
// labels of one name, have no form in JSON.
func EncodeJSON(dst []byte, ev *Event) ([]byte, error) {
	if err := ev.Check(); err != nil {
		return dst, fmt.Errorf("encoding event as JSON: %w", err)
	}
	dst = append(dst, tagRows)
	first := true
	for i := range ev.Columns {
		c := &ev.Columns[i]
		row, err := newJSONRow(ev, c)
		if err != nil {
			return dst, fmt.Errorf("encoding event of host %.64q as JSON: %w", ev.Host, err)
		}
		for at, v := range c.All() {
			if first {
				row.setEvent(ev)
			} else {
				dst = append(dst, ",\n"...)
			}
			row.set(at, v)
			text, err := json.Marshal(row)
			if err != nil {
				return dst, fmt.Errorf("encoding event of host %.64q as JSON: %w", ev.Host, err)
			}
			dst = append(dst, text...)
			if first {
				row.setEvent(&Event{})
			}
			first = false
		}
	}
	return append(dst, ']'), nil
}

// newJSONRow gives what all rows of a column have in common.
func newJSONRow(ev *Event, c *Column) (*jsonRow, error) {
	id := &ev.Identities[c.Identity]
	texts := []string{string(ev.Host), c.Metric, c.Source, ev.Zone, string(ev.Upload)}
	for _, f := range id.fields() {
		texts = append(texts, *f)
	}
	labels := make(map[string]string, len(id.Labels))
	for _, l := range id.Labels {
		if _, twice := labels[l.Name]; twice {
			return nil, fmt.Errorf("two labels are named %.64q", l.Name)
		}
		labels[l.Name] = l.Value
		texts = append(texts, l.Name, l.Value)
	}
	for _, a := range c.Absent {
		texts = append(texts, a.Raw)
	}
	for _, t := range texts {
		if !utf8.ValidString(t) {
			return nil, fmt.Errorf("%.64q is not UTF-8", t)
		}
	}
	return &jsonRow{
		Source: c.Source, Metric: c.Metric, Hostname: string(ev.Host),
		GPU: id.Index, Device: id.Device, UUID: id.UUID, Model: id.Model, PCI: id.PCI, Driver: id.Driver,
		Container: id.Container, Pod: id.Pod, Namespace: id.Namespace,
		MIG: id.MIG, Profile: id.MIGProfile, Part: id.Part, Labels: labels,
	}, nil
}

func (r *jsonRow) setEvent(ev *Event) {
	r.Sequence, r.Zone, r.Upload, r.Appended = "", ev.Zone, string(ev.Upload), ""
	if ev.Sequence != (Sequence{}) {
		r.Sequence = ev.Sequence.String()
	}
	if ev.AppendedAt != 0 {
		r.Appended = ev.AppendedAt.String()
	}
}

func (r *jsonRow) set(at Timestamp, v Value) {
	r.Timestamp, r.Value, r.Absent, r.Raw = at.String(), nil, "", ""
	if v.Absent == Present {
		r.Value = &v.Number
		return
	}
	r.Absent, r.Raw = v.Absent.String(), v.Raw
}
