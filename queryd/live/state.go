package live

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/projections"
)

// State is the view of a scope at one position. Its slices and pointers are shared and must not be changed.
type State struct {
	streamPosition
	generation projections.Generation
	scope      access.Scope
	whole      *State // of a scope by namespace: all on its hosts, at the same position
	stream     streamName
	asOf       time.Time

	gpus    sortedList[*projections.GPU] // by orderGPU
	entries sortedList[*trackedGPU]      // the same, by orderTracked
	hosts   sortedList[*Host]            // by orderHost
	shown   sortedList[*Host]            // the same, without the ones that left
	totals  fleetTotals                  // of these

	unreadable []projections.Unreadable // stored values that are missing above, sorted by key

	partitionsFolded []events.Revision    // by partition: log position up to which it is folded
	hotFrom          []projections.Window // by partition: as HotFrom

	generationSwitches []int64     // position at which each generation served by this process started; later changes are known exactly
	departures         []departure // recent departures, ascending by position
	departuresSince    int64       // departures holds every one after this position
	leaps              []leap      // positions that this process never had, ascending

	traced []tracedChange // the newest changes that were stored in sampled traces, ascending
}

// leap is the positions between two views of which the second was loaded. What came and went there is not known here, and a
// reader from another server may have seen it.
type leap struct{ from, to int64 }

// maxLeaps bounds State.leaps.
const maxLeaps = 64

// addLeap notes a leap to the state's position.
func (s *State) addLeap(from int64) {
	if s.at.Number-from <= 1 {
		return
	}
	s.leaps = append(slices.Clip(s.leaps), leap{from, s.at.Number})
	if n := len(s.leaps) - maxLeaps; n > 0 {
		s.departuresSince = max(s.departuresSince, s.leaps[n-1].to)
		s.leaps = s.leaps[n:]
	}
}

// hasLeapt reports whether a position is one that this process never had.
func (s *State) hasLeapt(at int64) bool {
	return slices.ContainsFunc(s.leaps, func(l leap) bool { return l.from < at && at < l.to })
}

// isLoaded reports whether there was a first load.
func (s *State) isLoaded() bool { return len(s.generationSwitches) > 0 }

// generationStart returns the position at which the generation started.
func (s *State) generationStart() int64 { return s.generationSwitches[len(s.generationSwitches)-1] }

// streamPosition is a position in the stream, and how far the log is folded there.
type streamPosition struct {
	at     events.Revision
	token  Token
	folded events.Revision
}

// At returns the position in the projections.
func (s *State) At() events.Revision { return s.at }

// Generation returns the served generation.
func (s *State) Generation() projections.Generation { return s.generation }

// Scope returns the scope outside of which nothing exists in the State.
func (s *State) Scope() access.Scope { return s.scope }

// OnHosts returns the State of everything on the hosts of a scope by namespace, at the same position; s of any other scope. It is
// for the history of records, each of which names its workload: no answer may show it to a reader of s.
func (s *State) OnHosts() *State {
	if s.whole == nil {
		return s
	}
	return s.whole
}

// AsOf returns the time at which etcd last confirmed the view.
func (s *State) AsOf() time.Time { return s.asOf }

// Token returns the position At in the form that subscribers receive.
func (s *State) Token() Token { return s.token }

// Folded returns the log position up to which every partition is folded into the stored models.
func (s *State) Folded() events.Revision { return s.folded }

// HotFrom returns the first window of a partition whose stored series were all in etcd at the state's position: none of them may be
// missing there, and few of the windows before it are there.
func (s *State) HotFrom(p events.Partition) projections.Window {
	if int(p) >= len(s.hotFrom) {
		return 0
	}
	return s.hotFrom[p]
}

// GPUs returns all GPUs, sorted by host, index as a number, id.
func (s *State) GPUs() []*projections.GPU { return s.gpus.slice() }

// Hosts returns the hosts with readings, sorted by name. Hosts that left the live view are not among them.
func (s *State) Hosts() []*Host { return s.shown.slice() }

