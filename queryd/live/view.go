package live

import (
	"maps"
	"slices"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// maxLeft bounds State.left; half of it is dropped when it is full.
const maxLeft = 4096

// view folds stored changes into States. One goroutine uses it.
type view struct {
	facts   events.Facts
	models  map[events.HostID]*model
	seen    map[events.GPUID][]events.HostID // the hosts that know a GPU, sorted
	offsets map[events.Partition]projections.Offsets
	quiet   map[events.Partition]int64 // up to here a partition has no event that its offsets lack
	state   *State
}

// model is what is stored of one host, and its share of each of its GPUs.
type model struct {
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
		models:  map[events.HostID]*model{},
		seen:    map[events.GPUID][]events.HostID{},
		offsets: map[events.Partition]projections.Offsets{},
		quiet:   map[events.Partition]int64{},
		state:   &State{generation: g, place: place{at: start, folded: start, token: tokenOf(g, start)}},
	}
	v.state.folds = v.folds()
	return v
}

// apply folds a batch and gives what changed. The cost is that of the changed hosts' GPUs, and one copy of
// the sorted slices.
func (v *view) apply(b projections.Batch, now time.Time) *change {
	maps.Copy(v.offsets, b.Offsets)
	touched := map[events.GPUID]bool{}
	hosts := map[events.HostID]bool{}
	for i := range b.Hosts {
		v.host(&b.Hosts[i], touched)
		hosts[b.Hosts[i].Host] = true
	}
	merged := map[events.GPUID]*projections.GPU{}
	for id := range touched {
		merged[id] = v.merge(id)
	}
	return v.advance(b.At, now, merged, hosts)
}

// host takes in what is stored of one host now and marks the GPUs that this may change.
func (v *view) host(s *projections.Stored, touched map[events.GPUID]bool) {
	old := v.models[s.Host]
	if s.Removed {
		delete(v.models, s.Host)
		v.know(old, nil, touched)
		return
	}
	m := &model{Host: projections.Host{ID: s.Host}, partition: s.Partition}
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
	v.know(old, m, touched)
}

// know brings seen up to date when a host's model changes, and marks the GPUs of both.
func (v *view) know(old, now *model, touched map[events.GPUID]bool) {
	if old != nil {
		for id := range old.fragments {
			touched[id] = true
			if now == nil || !has(now.fragments, id) {
				v.forget(id, old.ID)
			}
		}
	}
	if now == nil {
		return
	}
	for id := range now.fragments {
		touched[id] = true
		hosts := v.seen[id]
		if at, found := slices.BinarySearch(hosts, now.ID); !found {
			v.seen[id] = slices.Insert(hosts, at, now.ID)
		}
	}
}

func has[K comparable, V any](m map[K]V, k K) bool {
	_, ok := m[k]
	return ok
}

func (v *view) forget(id events.GPUID, host events.HostID) {
	hosts := slices.DeleteFunc(v.seen[id], func(h events.HostID) bool { return h == host })
	if len(hosts) == 0 {
		delete(v.seen, id)
		return
	}
	v.seen[id] = hosts
}

// merge gives a GPU as its hosts know it, nil when none does.
func (v *view) merge(id events.GPUID) *projections.GPU {
	hosts := v.seen[id]
	if len(hosts) == 0 {
		return nil
	}
	fragments := make([]projections.Fragment, len(hosts))
	for i, h := range hosts {
		fragments[i] = v.models[h].fragments[id]
	}
	return projections.MergeGPU(id, fragments)
}

// caughtUp tells whether everything that was folded in another view is folded in this one.
func (v *view) caughtUp(with map[events.Partition]projections.Offsets) bool {
	for p, o := range with {
		mine := v.offsets[p]
		if v.number(mine.Live) < v.number(o.Live) || v.number(mine.Series) < v.number(o.Series) {
			return false
		}
	}
	return true
}

// number is how far a stored offset reaches in this log: one of another log, which the stored models were
// folded from before that was replaced, says nothing of it.
func (v *view) number(r events.Revision) int64 {
	if !r.SameLog(events.Revision{Epoch: v.facts.Epoch, Cluster: v.facts.Cluster}) {
		return 0
	}
	return r.Number
}

// adopt makes this view the one that follows prev: readers of prev are given only what differs. What prev had
// folded, this one has, in another generation too: its offsets have reached those of prev (caughtUp), and from
// there to where prev was quiet the log holds nothing.
func (v *view) adopt(prev *State, now time.Time) *change {
	at := v.state.at
	merged := make(map[events.GPUID]*projections.GPU, len(v.seen))
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
	for p, at := range prev.folds {
		v.quiet[events.Partition(p)] = at.Number
	}
	if prev.generation != v.state.generation || !prev.loaded() {
		next.generation, next.eras = v.state.generation, append(slices.Clip(prev.eras), max(at.Number, prev.at.Number))
	}
	v.state = &next
	return v.advance(at, now, merged, hosts)
}

// advance makes the next State from the GPUs and hosts that may have changed (a nil GPU is gone) and gives
// what did.
func (v *view) advance(at events.Revision, now time.Time, merged map[events.GPUID]*projections.GPU, hosts map[events.HostID]bool) *change {
	prev := v.state
	if before(at, prev.at) {
		at = prev.at // a position never goes back
	}
	d := difference{at: at.Number, hosts: hosts}
	for id, gpu := range merged {
		d.gpu(prev.entry(id), gpu)
	}
	d.sort()
	next := *prev
	next.asOf = now
	next.folds = v.folds()
	next.place = place{at: at, token: tokenOf(prev.generation, at), folded: lowest(next.folds, prev.folded)}
	next.gpus = splice(prev.gpus, gpusOf(d.gone, orderGPU), gpusOf(d.fresh, orderGPU), orderGPU)
	next.entries = splice(prev.entries, d.gone, d.fresh, orderEntry)
	next.hosts = v.hosts(prev, &d)
	next.keep(d.left)
	v.state = &next
	return &change{place: next.place, entries: d.changed, left: d.left}
}

// keep notes what left, within the bound.
func (s *State) keep(gone []left) {
	if len(gone) == 0 {
		return
	}
	if len(s.left)+len(gone) > maxLeft {
		drop := min(len(s.left), max(maxLeft/2, len(gone)))
		if drop > 0 {
			s.kept = s.left[drop-1].at
		}
		s.left = slices.Clone(s.left[drop:])
	}
	s.left = append(s.left, gone...) // earlier States see no further than their own length
}

// hosts gives the sorted hosts with those of the difference made anew.
func (v *view) hosts(prev *State, d *difference) []*Host {
	byHost := map[events.HostID][]*entry{}
	for _, e := range d.fresh {
		byHost[e.gpu.Host] = append(byHost[e.gpu.Host], e)
	}
	var gone, fresh []*Host
	for id := range d.hosts {
		old, _ := prev.Host(id)
		if old != nil {
			gone = append(gone, old)
		}
		if m := v.models[id]; m != nil {
			fresh = append(fresh, m.host(old, d.gone, byHost[id]))
		}
	}
	slices.SortFunc(gone, orderHost)
	slices.SortFunc(fresh, orderHost)
	return splice(prev.hosts, gone, fresh, orderHost)
}

// host makes the view of a host that follows old (nil: none): its entries without those gone and with those
// that are fresh.
func (m *model) host(old *Host, gone, fresh []*entry) *Host {
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
