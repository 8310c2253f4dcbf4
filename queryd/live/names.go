package live

import (
	"cmp"
	"maps"
	"slices"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// namedGPU is a GPU of a State and the names that it has there. Immutable.
type namedGPU struct {
	gpu *projections.GPU
	has slots
}

// slots says which of its index and PCI address a GPU has on its host. Records may have named two GPUs for one slot, one
// after the other: then the slot is the one's that was seen last (ofSlot).
type slots uint8

const (
	hasIndex slots = 1 << iota
	hasPCI
)

// names returns every name by which the GPU is found: its id, its UUID, and "host:index", "host:pci-address" and
// "host:uuid".
func (n namedGPU) names() []events.GPUID {
	g, list := n.gpu, make([]events.GPUID, 1, 5)
	list[0] = g.ID
	add := func(text string) {
		if name := events.GPUID(string(g.Host) + ":" + text); text != "" && name != g.ID {
			list = append(list, name)
		}
	}
	if n.has&hasIndex != 0 {
		add(g.Identity.Index)
	}
	if n.has&hasPCI != 0 {
		add(g.Identity.PCI)
	}
	add(g.Identity.UUID)
	if uuid := events.GPUID(g.Identity.UUID); len(g.Conflict) > 0 && uuid != g.ID {
		list = append(list, uuid)
	}
	return list
}

// hasSameNames reports whether two GPUs are found by the same names.
func (n namedGPU) hasSameNames(m namedGPU) bool {
	a, b := n.gpu, m.gpu
	return a.ID == b.ID && a.Host == b.Host && n.has == m.has && a.Identity.Index == b.Identity.Index && a.Identity.PCI == b.Identity.PCI && a.Identity.UUID == b.Identity.UUID
}

// slotOwners finds the GPU of each index and PCI address of one host.
type slotOwners struct{ byIndex, byPCI map[string]*projections.GPU }

// findOwners finds the owners among the GPUs of a host, and forgets the owners found before.
func (o slotOwners) findOwners(gpus []*projections.GPU) {
	clear(o.byIndex)
	clear(o.byPCI)
	for _, g := range gpus {
		setOwner(o.byIndex, g.Identity.Index, g)
		setOwner(o.byPCI, g.Identity.PCI, g)
	}
}

// setOwner sets the owner of a slot: the GPU that has the slot for its id, else the one that was seen last, of several the one
// with the smallest id.
func setOwner(owners map[string]*projections.GPU, slot string, g *projections.GPU) {
	if slot == "" {
		return
	}
	old, own := owners[slot], projections.ConflictID(g.Host, events.GPUID(slot))
	if old == nil || g.ID == own || old.ID != own && cmp.Or(cmp.Compare(old.LastSeen, g.LastSeen), cmp.Compare(g.ID, old.ID)) < 0 {
		owners[slot] = g
	}
}

func (o slotOwners) slotsOf(g *projections.GPU) (has slots) {
	if g.Identity.Index != "" && o.byIndex[g.Identity.Index] == g {
		has |= hasIndex
	}
	if g.Identity.PCI != "" && o.byPCI[g.Identity.PCI] == g {
		has |= hasPCI
	}
	return has
}

// assignSlots returns the slots of each GPU in merged that is not nil, and adds the GPUs to merged that lost or got a slot
// with that. A GPU in merged replaces the entry of prev with its id, which is in replaced if there is one.
func assignSlots(prev *State, merged map[events.GPUID]*projections.GPU) (assigned map[*projections.GPU]slots, replaced map[events.GPUID]*trackedGPU) {
	hosts := map[events.HostID]*changedHost{}
	changedAt := func(id events.HostID) *changedHost {
		h := hosts[id]
		if h == nil {
			h = &changedHost{}
			hosts[id] = h
			if known, ok := prev.Host(id); ok {
				h.entries = known.entries
			}
		}
		return h
	}
	replaced = make(map[events.GPUID]*trackedGPU, len(merged))
	for id, g := range merged {
		var old *trackedGPU
		if g != nil {
			h := changedAt(g.Host)
			h.gpus, old = append(h.gpus, g), h.findEntry(id) // mostly it stays on its host, which has few
		}
		if old == nil {
			if old = prev.findTracked(id); old != nil {
				changedAt(old.gpu.Host)
			}
		}
		if old != nil {
			replaced[id] = old
		}
	}
	assigned = make(map[*projections.GPU]slots, len(merged))
	owners := slotOwners{byIndex: map[string]*projections.GPU{}, byPCI: map[string]*projections.GPU{}}
	for _, h := range hosts {
		for _, e := range h.entries {
			if _, ok := merged[e.gpu.ID]; !ok {
				h.gpus = append(h.gpus, e.gpu)
			}
		}
		owners.findOwners(h.gpus)
		for _, g := range h.gpus {
			assigned[g] = owners.slotsOf(g)
		}
		for _, e := range h.entries {
			if _, ok := merged[e.gpu.ID]; !ok && assigned[e.gpu] != e.has {
				merged[e.gpu.ID], replaced[e.gpu.ID] = e.gpu, e
			}
		}
	}
	return assigned, replaced
}

// changedHost is a host some of whose GPUs change.
type changedHost struct {
	entries []*trackedGPU      // before the change, sorted by orderTracked
	gpus    []*projections.GPU // after it
}

// findEntry returns the entry of a GPU, nil if there is none.
func (h *changedHost) findEntry(id events.GPUID) *trackedGPU {
	at, ok := slices.BinarySearchFunc(h.entries, id, func(e *trackedGPU, id events.GPUID) int { return cmp.Compare(e.gpu.ID, id) })
	if !ok {
		return nil
	}
	return h.entries[at]
}

// NamedGPUs returns the GPUs that a filter selects by a name: the GPU of that name (GPU), and by a UUID also the GPUs of other
// hosts that report it at the same time.
func (s *State) NamedGPUs(id events.GPUID) []*projections.GPU {
	var gpus []*projections.GPU
	for _, e := range s.findAllNamed(id.Canonical()) {
		gpus = append(gpus, e.gpu)
	}
	return gpus
}

// findAllNamed is NamedGPUs for the tracked GPUs.
func (s *State) findAllNamed(id events.GPUID) []*trackedGPU {
	first := s.findNamed(id)
	if first == nil {
		return nil
	}
	all := []*trackedGPU{first}
	if first.gpu.ID == id {
		for _, host := range first.gpu.Conflict {
			if e := s.findTracked(projections.ConflictID(host, id)); e != nil {
				all = append(all, e)
			}
		}
	}
	return all
}

// HostsNaming returns the hosts that may have records of a GPU, sorted: the hosts of the GPUs that have the name now, the host
// in the name, and the hosts whose records have it, also where the GPU has left the view.
func (s *State) HostsNaming(id events.GPUID) []events.HostID {
	hosts := map[events.HostID]bool{}
	for _, g := range s.NamedGPUs(id) {
		for _, host := range g.Hosts {
			hosts[host] = true
		}
	}
	for _, host := range s.KnownOn(id.Canonical()) {
		hosts[host] = true
	}
	for host := range s.HostsInName(id) {
		hosts[host.ID] = true
	}
	return slices.Sorted(maps.Keys(hosts))
}

// KnownOn returns the hosts whose records have one of these very names for a GPU, also of GPUs that have left the view.
func (s *State) KnownOn(names ...events.GPUID) []events.HostID {
	wanted := make(map[events.GPUID]bool, len(names))
	for _, name := range names {
		wanted[name] = true
	}
	var hosts []events.HostID
	for host := range s.hosts.all() {
		if host.knowsAny(wanted) {
			hosts = append(hosts, host.ID)
		}
	}
	return hosts
}

// knowsAny reports whether records of the host have one of the names. It looks up the names or the host's GPUs, whichever are
// fewer.
func (h *Host) knowsAny(names map[events.GPUID]bool) bool {
	if len(names) > len(h.Identity.GPUs) {
		return slices.ContainsFunc(h.Identity.GPUs, func(k projections.KnownGPU) bool { return names[k.Name] })
	}
	for name := range names {
		if _, known := h.Identity.Find(name); known {
			return true
		}
	}
	return false
}
