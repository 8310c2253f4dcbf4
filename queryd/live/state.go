package live

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// State is the whole view at one position. Slices and pointers it gives are shared and must not be changed.
type State struct {
	streamPosition
	generation projections.Generation
	asOf       time.Time

	gpus    []*projections.GPU // sorted by orderGPU
	entries []*entry           // the same, sorted by orderEntry
	hosts   []*Host            // sorted by orderHost

	partitionsFolded []events.Revision // by partition: how far the log is folded

	generationSwitches []int64 // where each generation that this process served began: what changed after that is known exactly
	departures []departure  // what left a host lately, ascending by position
	departuresSince int64   // everything that left after this position is in left
}

// isLoaded tells whether there was a first load.
func (s *State) isLoaded() bool { return len(s.generationSwitches) > 0 }

// generationStart is where the generation began.
func (s *State) generationStart() int64 { return s.generationSwitches[len(s.generationSwitches)-1] }

// streamPosition is where in the stream something is, and how far the log is folded there.
type streamPosition struct {
	at     events.Revision
	token  Token
	folded events.Revision
}

// At is the position in the projections.
func (s *State) At() events.Revision { return s.at }

// Generation is what is served.
func (s *State) Generation() projections.Generation { return s.generation }

// AsOf is when etcd last confirmed the view.
func (s *State) AsOf() time.Time { return s.asOf }

// Token is the position At as subscribers get it.
func (s *State) Token() Token { return s.token }

// Folded is the log position up to which every partition is folded into the stored models.
func (s *State) Folded() events.Revision { return s.folded }

// GPUs are all GPUs, sorted by host, index as a number, id.
func (s *State) GPUs() []*projections.GPU { return s.gpus }

// Hosts are all hosts, sorted by name.
func (s *State) Hosts() []*Host { return s.hosts }

// GPU finds one by UUID (or other id), or as "host:index": the GPU that has that index there now. When an
// index was held by several GPUs, that is the one with the newest record.
func (s *State) GPU(id events.GPUID) (*projections.GPU, bool) {
	if e := s.findEntry(id); e != nil {
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

// Host finds one by name.
func (s *State) Host(id events.HostID) (*Host, bool) {
	at, ok := slices.BinarySearchFunc(s.hosts, id, func(h *Host, id events.HostID) int { return cmp.Compare(h.ID, id) })
	if !ok {
		return nil, false
	}
	return s.hosts[at], true
}

// findEntry finds a GPU by its id, nil when there is none.
func (s *State) findEntry(id events.GPUID) *entry {
	at, ok := slices.BinarySearchFunc(s.entries, id, func(e *entry, id events.GPUID) int { return cmp.Compare(e.gpu.ID, id) })
	if !ok {
		return nil
	}
	return s.entries[at]
}

// Host is a host of the view.
type Host struct {
	projections.Host
	Partition events.Partition
	GPUs      []*projections.GPU // those whose newest record is from here, sorted by (index as a number, id)
	LastSeen  events.Timestamp
	FirstSeen events.Timestamp

	entries []*entry // beside GPUs, sorted by orderEntry
}

// gpuByIndex finds the GPU that has an index here now, nil when none has.
func (h *Host) gpuByIndex(index string) *projections.GPU {
	var newest *projections.GPU
	for _, g := range h.GPUs {
		if g.Identity.Index == index && (newest == nil || g.LastSeen > newest.LastSeen) {
			newest = g
		}
	}
	return newest
}
