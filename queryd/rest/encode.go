package rest

import (
	"telemetry-pipeline/events"
	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/projections"
)

// namedFields are the readings that have a field of their own.
type namedFields []metric.NamedField

func allNamedFields() namedFields { return metric.Named() }

// writeIdentity writes the source's description of the origin of readings.
func (w *writer) writeIdentity(host events.HostID, id *events.Identity) {
	w.Identity(events.QueryNames, host, id, events.FieldUUID, events.FieldIndex, events.FieldHostname, events.FieldDevice,
		events.FieldModel, events.FieldPCI, events.FieldDriver, events.FieldMIG, events.FieldMIGProfile, events.FieldPod,
		events.FieldNamespace, events.FieldContainer, events.FieldLabels)
}

// writeEntity writes an entity's names and the source's description of it.
func (w *writer) writeEntity(host events.HostID, entity events.Entity, id *events.Identity) {
	w.Text(events.FieldGPU.Name(events.QueryNames), string(entity.GPU))
	w.Text(events.FieldPart.Name(events.QueryNames), entity.Part)
	w.Text(events.FieldHost.Name(events.QueryNames), string(host))
	w.writeIdentity(host, id)
}

// writeRecord writes a record without its time.
func (w *writer) writeRecord(r *events.Record) {
	w.Record(events.QueryNames, r, events.FieldMetric, events.FieldSource, events.FieldValue, events.FieldAbsent, events.FieldRaw)
}

// writeReadings writes readings, which are sorted by metric with the valid one of several first: the named fields,
// metrics, their times if requested, the absent readings with the source's text, and others if a metric has several
// readings at one time.
func (w *writer) writeReadings(fields namedFields, latest []projections.Latest, times bool) {
	if w.layout.matchReadings(fields, len(latest), func(i int) (string, events.Value) { return latest[i].Metric, latest[i].Value }) {
		w.writeWithLayout()
		if times {
			w.writeTimes(latest)
		}
		return
	}
	w.writeWithoutLayout(fields, latest, times)
}

// writeWithoutLayout writes readings without a layout.
func (w *writer) writeWithoutLayout(fields namedFields, latest []projections.Latest, times bool) {
	for _, f := range fields {
		if l, ok := projections.Find(latest, f.Metric); ok && l.Value.Absent == events.Present {
			w.Number(f.Name, l.Value.Number)
		}
	}
	w.Key("metrics")
	w.Open('{')
	absent, worded, others := 0, 0, 0
	for i := range latest {
		switch l := &latest[i]; {
		case repeatsMetric(latest, i):
			others++
		case l.Value.Absent != events.Present:
			absent++
			worded += min(len(l.Value.Raw), 1)
		default:
			w.Number(l.Metric, l.Value.Number)
		}
	}
	w.Close('}')
	if times {
		w.writeTimes(latest)
	}
	if absent > 0 {
		w.writeAbsent("absent", latest, func(v *events.Value) string { return v.Absent.String() })
	}
	if worded > 0 {
		w.writeAbsent("absent_text", latest, func(v *events.Value) string { return v.Raw })
	}
	if others > 0 {
		w.writeOthers(latest)
	}
}

// repeatsMetric reports whether reading i has the same metric as the one before.
func repeatsMetric(latest []projections.Latest, i int) bool {
	return i > 0 && latest[i].Metric == latest[i-1].Metric
}

// writeTimes writes the exact time of each reading, also of absent ones, unless there are no readings.
func (w *writer) writeTimes(latest []projections.Latest) {
	if len(latest) == 0 {
		return
	}
	w.Key("metric_times")
	w.Open('{')
	for i := range latest {
		if !repeatsMetric(latest, i) {
			w.Time(latest[i].Metric, latest[i].At)
		}
	}
	w.Close('}')
}

// writeAbsent writes a member with a text for each absent reading: the reason, or the source's text, which may be
// empty.
func (w *writer) writeAbsent(key string, latest []projections.Latest, textOf func(*events.Value) string) {
	w.Key(key)
	w.Open('{')
	for i := range latest {
		if v := &latest[i].Value; v.Absent != events.Present && !repeatsMetric(latest, i) {
			w.Text(latest[i].Metric, textOf(v))
		}
	}
	w.Close('}')
}

// writeOthers writes the readings that do not count because another of the same metric and time does.
func (w *writer) writeOthers(latest []projections.Latest) {
	w.Key("others")
	w.Open('[')
	for i := range latest {
		if !repeatsMetric(latest, i) {
			continue
		}
		l := &latest[i]
		w.Open('{')
		w.writeRecord(&events.Record{Metric: l.Metric, Source: l.Source, Value: l.Value})
		w.Close('}')
	}
	w.Close(']')
}
