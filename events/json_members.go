package events

import (
	"errors"
	"slices"
)

// Identity appends fields of an identity on a host, in the given order.
func (w *JSONWriter) Identity(n Naming, host HostID, id *Identity, fields ...Field) {
	texts := id.fieldPointers()
	for _, f := range fields {
		f, always, name := f&^Always, f&Always != 0, fieldNames[f&^Always][n]
		switch {
		case f < identityFields:
			w.textMember(name, *texts[f], always)
		case f == FieldLabels:
			w.labelsMember(name, id.Labels)
		case f == FieldGPU:
			w.textMember(name, string(id.gpuID(host)), always)
		case f == FieldHost || f == FieldHostname:
			w.textMember(name, string(host), always)
		}
	}
}

// Record appends fields of a record, without its identity. An absent reading has the value null if the value is
// always written.
func (w *JSONWriter) Record(n Naming, r *Record, fields ...Field) {
	v := r.Value
	for _, f := range fields {
		f, always, name := f&^Always, f&Always != 0, fieldNames[f&^Always][n]
		switch present := v.Absent == Present; {
		case f == FieldAt:
			w.Time(name, r.At)
		case f == FieldMetric:
			w.textMember(name, r.Metric, always)
		case f == FieldSource:
			w.textMember(name, r.Source, always)
		case f == FieldValue && present:
			w.Number(name, v.Number)
		case f == FieldValue && always:
			w.Key(name)
			w.Raw("null")
		case f == FieldAbsent && !present:
			w.Text(name, v.Absent.String())
		case f == FieldRaw && !present:
			w.Text(name, v.Raw)
		}
	}
}

// Event appends fields of the event itself.
func (w *JSONWriter) Event(n Naming, ev *Event, fields ...Field) {
	for _, f := range fields {
		f, always, name := f&^Always, f&Always != 0, fieldNames[f&^Always][n]
		switch f {
		case FieldHost, FieldHostname:
			w.textMember(name, string(ev.Host), always)
		case FieldKey:
			w.textMember(name, ev.Key, always)
		case FieldRevision:
			w.textMember(name, ev.Revision.String(), always)
		case FieldDamage:
			w.Text(name, ev.DamageText())
		case FieldAppendedAt:
			if ev.AppendedAt != 0 {
				w.Time(name, ev.AppendedAt)
			}
		case FieldUpload:
			w.textMember(name, string(ev.Upload), always)
		case FieldSequence:
			if always || ev.Sequence != (ContentHash{}) {
				w.Text(name, ev.Sequence.String())
			}
		case FieldZone:
			w.textMember(name, ev.Zone, always)
		case FieldFirst, FieldLast:
			if first, last, any := ev.Span(); any && f == FieldFirst {
				w.Time(name, first)
			} else if any {
				w.Time(name, last)
			}
		case FieldRecords:
			w.Whole(name, int64(ev.Records()))
		case FieldGPUs:
			w.Strings(name, ev.GPUs())
		case FieldMetrics:
			w.Strings(name, ev.Metrics())
		}
	}
}

// textMember appends a member with a string value. An empty one is left out unless always is set.
func (w *JSONWriter) textMember(name, value string, always bool) {
	if value != "" || always {
		w.Key(name)
		w.appendString(value)
	}
}

func (w *JSONWriter) labelsMember(name string, labels []Label) {
	if len(labels) == 0 {
		return
	}
	w.Key(name)
	w.Open('{')
	for _, l := range labels {
		w.Key(l.Name)
		w.StringValue(l.Value)
	}
	w.Close('}')
}

// DamageText returns the cause of the event's damage, or "" if it is not damaged.
func (e *Event) DamageText() string {
	if damage, ok := errors.AsType[*DamageError](e.Damage); ok {
		return damage.Cause.Error()
	}
	if e.Damage != nil {
		return e.Damage.Error()
	}
	return ""
}

// Span returns the first and the last record time; any is false for an event without records.
func (e *Event) Span() (first, last Timestamp, any bool) {
	for i := range e.Columns {
		times := e.Columns[i].Times
		if len(times) == 0 {
			continue
		}
		if !any {
			first, last, any = times[0], times[0], true
		}
		first, last = min(first, times[0]), max(last, times[len(times)-1])
	}
	return first, last, any
}

// GPUs returns the sorted ids of the GPUs with readings in the event.
func (e *Event) GPUs() []string {
	var ids []string
	for i := range e.Identities {
		if gpu := e.Identities[i].gpuID(e.Host); gpu != "" {
			ids = append(ids, string(gpu))
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// Metrics returns the sorted canonical names of the metrics with readings in the event.
func (e *Event) Metrics() []string {
	names := make([]string, len(e.Columns))
	for i := range e.Columns {
		names[i] = e.Columns[i].Metric
	}
	slices.Sort(names)
	return slices.Compact(names)
}
