package live

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/projections"
)

// maxDepartures bounds State.departures; half of it is dropped when it is full.
const maxDepartures = 4096

// view folds stored changes into States. One goroutine uses it.
type view struct {
	facts      events.Facts
	scope      access.Scope           // nothing outside of it exists in the view
	whole      *view                  // of a scope by namespace: the view of all on its hosts, whose models it selects from
	changed    map[events.HostID]bool // by the last batch, at least
	models     map[events.HostID]*hostModel
	hostsByGPU map[events.GPUID][]events.HostID   // the hosts whose records have a GPU's name, sorted
	conflicts  map[events.GPUID][]events.GPUID    // by GPU: the ids under which other hosts have it too
	shared     map[events.GPUID]bool              // the GPUs whose names several hosts have, or had before the batch
	releases   map[events.HostID]events.Timestamp // when the next readings ahead of their time come
	clock      events.Timestamp                   // the newest append of any host: by it the time of readings comes, in each server at the same position
	offsets    map[events.Partition]projections.Offsets
	unreadable map[string]projections.Unreadable // stored values that are missing in the view, by key
	caughtUpTo map[events.Partition]int64        // up to here a partition has no event that its offsets lack
	state      *State
}

// hostModel is one host's models, and its share of each of its GPUs. Its Live has the readings whose time has come.
type hostModel struct {
	projections.Host
	stored    projections.Live
	partition events.Partition
	names     *projections.Names
	shares    []gpuShare // sorted by GPU
}

// gpuShare is a host's share of a GPU.
type gpuShare struct {
	gpu      events.GPUID
	fragment projections.Fragment
}

// findShare returns the host's share of a GPU, an empty fragment when it has none.
func (m *hostModel) findShare(id events.GPUID) (projections.Fragment, bool) {
	i, ok := slices.BinarySearchFunc(m.shares, id, func(s gpuShare, id events.GPUID) int { return cmp.Compare(s.gpu, id) })
	if !ok {
		return projections.Fragment{}, false
	}
	return m.shares[i].fragment, true
}

// newView returns an empty view at the beginning of the log, to which a generation's Load is applied.
func newView(facts events.Facts, g projections.Generation, scope access.Scope) *view {
	start := events.Revision{Epoch: facts.Epoch, Cluster: facts.Cluster}
	stream := streamOf(g, scope)
	v := &view{
		facts:      facts,
		scope:      scope,
		models:     map[events.HostID]*hostModel{},
		hostsByGPU: map[events.GPUID][]events.HostID{},
		conflicts:  map[events.GPUID][]events.GPUID{},
		shared:     map[events.GPUID]bool{},
		releases:   map[events.HostID]events.Timestamp{},
		offsets:    map[events.Partition]projections.Offsets{},
		unreadable: map[string]projections.Unreadable{},
		caughtUpTo: map[events.Partition]int64{},
		state:      &State{generation: g, scope: scope, stream: stream, streamPosition: streamPosition{at: start, folded: start, token: tokenOf(stream, start)}},
	}
	v.state.partitionsFolded = v.partitionsFolded()
	return v
}

// applyBatch folds a batch and returns the change. It costs a merge of the changed hosts' GPUs, and one copy of the
// sorted slices.
func (v *view) applyBatch(b projections.Batch, now time.Time) *change {
	return v.applyVisible(v.selectVisible(b), now)
}

// applyVisible is applyBatch for a batch that has only what the scope selects.
func (v *view) applyVisible(b projections.Batch, now time.Time) *change {
	maps.Copy(v.offsets, b.Offsets)
	v.noteUnreadable(&b)
	gpus := 0 // about how many the batch has
	for i := range b.Hosts {
		if l := b.Hosts[i].Live; l != nil {
			v.clock = max(v.clock, l.Appended)
			gpus += l.CountGPUs()
		}
	}
	if len(v.models) == 0 {
		v.models, v.hostsByGPU = make(map[events.HostID]*hostModel, len(b.Hosts)), make(map[events.GPUID][]events.HostID, gpus)
	}
	touched, hosts := make(map[events.GPUID]bool, gpus), make(map[events.HostID]bool, len(b.Hosts))
	for i := range b.Hosts {
		v.applyHost(&b.Hosts[i], touched)
		hosts[b.Hosts[i].Host] = true
	}
	if b.At.Number > v.state.at.Number { // else there is no position for it
		v.releaseReadings(touched, hosts)
	}
	v.updateAway(touched, hosts)
	merged := make(map[events.GPUID]*projections.GPU, len(touched))
	for id := range touched {
		v.mergeGPU(id, merged)
	}
	v.changed = hosts
	c := v.advanceState(b.At, now, merged, hosts)
	if !c.isEmpty() {
		c.trace = b.Trace
		v.state.noteTrace(b.Trace)
	}
	return c
}

