package live

import (
	"maps"
	"slices"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// maxDepartures bounds State.left; half of it is dropped when it is full.
const maxDepartures = 4096

// view folds stored changes into States. One goroutine uses it.
type view struct {
	facts   events.Facts
	models  map[events.HostID]*hostModel
	hostsByGPU    map[events.GPUID][]events.HostID // the hosts that know a GPU, sorted
	offsets map[events.Partition]projections.Offsets
	caughtUpTo   map[events.Partition]int64 // up to here a partition has no event that its offsets lack
	state   *State
}

// hostModel is what is stored of one host, and its share of each of its GPUs.
type hostModel struct {
	projections.Host
	partition events.Partition
	fragments map[events.GPUID]projections.Fragment
}

// newView is a view of nothing: at the beginning of the log, or what a generation's Load says when that is
// applied.
func newView(facts events.Facts, g projections.Generation) *view {
	start := events.Revision{Epoch: facts.Epoch, Cluster: facts.Cluster}
	v := &view{
		facts:   facts,
		models:  map[events.HostID]*hostModel{},
		hostsByGPU:    map[events.GPUID][]events.HostID{},
		offsets: map[events.Partition]projections.Offsets{},
		caughtUpTo:   map[events.Partition]int64{},
		state:   &State{generation: g, streamPosition: streamPosition{at: start, folded: start, token: tokenOf(g, start)}},
	}
	v.state.partitionsFolded = v.partitionsFolded()
	return v
}

// applyBatch folds a batch and gives what changed. The cost is that of the changed hosts' GPUs, and one copy of
// the sorted slices.
func (v *view) applyBatch(b projections.Batch, now time.Time) *change {
	maps.Copy(v.offsets, b.Offsets)
	touched := map[events.GPUID]bool{}
	hosts := map[events.HostID]bool{}
	for i := range b.Hosts {
		v.applyHost(&b.Hosts[i], touched)
		hosts[b.Hosts[i].Host] = true
	}
	merged := map[events.GPUID]*projections.GPU{}
	for id := range touched {
		merged[id] = v.mergeGPU(id)
	}
	return v.advanceState(b.At, now, merged, hosts)
}

// applyHost takes in what is stored of one host now and marks the GPUs that this may change.
func (v *view) applyHost(s *projections.Stored, touched map[events.GPUID]bool) {
	old := v.models[s.Host]
	if s.Removed {
		delete(v.models, s.Host)
		v.updateKnownHosts(old, nil, touched)
		return
	}
	m := &hostModel{Host: projections.Host{ID: s.Host}, partition: s.Partition}
	if old != nil {
		m.Host = old.Host
	}
	if s.Live != nil {
		m.Live = *s.Live
	}
	if s.Identity != nil {
		m.Identity = *s.Identity
	}
	m.fragments = maps.Collect(m.Fragments())
	v.models[s.Host] = m
	v.updateKnownHosts(old, m, touched)
}

// updateKnownHosts brings seen up to date when a host's model changes, and marks the GPUs of both.
func (v *view) updateKnownHosts(old, now *hostModel, touched map[events.GPUID]bool) {
	if old != nil {
		for id := range old.fragments {
			touched[id] = true
			if now == nil || !hasKey(now.fragments, id) {
				v.forgetGPU(id, old.ID)
			}
		}
	}
	if now == nil {
		return
	}
	for id := range now.fragments {
		touched[id] = true
		hosts := v.hostsByGPU[id]
		if at, found := slices.BinarySearch(hosts, now.ID); !found {
			v.hostsByGPU[id] = slices.Insert(hosts, at, now.ID)
		}
	}
}

func hasKey[K comparable, V any](m map[K]V, k K) bool {
	_, ok := m[k]
	return ok
}

func (v *view) forgetGPU(id events.GPUID, host events.HostID) {
	hosts := slices.DeleteFunc(v.hostsByGPU[id], func(h events.HostID) bool { return h == host })
	if len(hosts) == 0 {
		delete(v.hostsByGPU, id)
		return
	}
	v.hostsByGPU[id] = hosts
}

// mergeGPU gives a GPU as its hosts know it, nil when none does.
func (v *view) mergeGPU(id events.GPUID) *projections.GPU {
	hosts := v.hostsByGPU[id]
	if len(hosts) == 0 {
		return nil
	}
	fragments := make([]projections.Fragment, len(hosts))
	for i, h := range hosts {
		fragments[i] = v.models[h].fragments[id]
	}
	return projections.MergeGPU(id, fragments)
}

// hasReached tells whether everything that was folded in another view is folded in this one.
func (v *view) hasReached(with map[events.Partition]projections.Offsets) bool {
	for p, o := range with {
		mine := v.offsets[p]
		if v.offsetNumber(mine.Live) < v.offsetNumber(o.Live) || v.offsetNumber(mine.Series) < v.offsetNumber(o.Series) {
			return false
		}
	}
	return true
}

// offsetNumber is how far a stored offset reaches in this log: one of another log, which the stored models were
// folded from before that was replaced, says nothing of it.
func (v *view) offsetNumber(r events.Revision) int64 {
	if !r.SameLog(events.Revision{Epoch: v.facts.Epoch, Cluster: v.facts.Cluster}) {
		return 0
	}
	return r.Number
}

// continueFrom makes this view the one that follows prev: readers of prev are given only what differs. What prev had
// folded, this one has, in another generation too: its offsets have reached those of prev (caughtUp), and from
// there to where prev was quiet the log holds nothing.
func (v *view) continueFrom(prev *State, now time.Time) *change {
	at := v.state.at
	merged := make(map[events.GPUID]*projections.GPU, len(v.hostsByGPU))
	for _, e := range prev.entries {
		merged[e.gpu.ID] = nil
	}
	for _, e := range v.state.entries {
		merged[e.gpu.ID] = e.gpu
	}
	hosts := make(map[events.HostID]bool, len(v.models))
	for _, h := range prev.hosts {
		hosts[h.ID] = true
	}
	for id := range v.models {
		hosts[id] = true
	}
	next := *prev
	for p, at := range prev.partitionsFolded {
		v.caughtUpTo[events.Partition(p)] = at.Number
	}
	if prev.generation != v.state.generation || !prev.isLoaded() {
		next.generation, next.generationSwitches = v.state.generation, append(slices.Clip(prev.generationSwitches), max(at.Number, prev.at.Number))
	}
	v.state = &next
	return v.advanceState(at, now, merged, hosts)
}

// advanceState makes the next State from the GPUs and hosts that may have changed (a nil GPU is gone) and gives
// what did.
func (v *view) advanceState(at events.Revision, now time.Time, merged map[events.GPUID]*projections.GPU, hosts map[events.HostID]bool) *change {
	prev := v.state
	if revisionBefore(at, prev.at) {
		at = prev.at // a position never goes back
	}
	d := difference{at: at.Number, hosts: hosts}
	for id, gpu := range merged {
		d.addGPU(prev.findEntry(id), gpu)
	}
	d.sortLists()
	next := *prev
	next.asOf = now
	next.partitionsFolded = v.partitionsFolded()
	next.streamPosition = streamPosition{at: at, token: tokenOf(prev.generation, at), folded: lowestRevision(next.partitionsFolded, prev.folded)}
	next.gpus = spliceSorted(prev.gpus, gpusOf(d.removed, orderGPU), gpusOf(d.added, orderGPU), orderGPU)
	next.entries = spliceSorted(prev.entries, d.removed, d.added, orderEntry)
	next.hosts = v.updateHosts(prev, &d)
	next.keepDepartures(d.departures)
	v.state = &next
	return &change{streamPosition: next.streamPosition, entries: d.changed, departures: d.departures}
}

// keepDepartures notes what left, within the bound.
func (s *State) keepDepartures(gone []departure) {
	if len(gone) == 0 {
		return
	}
	if len(s.departures)+len(gone) > maxDepartures {
		drop := min(len(s.departures), max(maxDepartures/2, len(gone)))
		if drop > 0 {
			s.departuresSince = s.departures[drop-1].at
		}
		s.departures = slices.Clone(s.departures[drop:])
	}
	s.departures = append(s.departures, gone...) // earlier States see no further than their own length
}

// updateHosts gives the sorted hosts with those of the difference made anew.
func (v *view) updateHosts(prev *State, d *difference) []*Host {
	byHost := map[events.HostID][]*entry{}
	for _, e := range d.added {
		byHost[e.gpu.Host] = append(byHost[e.gpu.Host], e)
	}
	var gone, fresh []*Host
	for id := range d.hosts {
		old, _ := prev.Host(id)
		if old != nil {
			gone = append(gone, old)
		}
		if m := v.models[id]; m != nil {
			fresh = append(fresh, m.hostView(old, d.removed, byHost[id]))
		}
	}
	slices.SortFunc(gone, orderHost)
	slices.SortFunc(fresh, orderHost)
	return spliceSorted(prev.hosts, gone, fresh, orderHost)
}

// hostView makes the view of a host that follows old (nil: none): its entries without those gone and with those
// that are fresh.
func (m *hostModel) hostView(old *Host, gone, fresh []*entry) *Host {
	h := &Host{Host: m.Host, Partition: m.partition, entries: slices.Clone(fresh)}
	h.FirstSeen, _ = m.FirstSeen()
	h.LastSeen, _ = m.LastSeen()
	if old != nil {
		for _, e := range old.entries {
			if _, replaced := slices.BinarySearchFunc(gone, e, orderEntry); !replaced {
				h.entries = append(h.entries, e)
			}
		}
	}
	slices.SortFunc(h.entries, orderEntry)
	h.GPUs = gpusOf(h.entries, orderGPU)
	return h
}
