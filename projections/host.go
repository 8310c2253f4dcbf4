package projections

import (
	"iter"
	"slices"
	"strings"

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

// Fragments returns the host's share of each of its GPUs, by GPU. Readings under several names of one GPU are in one
// fragment (see Names, which may be nil). Readings of the host itself, which name no GPU, are left out.
func (h *Host) Fragments(n *Names) iter.Seq2[events.GPUID, Fragment] {
	if n == nil {
		return h.namedFragments()
	}
	shares := map[events.GPUID]Fragment{}
	for i := range h.Live.Entities {
		e := &h.Live.Entities[i]
		if e.Entity.GPU == "" {
			continue
		}
		for gpu, part := range e.resolve(n) {
			f := shares[gpu]
			f.Host, f.Names = h, n
			f.Entities = append(f.Entities, part)
			shares[gpu] = f
		}
	}
	return func(yield func(events.GPUID, Fragment) bool) {
		for gpu, f := range shares {
			slices.SortStableFunc(f.Entities, func(a, b *LiveEntity) int { return strings.Compare(a.Entity.Part, b.Entity.Part) })
			if !yield(gpu, f) {
				return
			}
		}
	}
}

// namedFragments is Fragments where each name is a GPU of its own.
func (h *Host) namedFragments() iter.Seq2[events.GPUID, Fragment] {
	return func(yield func(events.GPUID, Fragment) bool) {
		all := h.Live.Entities
		for i := 0; i < len(all); {
			gpu, from := all[i].Entity.GPU, i
			for ; i < len(all) && all[i].Entity.GPU == gpu; i++ {
			}
			f := Fragment{Host: h, Entities: make([]*LiveEntity, 0, i-from)}
			for j := range all[from:i] {
				if e := &all[from+j]; len(e.Latest) > 0 {
					f.Entities = append(f.Entities, e)
				}
			}
			if gpu != "" && len(f.Entities) > 0 && !yield(gpu, f) {
				return
			}
		}
	}
}

// resolve returns an entity's readings by the GPU that had its name at their time; mostly that is one GPU.
func (e *LiveEntity) resolve(n *Names) iter.Seq2[events.GPUID, *LiveEntity] {
	return func(yield func(events.GPUID, *LiveEntity) bool) {
		if len(e.Latest) == 0 {
			return
		}
		newest := n.Resolve(e.Entity.GPU, e.SeenAt)
		if !slices.ContainsFunc(e.Latest, func(l Latest) bool { return n.Resolve(e.Entity.GPU, l.At) != newest }) {
			yield(newest, e)
			return
		}
		parts := map[events.GPUID]*LiveEntity{}
		for _, l := range e.Latest {
			gpu := n.Resolve(e.Entity.GPU, l.At)
			part := parts[gpu]
			if part == nil {
				part = &LiveEntity{Entity: e.Entity, SeenAt: l.At, Appended: e.Appended}
				if gpu == newest {
					part.Said, part.Workload = e.Said, e.Workload
				}
				parts[gpu] = part
			}
			part.SeenAt = max(part.SeenAt, l.At)
			part.Latest = append(part.Latest, l)
		}
		for gpu, part := range parts {
			if !yield(gpu, part) {
				return
			}
		}
	}
}

// CurrentIdentity returns the newest value of each field of an entity, and of its GPU.
func (h *Host) CurrentIdentity(e events.Entity) events.Identity {
	id := events.Identity{Part: e.Part}
	if i, ok := h.Live.findEntity(e); ok {
		fillFields(&id, h.Live.Entities[i].Said)
	}
	if k, ok := h.Identity.Find(e.GPU); ok {
		fillFields(&id, k.FieldsAt(maxTime))
	}
	return id
}

// FirstSeen returns the host's earliest record time; ok is false for a host without records.
func (h *Host) FirstSeen() (at events.Timestamp, ok bool) {
	for i := range h.Identity.GPUs {
		if k := &h.Identity.GPUs[i]; !ok || k.FirstSeen < at {
			at, ok = k.FirstSeen, true
		}
	}
	return at, ok
}

// LastSeen returns the host's newest record time whose time had come; ok is false for a host without such records in the
// live model.
func (h *Host) LastSeen() (at events.Timestamp, ok bool) {
	for i := range h.Live.Entities {
		if e := &h.Live.Entities[i]; len(e.Latest) > 0 && (!ok || e.SeenAt > at) {
			at, ok = e.SeenAt, true
		}
	}
	return at, ok
}
