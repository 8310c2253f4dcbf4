package projections

import (
	"cmp"
	"fmt"
	"time"

	"telemetry-pipeline/events"
)

// Bounds are the sizes that a host may have, far above real ones. A zero field means its default. Records beyond them are
// refused: a host whose labels or ids never repeat would else grow until its models fit no value of etcd.
//
// Uploads are held to four fifths of the defaults before they are appended (package ingestd/bounds). The rest is for what
// several servers accept at the same time, so that a fold mostly has room for all that is in the log.
type Bounds struct {
	GPUs    int  // names of GPUs in all, default 20,480
	Parts   int  // parts of one GPU at a time, default 5,120
	Metrics int  // metrics of one GPU or part, default 5,120
	Values  int  // values of all fields of one GPU, default 1,280
	Closed  bool // nothing new is accepted: the models are as large as they may be

	GoneAfter time.Duration // a GPU leaves the live model when nothing of it was appended for so long, while its host goes on; default GoneAfter
}

// WithDefaults returns the bounds with defaults in place of zeros.
func (b Bounds) WithDefaults() Bounds {
	return Bounds{
		GPUs: cmp.Or(b.GPUs, 20_480), Parts: cmp.Or(b.Parts, 5120), Metrics: cmp.Or(b.Metrics, 5120), Values: cmp.Or(b.Values, 1280), Closed: b.Closed,
		GoneAfter: cmp.Or(b.GoneAfter, GoneAfter),
	}
}

// IsLarger reports whether the stored form of the model may take more than a number of bytes. It encodes the model only
// where an estimate is near that number.
func (l *Live) IsLarger(most int) bool {
	size := 0
	for i := range l.Entities {
		e := &l.Entities[i]
		size += 32 + len(e.Entity.Part) + e.Workload.estimateSize() + 12*(len(e.Latest)+2*len(e.Ahead))
		for _, s := range e.Said {
			size += 8 + len(s.Value)
		}
		for _, r := range e.Latest {
			size += len(r.Value.Raw)
		}
	}
	return size > most/2 && len(AppendLive(nil, l)) > most
}

// estimateSize returns an estimate of the workload's stored size.
func (w *Workload) estimateSize() int {
	if w == nil {
		return 0
	}
	size := len(w.Pod) + len(w.Namespace) + len(w.Container)
	for _, label := range w.Labels {
		size += 4 + len(label.Name) + len(label.Value)
	}
	return size
}

// IsLarger reports whether the stored form of the model may take more than a number of bytes. It encodes the model only
// where an estimate is near that number.
func (id *Identity) IsLarger(most int) bool {
	size := 0
	for i := range id.GPUs {
		k := &id.GPUs[i]
		size += 40 + 8*(len(k.Windows)+len(k.Listed)+len(k.Stated)) + 16*len(k.Parts)
		for _, r := range k.Runs {
			size += 16 + len(r.Value)
		}
	}
	return size > most/2 && len(AppendIdentity(nil, id)) > most
}

// Refusal counts records that a host has no room for.
type Refusal struct {
	Records int
	Reason  string // of the first of them
}

func (r *Refusal) add(records int, reason string) {
	if r.Records == 0 {
		r.Reason = reason
	}
	r.Records += records
}

// admit returns the reason why a new entity cannot be added, "" when it can.
func (f *fold) admit(e events.Entity, known *KnownGPU) string {
	if f.bounds.Closed {
		return ClosedReason
	}
	if known == nil && !f.countsAsNew(e.GPU) {
		return fmt.Sprintf("its host would have more than %d GPUs: is the GPU's name different in every row?", f.bounds.GPUs)
	}
	if e.Part == "" {
		return ""
	}
	if f.newParts == nil {
		f.newParts = map[events.GPUID]int{}
	}
	if _, counted := f.newParts[e.GPU]; !counted {
		f.newParts[e.GPU] = f.host.Live.countParts(e.GPU)
	}
	if f.newParts[e.GPU] >= f.bounds.Parts {
		return fmt.Sprintf("its GPU would have more than %d parts (instances, links, processes) at a time", f.bounds.Parts)
	}
	f.newParts[e.GPU]++
	return ""
}

// countsAsNew counts a GPU that the host does not know, and reports whether there is room for it.
func (f *fold) countsAsNew(gpu events.GPUID) bool {
	if f.newGPUs[gpu] {
		return true
	}
	if len(f.host.Identity.GPUs)+len(f.newGPUs) >= f.bounds.GPUs {
		return false
	}
	if f.newGPUs == nil {
		f.newGPUs = make(map[events.GPUID]bool)
	}
	f.newGPUs[gpu] = true
	return true
}

// admitMetric returns the reason why an entity cannot have one more metric, "" when it can.
func (f *fold) admitMetric(s *slot, metric string) string {
	n := len(s.now.Latest)
	if n < f.bounds.Metrics && !f.bounds.Closed {
		return ""
	}
	if _, there := findMetric(s.now.Latest, metric); there {
		return ""
	}
	if f.bounds.Closed {
		return ClosedReason
	}
	return fmt.Sprintf("%s would have more than %d metrics: is the metric's name different in every row?", cmp.Or(string(s.now.Entity.GPU), "its host"), f.bounds.Metrics)
}

// admitFields returns the reason why a GPU cannot have the fields of an identity, "" when it can.
func (f *fold) admitFields(id *events.Identity, known *KnownGPU) string {
	if known == nil || !f.bounds.Closed && known.hasFewerValues(f.bounds.Values) || known.hasFields(id) {
		return ""
	}
	if f.bounds.Closed {
		return ClosedReason
	}
	return fmt.Sprintf("%s would have had more than %d different indices, addresses, models or drivers: is one of them different in every row?",
		cmp.Or(string(known.Name), "its host"), f.bounds.Values)
}

// ClosedReason is the reason of a refusal by closed Bounds.
const ClosedReason = "the models of its host are as large as a value of etcd may be: is a GPU's name, a part or a label different in every row?"
