package projections

import (
	"math"
	"slices"
	"strings"

	"telemetry-pipeline/events"
)

// InNamespaces returns the part of a host that workloads of visible namespaces use now: of each GPU with such a workload the
// device's own readings, the parts of such workloads, and the parts of no workload that are no processes. Nothing of it names
// another workload. Readings ahead of their time are left out, and so are those from before the records that name the workloads
// (see Workload.shownFrom), when another one may have had the GPU. ok is false when no GPU is used so.
//
// names are the host's (see Names): a reading belongs to the GPU that had its name then.
func (h *Host) InNamespaces(names *Names, visible func(namespace string) bool) (part Host, ok bool) {
	part.ID = h.ID
	used := map[events.GPUID]bool{}
	for gpu, f := range h.Fragments(names) {
		from, any := f.shownFrom(visible)
		if !any {
			continue
		}
		used[gpu] = true
		for _, e := range f.Entities {
			if !e.isShownIn(visible) {
				continue
			}
			if shown := e.inNamespaces(visible, from); len(shown.Latest) > 0 {
				part.Live.Entities = append(part.Live.Entities, shown)
			}
		}
	}
	part.Live.joinEqual()
	for i := range part.Live.Entities {
		part.Live.Appended = max(part.Live.Appended, part.Live.Entities[i].Appended)
	}
	part.Identity.Windows = h.Identity.Windows
	for i := range h.Identity.GPUs {
		if k := &h.Identity.GPUs[i]; used[names.Resolve(k.Name, maxTime)] || part.Live.hasName(k.Name) {
			part.Identity.GPUs = append(part.Identity.GPUs, k.withParts(&part.Live))
		}
	}
	return part, len(used) > 0
}

// isUsedIn reports whether a workload of a visible namespace uses the entity now.
func (e *LiveEntity) isUsedIn(visible func(namespace string) bool) bool {
	return e.Workload.isCurrent(e.Latest) && e.Workload.Namespace != "" && visible(e.Workload.Namespace)
}

// isShownIn reports whether an entity of a GPU that is used in a visible namespace is shown there.
func (e *LiveEntity) isShownIn(visible func(namespace string) bool) bool {
	return e.Entity.Part == "" || e.isUsedIn(visible) || !e.IsProcess() && !e.Workload.isCurrent(e.Latest)
}

// shownFrom returns the time from which on the readings of a GPU are shown, if a workload of a visible namespace uses it now: of
// several the earliest, since each uses the GPU from its record on.
func (f *Fragment) shownFrom(visible func(namespace string) bool) (from events.Timestamp, any bool) {
	for _, e := range f.Entities {
		if e.isUsedIn(visible) && (!any || e.Workload.shownFrom() < from) {
			from, any = e.Workload.shownFrom(), true
		}
	}
	return from, any
}

// shownFrom returns the earliest time of readings that belong to the newest record that names the workload: one scrape's differ by
// less than JoinTolerance.
func (w *Workload) shownFrom() events.Timestamp {
	return max(w.At, math.MinInt64+events.Timestamp(JoinTolerance)) - events.Timestamp(JoinTolerance)
}

// inNamespaces returns the entity without a workload of another namespace, and without readings ahead or before from, or
// before those that belong to its own workload.
func (e *LiveEntity) inNamespaces(visible func(namespace string) bool, from events.Timestamp) LiveEntity {
	out := *e
	out.Ahead = nil
	if e.isUsedIn(visible) {
		from = e.Workload.shownFrom()
	} else {
		out.Workload = nil
	}
	old := func(l Latest) bool { return l.At < from }
	if slices.ContainsFunc(e.Latest, old) {
		out.Latest = slices.DeleteFunc(slices.Clone(e.Latest), old)
	}
	return out
}

// hasName reports whether there are readings under a name.
func (l *Live) hasName(name events.GPUID) bool {
	i, _ := l.findEntity(events.Entity{GPU: name})
	return i < len(l.Entities) && l.Entities[i].Entity.GPU == name
}

// joinEqual sorts the entities, and joins the readings of equal ones: a name may have been one GPU's and then another's.
func (l *Live) joinEqual() {
	slices.SortFunc(l.Entities, func(a, b LiveEntity) int { return a.Entity.Compare(b.Entity) })
	joined := l.Entities[:0]
	for _, e := range l.Entities {
		n := len(joined)
		if n == 0 || joined[n-1].Entity != e.Entity {
			joined = append(joined, e)
			continue
		}
		joined[n-1] = joinSplit(joined[n-1], e)
	}
	l.Entities = joined
}

// joinSplit returns an entity of two GPUs' readings under one name, which have no metric in common.
func joinSplit(a, b LiveEntity) LiveEntity {
	if a.SeenAt < b.SeenAt {
		a, b = b, a
	}
	a.Latest = slices.Concat(a.Latest, b.Latest)
	slices.SortFunc(a.Latest, func(x, y Latest) int { return strings.Compare(x.Metric, y.Metric) })
	a.Appended = max(a.Appended, b.Appended)
	return a
}

// withParts returns the GPU without the parts that have no readings in a live model.
func (k *KnownGPU) withParts(l *Live) KnownGPU {
	out := *k
	out.Parts = nil
	for _, p := range k.Parts {
		if _, there := l.findEntity(events.Entity{GPU: k.Name, Part: p.Name}); there || p.Name == "" {
			out.Parts = append(out.Parts, p)
		}
	}
	return out
}

// InNamespaces returns the records whose own identities name a visible namespace.
func (s *HostWindow) InNamespaces(visible func(namespace string) bool) HostWindow {
	var out HostWindow
	for i := range s.Columns {
		id := s.Find(s.Columns[i].Identity)
		if id != nil && id.Namespace != "" && visible(id.Namespace) {
			out.Columns = append(out.Columns, s.Columns[i])
		}
	}
	return out.withIdentities(s)
}

// withIdentities returns the window with the identities of its columns, which another window has.
func (s HostWindow) withIdentities(of *HostWindow) HostWindow {
	out := s
	for _, w := range of.Identities {
		if slices.ContainsFunc(out.Columns, func(c Column) bool { return c.Identity == w.ID }) {
			out.Identities = append(out.Identities, w)
		}
	}
	return out
}
