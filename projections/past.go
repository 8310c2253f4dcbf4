package projections

import (
	"cmp"
	"slices"
	"time"

	"telemetry-pipeline/events"
)

// EntitiesBy returns the GPUs and parts of which there is a record up to an instant, without processes, which come and go.
func (id *Identity) EntitiesBy(at events.Timestamp) map[events.Entity]bool {
	there := make(map[events.Entity]bool, len(id.GPUs))
	for i := range id.GPUs {
		k := &id.GPUs[i]
		for _, p := range k.Parts {
			if p.FirstSeen <= at {
				there[events.Entity{GPU: k.Name, Part: p.Name}] = true
			}
		}
	}
	return there
}

// FindPast returns the name of the GPU that had an index, PCI address or UUID last.
func (id *Identity) FindPast(value string) (name events.GPUID, ok bool) {
	last := Run{Last: WindowOf(minTime) - 1}
	for i := range id.GPUs {
		for _, r := range id.GPUs[i].Runs {
			fits := r.Value == value && (r.Field == FieldIndex || r.Field == FieldPCI || r.Field == FieldUUID)
			if fits && cmp.Or(cmp.Compare(r.Last, last.Last), cmp.Compare(r.First, last.First)) > 0 {
				name, ok, last = id.GPUs[i].Name, true, r
			}
		}
	}
	return name, ok
}

// ListedBy reports whether the window of an instant, or one before it, holds a list of processes.
func (id *Identity) ListedBy(at events.Timestamp) bool {
	for i := range id.GPUs {
		if listed := id.GPUs[i].Listed; len(listed) > 0 && listed[0].First <= WindowOf(at) {
			return true
		}
	}
	return false
}

// StatedBy reports whether a record of a GPU or its parts named a workload in the window of an instant or before.
func (id *Identity) StatedBy(gpu events.GPUID, at events.Timestamp) bool {
	k, ok := id.Find(gpu)
	return ok && len(k.Stated) > 0 && k.Stated[0].First <= WindowOf(at)
}

// SeenWithin reports whether a GPU has a record in the time before an instant, to the hour.
func (id *Identity) SeenWithin(gpu events.GPUID, at events.Timestamp, span time.Duration) bool {
	k, ok := id.Find(gpu)
	if !ok {
		return false
	}
	last := minTime
	for _, s := range k.Windows {
		if s.First <= WindowOf(at) {
			last = (min(s.Last, WindowOf(at)) + 1).Start()
		}
	}
	return last > minTime && elapsed(last, at) <= span
}

// Until returns the identity of the records up to an instant. It may have fields that records of the same hour said after it.
func (id *Identity) Until(at events.Timestamp) Identity {
	out := Identity{GPUs: make([]KnownGPU, 0, len(id.GPUs)), Windows: cutWindows(id.Windows, at), Joined: id.Joined}
	for i := range id.GPUs {
		k := id.GPUs[i]
		if k.FirstSeen > at {
			continue
		}
		k.Windows, k.Listed, k.Stated = cutWindows(k.Windows, at), cutWindows(k.Listed, at), cutWindows(k.Stated, at)
		k.Runs, k.Parts = cutRuns(k.Runs, at), cutParts(k.Parts, at)
		out.GPUs = append(out.GPUs, k)
	}
	return out
}

// cutRuns returns the runs up to the window that holds an instant.
func cutRuns(runs []Run, at events.Timestamp) []Run {
	cut := make([]Run, 0, len(runs))
	for _, r := range runs {
		if r.First <= at {
			r.Last = min(r.Last, WindowOf(at))
			cut = append(cut, r)
		}
	}
	return cut
}

// cutParts returns the parts that were seen up to an instant.
func cutParts(parts []KnownPart, at events.Timestamp) []KnownPart {
	later := func(p KnownPart) bool { return p.FirstSeen > at }
	if !slices.ContainsFunc(parts, later) {
		return parts
	}
	return slices.DeleteFunc(slices.Clone(parts), later)
}

// cutWindows returns the windows up to the one that holds an instant.
func cutWindows(spans []WindowRange, at events.Timestamp) []WindowRange {
	w := WindowOf(at)
	for i, s := range spans {
		if s.First > w {
			return spans[:i:i]
		}
		if s.Last > w {
			return append(spans[:i:i], WindowRange{First: s.First, Last: w})
		}
	}
	return spans
}
