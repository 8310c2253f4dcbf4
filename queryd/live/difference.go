package live

import (
	"cmp"
	"slices"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// difference collects the entries that differ from the previous State.
type difference struct {
	at             int64
	removed, added []*trackedGPU // to remove from the State and to add to it; sorted by orderTracked
	changed        []*trackedGPU // the entries of added that have changed readings; sorted by (host, id)
	departures     []departure   // sorted by GPU
	hosts          map[events.HostID]bool
}

// addGPU records the difference between an entry and the GPU that replaces it.
func (d *difference) addGPU(old *trackedGPU, gpu namedGPU) {
	switch {
	case old == nil && gpu.gpu == nil:
		return
	case gpu.gpu == nil:
		d.removed = append(d.removed, old)
		d.hosts[old.gpu.Host] = true
		d.departures = append(d.departures, departure{at: d.at, namedGPU: old.namedGPU, voided: true})
		return
	}
	e, gone := advanceTracked(old, gpu, d.at)
	if e == old {
		return
	}
	if old != nil {
		d.removed = append(d.removed, old)
		d.hosts[old.gpu.Host] = true
	}
	if gone != nil {
		d.departures = append(d.departures, *gone)
	}
	d.added = append(d.added, e)
	d.hosts[gpu.gpu.Host] = true
	if e.lastChanged == d.at && len(e.changedAt) > 0 {
		d.changed = append(d.changed, e)
	}
}

func (d *difference) sortLists() {
	slices.SortFunc(d.removed, orderTracked)
	slices.SortFunc(d.added, orderTracked)
	slices.SortFunc(d.departures, func(a, b departure) int { return cmp.Compare(a.gpu.ID, b.gpu.ID) })
}

// sortChanged sorts the entries with changed readings, for readers.
func (d *difference) sortChanged() {
	slices.SortFunc(d.changed, func(a, b *trackedGPU) int {
		return cmp.Or(cmp.Compare(a.gpu.Host, b.gpu.Host), orderTracked(a, b))
	})
}

func gpusOf(entries []*trackedGPU, order func(a, b *projections.GPU) int) []*projections.GPU {
	out := make([]*projections.GPU, len(entries))
	for i, e := range entries {
		out[i] = e.gpu
	}
	slices.SortFunc(out, order)
	return out
}
