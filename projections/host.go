package projections

import (
	"iter"

	"telemetry-pipeline/events"
)

// Host is the state of one host in a collector's memory. The zero Host takes its ID from its first event.
//
// The models' slices are never changed in place: Apply replaces the slices that change. So a copy of the Live or
// Identity value (l := h.Live; a slice header) stays as it is while the owner folds on, and may be read
// elsewhere. A pointer into the Host (&h.Live) may not.
type Host struct {
	ID       events.HostID
	Live     Live
	Identity Identity
}

// Fragments returns the host's share of each of its GPUs, by GPU. Readings of the host itself, which name
// no GPU, are left out.
func (h *Host) Fragments() iter.Seq2[events.GPUID, Fragment] {
	return func(yield func(events.GPUID, Fragment) bool) {
		all := h.Live.Entities
		for i := 0; i < len(all); {
			gpu := all[i].Entity.GPU
			f := Fragment{Host: h}
			for ; i < len(all) && all[i].Entity.GPU == gpu; i++ {
				f.Entities = append(f.Entities, &all[i])
			}
			if gpu != "" && !yield(gpu, f) {
				return
			}
		}
	}
}

// FirstSeen returns the host's earliest record time; ok is false for a host without records.
func (h *Host) FirstSeen() (at events.Timestamp, ok bool) {
	for i := range h.Identity.Known {
		if k := &h.Identity.Known[i]; !ok || k.FirstSeen < at {
			at, ok = k.FirstSeen, true
		}
	}
	return at, ok
}

// LastSeen returns the host's newest record time; ok is false for a host without records.
func (h *Host) LastSeen() (at events.Timestamp, ok bool) {
	for i := range h.Live.Entities {
		if e := &h.Live.Entities[i]; !ok || e.SeenAt > at {
			at, ok = e.SeenAt, true
		}
	}
	return at, ok
}