// AllHosts returns the hosts with readings or history, sorted by name.
func (s *State) AllHosts() []*Host { return s.hosts.slice() }

// GPU returns a GPU by its UUID in any spelling (or other id), or by "host:index", "host:pci-address" or "host:uuid": the GPU that has
// that name there now. If several GPUs had it, it returns the one with the newest record. If several hosts report a UUID at
// the same time, it returns the GPU whose id the UUID is (projections.MergeGPU).
func (s *State) GPU(id events.GPUID) (*projections.GPU, bool) {
	if e := s.findNamed(id.Canonical()); e != nil {
		return e.gpu, true
	}
	return nil, false
}

// findNamed is GPU for the tracked GPU, nil if there is none.
func (s *State) findNamed(id events.GPUID) *trackedGPU {
	if e := s.findTracked(id); e != nil {
		return e
	}
	for host, name := range s.HostsInName(id) {
		if e := host.findNamed(name); e != nil {
			return e
		}
	}
	return nil
}

// HostsInName yields the hosts (AnyHost) that a name may begin with, each with the rest of the name: the names of hosts may hold
// colons, as addresses do.
func (s *State) HostsInName(id events.GPUID) iter.Seq2[*Host, string] {
	return func(yield func(*Host, string) bool) {
		text := string(id)
		for i := range len(text) {
			if text[i] != ':' {
				continue
			}
			if host, ok := s.AnyHost(events.HostID(text[:i])); ok && !yield(host, text[i+1:]) {
				return
			}
		}
	}
}

// Host returns a host with readings by its name.
func (s *State) Host(id events.HostID) (*Host, bool) {
	h, ok := s.AnyHost(id)
	if !ok || !h.isShown() {
		return nil, false
	}
	return h, true
}

// AnyHost returns a host by its name, also one that left the live view. The name of a host that is joined to another one,
// and has no records of its own, is the other's.
func (s *State) AnyHost(id events.HostID) (*Host, bool) {
	h, ok := s.findHost(id)
	if ok && h.Identity.Joined.Node != "" && len(h.Identity.GPUs) == 0 {
		return s.findHost(h.Identity.Joined.Node)
	}
	return h, ok
}

func (s *State) findHost(id events.HostID) (*Host, bool) {
	return findIn(s.hosts, id, func(h *Host, id events.HostID) int { return cmp.Compare(h.ID, id) })
}

// findTracked returns a GPU's entry, nil if there is none.
func (s *State) findTracked(id events.GPUID) *trackedGPU {
	e, _ := findIn(s.entries, id, func(e *trackedGPU, id events.GPUID) int { return cmp.Compare(e.gpu.ID, id) })
	return e
}

// Host is a host of the view.
type Host struct {
	projections.Host
	Names     *projections.Names // resolves the names of its GPUs
	Partition events.Partition
	GPUs      []*projections.GPU // GPUs whose newest record is from here, sorted by (index as a number, id)
	LastSeen  events.Timestamp
	FirstSeen events.Timestamp

	entries     []*trackedGPU // beside GPUs, sorted by orderTracked
	lastChanged int64         // the newest lastChanged of entries
}

// isShown reports whether the host has readings whose time has come, or its live model could not be read.
func (h *Host) isShown() bool {
	hasReadings := func(e projections.LiveEntity) bool { return len(e.Latest) > 0 }
	return h.Live.Appended == 0 || slices.ContainsFunc(h.Live.Entities, hasReadings)
}

// findNamed returns the GPU that has an index, PCI address or UUID here now, nil if there is none.
func (h *Host) findNamed(name string) *trackedGPU {
	address, _ := events.CanonicalPCI(name)
	for _, e := range h.entries {
		id := &e.gpu.Identity
		switch {
		case e.has&hasIndex != 0 && id.Index == name, e.has&hasPCI != 0 && (id.PCI == name || id.PCI == address), id.UUID == name && name != "":
			return e
		}
	}
	return nil
}