// applyHost replaces a host's stored models and adds the GPUs that this may change to touched.
func (v *view) applyHost(s *projections.Stored, touched map[events.GPUID]bool) {
	old := v.models[s.Host]
	if s.Removed {
		delete(v.models, s.Host)
		delete(v.releases, s.Host)
		v.updateKnownHosts(old, nil, touched)
		return
	}
	m := &hostModel{Host: projections.Host{ID: s.Host}, partition: s.Partition}
	if old != nil {
		m.Host, m.stored, m.names, m.shares = old.Host, old.stored, old.names, old.shares
	}
	if s.Live != nil {
		m.stored = *s.Live
	}
	if s.Identity != nil {
		m.Identity = *s.Identity
		m.names = m.Identity.Names(s.Host).WithAway(m.names.Away())
	}
	v.replaceModel(old, m, touched)
}

// replaceModel replaces a host's model (nil: none before), and adds the GPUs that this may change to touched.
func (v *view) replaceModel(old, m *hostModel, touched map[events.GPUID]bool) {
	v.showReadings(m)
	v.models[m.ID] = m
	v.updateKnownHosts(old, m, touched)
}

// showReadings sets the readings of a host that are shown from now on.
func (v *view) showReadings(m *hostModel) {
	var next events.Timestamp
	var more bool
	if m.Live, next, more = m.stored.Release(v.clock); more {
		v.releases[m.ID] = next
	} else {
		delete(v.releases, m.ID)
	}
	m.shares = make([]gpuShare, 0, len(m.shares)) // mostly as many as before
	for id, f := range m.Fragments(m.names) {
		m.shares = append(m.shares, gpuShare{id, f})
	}
	slices.SortFunc(m.shares, func(a, b gpuShare) int { return cmp.Compare(a.gpu, b.gpu) })
}

// releaseReadings shows readings whose time has come since.
func (v *view) releaseReadings(touched map[events.GPUID]bool, hosts map[events.HostID]bool) {
	for id, at := range v.releases {
		if at > v.clock {
			continue
		}
		old := v.models[id]
		m := *old
		v.replaceModel(old, &m, touched)
		hosts[id] = true
	}
}

// hasReached reports whether this view has folded everything that another view's offsets cover.
func (v *view) hasReached(with map[events.Partition]projections.Offsets) bool {
	for p, o := range with {
		mine := v.offsets[p]
		if v.offsetNumber(mine.Live) < v.offsetNumber(o.Live) || v.offsetNumber(mine.Series) < v.offsetNumber(o.Series) {
			return false
		}
	}
	return true
}

// offsetNumber returns a stored offset's number in this log, and 0 for an offset of another log: the stored models
// may be older than a replacement of the log.
func (v *view) offsetNumber(r events.Revision) int64 {
	if !r.SameLog(events.Revision{Epoch: v.facts.Epoch, Cluster: v.facts.Cluster}) {
		return 0
	}
	return r.Number
}

// continueFrom makes this view the successor of prev, so that readers of prev receive only the differences.
// Everything folded in prev is folded here, in another generation too: the offsets have reached those in prev
// (hasReached), and from there to the position up to which prev was caught up the log has no events.
func (v *view) continueFrom(prev *State, now time.Time) *change {
	at := v.state.at
	merged := make(map[events.GPUID]*projections.GPU, len(v.hostsByGPU))
	for e := range prev.entries.all() {
		merged[e.gpu.ID] = nil
	}
	for e := range v.state.entries.all() {
		merged[e.gpu.ID] = e.gpu
	}
	hosts := make(map[events.HostID]bool, len(v.models))
	for h := range prev.hosts.all() {
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
		next.generation, next.stream = v.state.generation, v.state.stream
		next.generationSwitches = append(slices.Clip(prev.generationSwitches), max(at.Number, prev.at.Number))
	}
	v.state = &next
	c := v.advanceState(at, now, merged, hosts)
	if prev.isLoaded() {
		v.state.addLeap(prev.at.Number)
	}
	return c
}

