package rest

import (
	"telemetry-pipeline/events"
	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/projections"
)

// names are the readings that have a field of their own.
type names []metric.NamedField

func catalogue() names { return metric.Named() }

// identity writes what a source said about where readings come from.
func (w *writer) identity(host events.HostID, id *events.Identity) {
	w.Identity(events.QueryNames, host, id, events.FieldUUID, events.FieldIndex, events.FieldHostname, events.FieldDevice,
		events.FieldModel, events.FieldPCI, events.FieldDriver, events.FieldMIG, events.FieldMIGProfile, events.FieldPod,
		events.FieldNamespace, events.FieldContainer, events.FieldLabels)
}

// entity writes an entity's names, and what a source said about it.
func (w *writer) entity(host events.HostID, entity events.Entity, id *events.Identity) {
	w.Text(events.FieldGPU.Name(events.QueryNames), string(entity.GPU))
	w.Text(events.FieldPart.Name(events.QueryNames), entity.Part)
	w.Text(events.FieldHost.Name(events.QueryNames), string(host))
	w.identity(host, id)
}

// record writes what a record says but for its time.
func (w *writer) record(r *events.Record) {
	w.Record(events.QueryNames, r, events.FieldMetric, events.FieldSource, events.FieldValue, events.FieldAbsent, events.FieldRaw)
}

// readings writes readings, sorted by metric with the one that counts first: the named fields, metrics, their
// times if asked for, the absent ones with the source's words, and others where a metric has several readings at
// one time.
func (w *writer) readings(fields names, latest []projections.Latest, times bool) {
	if w.layout.fits(fields, len(latest), func(i int) (string, events.Value) { return latest[i].Metric, latest[i].Value }) {
		w.laidOut()
		if times {
			w.times(latest)
		}
		return
	}
	w.unlike(fields, latest, times)
}

// unlike writes readings without a layout.
func (w *writer) unlike(fields names, latest []projections.Latest, times bool) {
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
		case again(latest, i):
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
		w.times(latest)
	}
	if absent > 0 {
		w.absent("absent", latest, func(v *events.Value) string { return v.Absent.String() })
	}
	if worded > 0 {
		w.absent("absent_text", latest, func(v *events.Value) string { return v.Raw })
	}
	if others > 0 {
		w.others(latest)
	}
}

// again tells whether reading i is of the same metric as the one before.
func again(latest []projections.Latest, i int) bool {
	return i > 0 && latest[i].Metric == latest[i-1].Metric
}

// times writes the exact time of each reading, absent ones too, unless there is none.
func (w *writer) times(latest []projections.Latest) {
	if len(latest) == 0 {
		return
	}
	w.Key("metric_times")
	w.Open('{')
	for i := range latest {
		if !again(latest, i) {
			w.Time(latest[i].Metric, latest[i].At)
		}
	}
	w.Close('}')
}

// absent writes what is told of absent readings: why they are, or what the source wrote in their place, which
// may be nothing.
func (w *writer) absent(key string, latest []projections.Latest, tell func(*events.Value) string) {
	w.Key(key)
	w.Open('{')
	for i := range latest {
		if v := &latest[i].Value; v.Absent != events.Present && !again(latest, i) {
			w.Text(latest[i].Metric, tell(v))
		}
	}
	w.Close('}')
}

// others writes the readings that do not count because another of the same metric and time does.
func (w *writer) others(latest []projections.Latest) {
	w.Key("others")
	w.Open('[')
	for i := range latest {
		if !again(latest, i) {
			continue
		}
		l := &latest[i]
		w.Open('{')
		w.record(&events.Record{Metric: l.Metric, Source: l.Source, Value: l.Value})
		w.Close('}')
	}
	w.Close(']')
}
