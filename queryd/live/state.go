package live

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// State is the whole view at one position. Its slices and pointers are shared and must not be changed.
type State struct {
	streamPosition
	generation projections.Generation
	asOf       time.Time

	gpus    []*projections.GPU // sorted by orderGPU
	entries []*trackedGPU      // the same, sorted by orderTracked
	hosts   []*Host            // sorted by orderHost

	unreadable []projections.Unreadable // stored values that are missing above, sorted by key

	partitionsFolded []events.Revision // by partition: log position up to which it is folded

	generationSwitches []int64     // position at which each generation served by this process started; later changes are known exactly
	departures         []departure // recent departures, ascending by position
	departuresSince    int64       // departures holds every one after this position
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

// AsOf returns the time at which etcd last confirmed the view.
func (s *State) AsOf() time.Time { return s.asOf }

// Token returns the position At in the form that subscribers receive.
func (s *State) Token() Token { return s.token }

// Folded returns the log position up to which every partition is folded into the stored models.
func (s *State) Folded() events.Revision { return s.folded }

// GPUs returns all GPUs, sorted by host, index as a number, id.
func (s *State) GPUs() []*projections.GPU { return s.gpus }

// Hosts returns all hosts, sorted by name.
func (s *State) Hosts() []*Host { return s.hosts }

// GPU returns a GPU by its UUID (or other id), or by "host:index": the GPU that has that index there now. If several
// GPUs had an index, it returns the one with the newest record.
func (s *State) GPU(id events.GPUID) (*projections.GPU, bool) {
	if e := s.findTracked(id); e != nil {
		return e.gpu, true
	}
	colon := strings.LastIndexByte(string(id), ':')
	if colon < 0 {
		return nil, false
	}
	host, ok := s.Host(events.HostID(id[:colon]))
	if !ok {
		return nil, false
	}
	gpu := host.gpuByIndex(string(id[colon+1:]))
	return gpu, gpu != nil
}

// Host returns a host by its name.
func (s *State) Host(id events.HostID) (*Host, bool) {
	at, ok := slices.BinarySearchFunc(s.hosts, id, func(h *Host, id events.HostID) int { return cmp.Compare(h.ID, id) })
	if !ok {
		return nil, false
	}
	return s.hosts[at], true
}

// findTracked returns a GPU's entry, nil if there is none.
func (s *State) findTracked(id events.GPUID) *trackedGPU {
	at, ok := slices.BinarySearchFunc(s.entries, id, func(e *trackedGPU, id events.GPUID) int { return cmp.Compare(e.gpu.ID, id) })
	if !ok {
		return nil
	}
	return s.entries[at]
}

// Host is a host of the view.
type Host struct {
	projections.Host
	Partition events.Partition
	GPUs      []*projections.GPU // GPUs whose newest record is from here, sorted by (index as a number, id)
	LastSeen  events.Timestamp
	FirstSeen events.Timestamp

	entries []*trackedGPU // beside GPUs, sorted by orderTracked
}

// gpuByIndex returns the GPU that has an index here now, nil if there is none.
func (h *Host) gpuByIndex(index string) *projections.GPU {
	var newest *projections.GPU
	for _, g := range h.GPUs {
		if g.Identity.Index == index && (newest == nil || g.LastSeen > newest.LastSeen) {
			newest = g
		}
	}
	return newest
}