// advanceState creates the next State from the GPUs and hosts that may have changed (a nil GPU is gone) and returns
// the change.
func (v *view) advanceState(at events.Revision, now time.Time, merged map[events.GPUID]*projections.GPU, hosts map[events.HostID]bool) *change {
	prev := v.state
	if revisionBefore(at, prev.at) {
		at = prev.at // a position never goes back
	}
	d := difference{at: at.Number, hosts: hosts}
	has, replaced := assignSlots(prev, merged)
	for id, gpu := range merged {
		d.addGPU(replaced[id], namedGPU{gpu, has[gpu]})
	}
	d.sortLists()
	if prev.isLoaded() { // else it has no readers
		d.sortChanged()
	}
	next := *prev
	next.asOf, next.unreadable = now, v.listUnreadable()
	next.partitionsFolded, next.hotFrom = v.partitionsFolded(), v.hotFrom()
	next.streamPosition = streamPosition{at: at, token: tokenOf(prev.stream, at), folded: lowestRevision(next.partitionsFolded, prev.folded)}
	next.gpus = prev.gpus.splice(gpusOf(d.removed, orderGPU), gpusOf(d.added, orderGPU), orderGPU)
	next.entries = prev.entries.splice(d.removed, d.added, orderTracked)
	v.updateHosts(prev, &d, &next)
	if v.whole != nil {
		next.whole = v.whole.state
	}
	next.keepDepartures(d.departures)
	v.state = &next
	return &change{streamPosition: next.streamPosition, entries: d.changed, departures: d.departures}
}

// keepDepartures appends departures, within the bound.
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

// updateHosts sets the sorted hosts of next and their totals, with new views of the hosts in the difference.
func (v *view) updateHosts(prev *State, d *difference, next *State) {
	byHost := map[events.HostID][]*trackedGPU{}
	for _, e := range d.added {
		byHost[e.gpu.Host] = append(byHost[e.gpu.Host], e)
	}
	var gone, fresh []*Host
	for id := range d.hosts {
		old, _ := prev.findHost(id)
		if old != nil {
			gone = append(gone, old)
		}
		if m := v.models[id]; m != nil {
			fresh = append(fresh, m.hostView(old, d.removed, byHost[id]))
		}
	}
	slices.SortFunc(gone, orderHost)
	slices.SortFunc(fresh, orderHost)
	next.hosts = prev.hosts.splice(gone, fresh, orderHost)
	left := func(h *Host) bool { return !h.isShown() }
	if prev.shown.length == prev.hosts.length && !slices.ContainsFunc(fresh, left) { // mostly: no host left
		next.shown = next.hosts
	} else {
		next.shown = prev.shown.splice(slices.DeleteFunc(slices.Clone(gone), left), slices.DeleteFunc(slices.Clone(fresh), left), orderHost)
	}
	updateTotals(prev, next, gone, fresh)
}

// hostView returns the view of a host that follows old (nil: none): its entries without gone and with fresh.
func (m *hostModel) hostView(old *Host, gone, fresh []*trackedGPU) *Host {
	h := &Host{Host: m.Host, Names: m.names, Partition: m.partition, entries: slices.Clone(fresh)}
	h.FirstSeen, _ = m.FirstSeen()
	h.LastSeen, _ = m.LastSeen()
	if old != nil {
		for _, e := range old.entries {
			if _, replaced := slices.BinarySearchFunc(gone, e, orderTracked); !replaced {
				h.entries = append(h.entries, e)
			}
		}
	}
	slices.SortFunc(h.entries, orderTracked)
	h.lastChanged = math.MinInt64
	for _, e := range h.entries {
		h.lastChanged = max(h.lastChanged, e.lastChanged)
	}
	h.GPUs = gpusOf(h.entries, orderGPU)
	return h
}
