package live

import (
	"iter"
	"maps"
	"slices"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// updateKnownHosts updates hostsByGPU after a host's model changed, and adds the GPUs that this may change to touched: those
// with readings in one of the models, and those whose names other hosts' records have too.
func (v *view) updateKnownHosts(old, now *hostModel, touched map[events.GPUID]bool) {
	if old != nil {
		for id, shown := range old.namesUnlike(now) {
			if now == nil || !now.knows(id) {
				v.forgetGPU(id, old.ID)
			}
			if shown || len(v.hostsByGPU[id]) > 0 {
				touched[id] = true
			}
		}
	}
	if now == nil {
		return
	}
	for id, shown := range now.namesUnlike(old) {
		hosts := v.hostsByGPU[id]
		if at, found := slices.BinarySearch(hosts, now.ID); !found {
			hosts = slices.Insert(hosts, at, now.ID)
			v.hostsByGPU[id] = hosts
			if len(hosts) > 1 {
				v.shared[id] = true
			}
		}
		if shown || len(hosts) > 1 {
			touched[id] = true
		}
	}
	for id := range now.names.Away() {
		touched[id] = true
	}
}

// namesUnlike yields the GPUs of the host with readings, and the other names in its records unless these are the same in
// another model (nil: none).
func (m *hostModel) namesUnlike(other *hostModel) iter.Seq2[events.GPUID, bool] {
	return func(yield func(id events.GPUID, shown bool) bool) {
		for _, s := range m.shares {
			if !yield(s.gpu, true) {
				return
			}
		}
		known := m.Identity.GPUs
		if len(known) == 0 || other != nil && len(other.Identity.GPUs) == len(known) && &other.Identity.GPUs[0] == &known[0] {
			return
		}
		shares := m.shares
		for i := range known { // both are sorted
			id := known[i].Name
			for len(shares) > 0 && shares[0].gpu < id {
				shares = shares[1:]
			}
			if isShare := len(shares) > 0 && shares[0].gpu == id; !isShare && id != "" && !yield(id, false) {
				return
			}
		}
	}
}

// knows reports whether records of the host have a GPU's name.
func (m *hostModel) knows(id events.GPUID) bool {
	if _, known := m.Identity.Find(id); known {
		return true
	}
	_, has := m.findShare(id)
	return has
}

func (v *view) forgetGPU(id events.GPUID, host events.HostID) {
	hosts := slices.DeleteFunc(v.hostsByGPU[id], func(h events.HostID) bool { return h == host })
	if len(hosts) == 0 {
		delete(v.hostsByGPU, id)
		return
	}
	v.hostsByGPU[id] = hosts
}

// updateAway updates when GPUs that several hosts know were not on one of them, after these GPUs changed, and the hosts whose names
// mean other GPUs by that.
func (v *view) updateAway(touched map[events.GPUID]bool, hosts map[events.HostID]bool) {
	changed := map[events.HostID]map[events.GPUID][]projections.Span{}
	for id := range touched {
		if !v.shared[id] {
			continue
		}
		known, away := v.hostsByGPU[id], projections.Away(id, v.fragments(id))
		if len(known) < 2 {
			delete(v.shared, id)
		}
		for _, host := range known {
			m := v.models[host]
			if m.names == nil || slices.Equal(m.names.Away()[id], away[host]) {
				continue
			}
			if changed[host] == nil {
				changed[host] = maps.Clone(m.names.Away())
				if changed[host] == nil {
					changed[host] = map[events.GPUID][]projections.Span{}
				}
			}
			changed[host][id] = away[host]
		}
	}
	for id, away := range changed {
		maps.DeleteFunc(away, func(_ events.GPUID, spans []projections.Span) bool { return len(spans) == 0 })
		old := v.models[id]
		m := *old
		m.names = old.names.WithAway(away)
		v.replaceModel(old, &m, touched)
		hosts[id] = true
	}
}

// mergeGPU adds a GPU, merged from all hosts that know it, to merged, under each id that it has or had; nil where there is
// none any more.
func (v *view) mergeGPU(id events.GPUID, merged map[events.GPUID]*projections.GPU) {
	if others := v.conflicts[id]; others != nil {
		for _, other := range others {
			merged[other] = nil
		}
		delete(v.conflicts, id)
	}
	all := projections.MergeGPU(id, v.fragments(id))
	if len(all) == 0 {
		merged[id] = nil
	}
	for _, g := range all { // the first one has this id
		merged[g.ID] = g
		if g.ID != id {
			v.conflicts[id] = append(v.conflicts[id], g.ID)
		}
	}
}

// fragments returns the shares of the hosts whose records have a GPU's name, empty ones of hosts without readings of it.
func (v *view) fragments(id events.GPUID) []projections.Fragment {
	hosts := v.hostsByGPU[id]
	all := make([]projections.Fragment, len(hosts))
	for i, h := range hosts {
		m, ok := v.models[h], false
		if all[i], ok = m.findShare(id); !ok {
			all[i] = projections.Fragment{Host: &m.Host, Names: m.names}
		}
	}
	return all
}
