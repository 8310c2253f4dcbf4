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
	w.text("uuid", id.UUID)
	w.text("gpu_id", id.Index)
	w.text("hostname", string(host))
	w.text("device", id.Device)
	w.text("model_name", id.Model)
	w.text("pci_bus_id", id.PCI)
	w.text("driver_version", id.Driver)
	w.text("mig_instance_id", id.MIG)
	w.text("mig_profile", id.MIGProfile)
	w.text("pod", id.Pod)
	w.text("namespace", id.Namespace)
	w.text("container", id.Container)
	if len(id.Labels) > 0 {
		w.key("labels")
		w.open('{')
		for _, l := range id.Labels {
			w.key(l.Name)
			w.str(l.Value)
		}
		w.close('}')
	}
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
			w.number(f.Name, l.Value.Number)
		}
	}
	w.key("metrics")
	w.open('{')
	absent, worded, others := 0, 0, 0
	for i := range latest {
		switch l := &latest[i]; {
		case again(latest, i):
			others++
		case l.Value.Absent != events.Present:
			absent++
			worded += min(len(l.Value.Raw), 1)
		default:
			w.number(l.Metric, l.Value.Number)
		}
	}
	w.close('}')
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
	w.key("metric_times")
	w.open('{')
	for i := range latest {
		if !again(latest, i) {
			w.time(latest[i].Metric, latest[i].At)
		}
	}
	w.close('}')
}

// absent writes what is told of absent readings: why they are, or what the source wrote in their place, which
// may be nothing.
func (w *writer) absent(key string, latest []projections.Latest, tell func(*events.Value) string) {
	w.key(key)
	w.open('{')
	for i := range latest {
		if v := &latest[i].Value; v.Absent != events.Present && !again(latest, i) {
			w.text(latest[i].Metric, tell(v))
		}
	}
	w.close('}')
}

// others writes the readings that do not count because another of the same metric and time does.
func (w *writer) others(latest []projections.Latest) {
	w.key("others")
	w.open('[')
	for i := range latest {
		if !again(latest, i) {
			continue
		}
		l := &latest[i]
		w.open('{')
		w.text("metric", l.Metric)
		w.text("source", l.Source)
		if l.Value.Absent == events.Present {
			w.number("value", l.Value.Number)
		} else {
			w.text("absent", l.Value.Absent.String())
			w.text("absent_text", l.Value.Raw)
		}
		w.close('}')
	}
	w.close(']')
}
