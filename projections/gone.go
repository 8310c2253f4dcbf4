package projections

import (
	"slices"
	"time"

	"telemetry-pipeline/events"
)

// GoneAfter is how long after its last append a host or a GPU leaves the live model, and how long after its last record
// a GPU that has left it is shown in states of the past. Ages go by appends alone, so that an old file shows its hosts.
const GoneAfter = 30 * 24 * time.Hour

// foldControl folds the event's records of the pipeline itself, which mostly it has not.
func (f *fold) foldControl() {
	if !hasControl(f.ev) {
		return
	}
	f.left, f.control = f.ev.Left()
	if join, ok := f.ev.Join(); ok && join.At > f.host.Identity.Joined.At {
		f.joined = true
		f.host.Identity.Joined = Joined{Node: join.Node, At: join.At}
		f.host.dropJoined()
	}
}

func hasControl(ev *events.Event) bool {
	for i := range ev.Columns {
		if events.IsControl(ev.Columns[i].Metric) {
			return true
		}
	}
	return false
}

// ownSamples returns the samples that are not the node's.
func (j Joined) ownSamples(s events.Samples) events.Samples {
	n := s.Len()
	if j.Node == "" || n == 0 || s.Times[0] > j.At {
		return s
	}
	own := s.Slice(countUpTo(s.Times, j.At), n)
	own.Canonical()
	return own
}

// dropJoined drops what the host's models have of records that are the node's now. GPUs with newer readings stay whole.
func (h *Host) dropJoined() {
	at := h.Identity.Joined.At
	h.Live.Entities = slices.DeleteFunc(slices.Clone(h.Live.Entities), func(e LiveEntity) bool { return e.newestFolded() <= at })
	h.Identity.GPUs = slices.DeleteFunc(slices.Clone(h.Identity.GPUs), func(k KnownGPU) bool {
		i, _ := h.Live.findEntity(events.Entity{GPU: k.Name})
		return i == len(h.Live.Entities) || h.Live.Entities[i].Entity.GPU != k.Name
	})
	if len(h.Identity.GPUs) == 0 {
		h.Identity.Windows = nil
	}
}

// noteAppend notes the time at which the event was appended, drops what left the live model by then, and reports whether
// that changed it.
func (f *fold) noteAppend() (changed bool) {
	l := &f.host.Live
	before := l.Appended
	if f.ev.Damage == nil && !f.control && f.ev.AppendedAt > before { // without records too: a merge in the archive drops repeats
		l.Appended, changed = f.ev.AppendedAt, true
	}
	if f.left != 0 && f.left >= l.Appended && len(l.Entities) > 0 {
		l.Entities, changed = nil, true
	}
	if cut := f.bounds.goneBefore(l.Appended); before != 0 && cut > f.bounds.goneBefore(before) {
		gone := func(e LiveEntity) bool { return e.Appended != 0 && e.Appended < cut }
		if slices.ContainsFunc(l.Entities, gone) {
			l.Entities, changed = slices.DeleteFunc(slices.Clone(l.Entities), gone), true
		}
	}
	return changed
}

// goneBefore returns the time such that what was appended last before it is gone, for a host whose newest event was
// appended at an instant. It advances in steps, so that the entities of a host are looked at now and then only.
func (b *Bounds) goneBefore(appended events.Timestamp) events.Timestamp {
	step := events.Timestamp(min(max(b.GoneAfter/16, time.Second), time.Hour))
	return appended - appended%step - events.Timestamp(b.GoneAfter)
}
