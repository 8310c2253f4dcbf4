package projections

import (
	"cmp"
	"slices"
	"strings"

	"telemetry-pipeline/events"
)

// Workload is what the newest record that names one says about the use of an entity, and its labels. It holds until
// the series that said it goes on without it (see isCurrent).
type Workload struct {
	At        events.Timestamp
	Metric    string // the series of the record: of several at one time the first by metric, then source
	Source    string
	Pod       string
	Namespace string
	Container string
	Labels    []events.Label // sorted
}

// NamesWorkload reports whether an identity names a workload or has labels.
func NamesWorkload(id *events.Identity) bool {
	return id.Pod != "" || id.Namespace != "" || id.Container != "" || len(id.Labels) > 0
}

// merge returns the newer of two workloads, each of which may be nil. Records of one time complete each other: of two
// values of a text the greater one counts, and each label name has one value. The result is w where v adds nothing.
func (w *Workload) merge(v *Workload) *Workload {
	switch {
	case v == nil || w != nil && v.At < w.At:
		return w
	case w == nil || v.At > w.At:
		return v
	}
	both := *w
	if c := cmp.Or(strings.Compare(v.Metric, w.Metric), strings.Compare(v.Source, w.Source)); c < 0 {
		both.Metric, both.Source = v.Metric, v.Source
	}
	both.Pod, both.Namespace, both.Container = max(w.Pod, v.Pod), max(w.Namespace, v.Namespace), max(w.Container, v.Container)
	both.Labels = mergeLabels(w.Labels, v.Labels)
	if both.equals(w) {
		return w
	}
	return &both
}

// mergeLabels returns each name of two lists once, with its greatest value. The lists stay as they are.
func mergeLabels(a, b []events.Label) []events.Label {
	if slices.Equal(a, b) {
		return a
	}
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(x, y events.Label) int {
		return cmp.Or(strings.Compare(x.Name, y.Name), strings.Compare(y.Value, x.Value))
	})
	return slices.CompactFunc(all, func(x, y events.Label) bool { return x.Name == y.Name })
}

// equals reports whether two workloads are equal.
func (w *Workload) equals(v *Workload) bool {
	if w == v || w == nil || v == nil {
		return w == v
	}
	return w.At == v.At && w.Metric == v.Metric && w.Source == v.Source && w.Pod == v.Pod && w.Namespace == v.Namespace &&
		w.Container == v.Container && slices.Equal(w.Labels, v.Labels)
}

// isCurrent reports whether a workload still holds beside the newest readings: it ended when the series that said it
// has a newer reading, since that one says nothing of it.
func (w *Workload) isCurrent(latest []Latest) bool {
	if w == nil {
		return false
	}
	l, ok := Find(latest, w.Metric)
	return !ok || l.Source != w.Source || l.At <= w.At
}
