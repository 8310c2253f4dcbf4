package live

import (
	"cmp"
	"slices"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// difference collects what is not as it was.
type difference struct {
	at          int64
	gone, fresh []*entry // to take out of the State and to put in; sorted by orderEntry
	changed     []*entry // of fresh, those with readings that changed; sorted by (host, id)
	left        []left   // sorted by GPU
	hosts       map[events.HostID]bool
}

// gpu notes how a GPU follows its entry.
func (d *difference) gpu(old *entry, gpu *projections.GPU) {
	switch {
	case old == nil && gpu == nil:
		return
	case gpu == nil:
		d.gone = append(d.gone, old)
		d.hosts[old.gpu.Host] = true
		d.left = append(d.left, left{at: d.at, gpu: old.gpu.ID, host: old.gpu.Host, whole: true})
		return
	}
	e, gone := advance(old, gpu, d.at)
	if e == old {
		return
	}
	if old != nil {
		d.gone = append(d.gone, old)
		d.hosts[old.gpu.Host] = true
	}
	if gone != nil {
		d.left = append(d.left, *gone)
	}
	d.fresh = append(d.fresh, e)
	d.hosts[gpu.Host] = true
	if e.changed == d.at && len(e.marks) > 0 {
		d.changed = append(d.changed, e)
	}
}

func (d *difference) sort() {
	slices.SortFunc(d.gone, orderEntry)
	slices.SortFunc(d.fresh, orderEntry)
	slices.SortFunc(d.changed, func(a, b *entry) int {
		return cmp.Or(cmp.Compare(a.gpu.Host, b.gpu.Host), orderEntry(a, b))
	})
	slices.SortFunc(d.left, func(a, b left) int { return cmp.Compare(a.gpu, b.gpu) })
}

func gpusOf(entries []*entry, order func(a, b *projections.GPU) int) []*projections.GPU {
	out := make([]*projections.GPU, len(entries))
	for i, e := range entries {
		out[i] = e.gpu
	}
	slices.SortFunc(out, order)
	return out
}
