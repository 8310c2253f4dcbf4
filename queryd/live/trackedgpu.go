package live

import (
	"reflect"
	"slices"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// trackedGPU is a GPU of a State with the position at which each of its readings last changed. Immutable.
type trackedGPU struct {
	namedGPU
	lastChanged int64   // the newest of changedAt
	changedAt   []int64 // per reading: the GPU's own, then its parts' in order
}

// departure records that a GPU left a host or lost a name, or (voided) that its earlier readings no longer hold.
type departure struct {
	at       int64
	namedGPU // as it was
	voided   bool
}

// advanceTracked returns the entry that follows old (nil: none) for gpu at a position, and old itself if nothing
// differs. All readings of a GPU that moved, has other names or lost readings count as changed, so that a reader can start
// again with it.
func advanceTracked(old *trackedGPU, gpu namedGPU, at int64) (e *trackedGPU, gone *departure) {
	if old == nil {
		return newTracked(gpu, at), nil
	}
	e, how := updateTracked(old, gpu, at)
	if how.lost || !old.hasSameNames(gpu) {
		return newTracked(gpu, at), &departure{at: at, namedGPU: old.namedGPU, voided: how.lost}
	}
	if !how.changed && sameGPU(old.gpu, gpu.gpu) {
		return old, nil
	}
	return e, nil
}

// newTracked returns an entry whose readings all changed at a position.
func newTracked(gpu namedGPU, at int64) *trackedGPU {
	n := len(gpu.gpu.Latest)
	for _, p := range gpu.gpu.Parts {
		n += len(p.Latest)
	}
	return &trackedGPU{namedGPU: gpu, lastChanged: at, changedAt: slices.Repeat([]int64{at}, n)}
}

// trackedDiff is the difference between two lists of readings: some changed (or are new), some are no longer there.
type trackedDiff struct{ changed, lost bool }

func (s trackedDiff) mergedWith(t trackedDiff) trackedDiff {
	return trackedDiff{s.changed || t.changed, s.lost || t.lost}
}

// updateTracked returns an entry of gpu with old's position for each equal reading, and the position at for all others.
func updateTracked(old *trackedGPU, named namedGPU, at int64) (*trackedGPU, trackedDiff) {
	gpu := named.gpu
	e := &trackedGPU{namedGPU: named, lastChanged: old.lastChanged, changedAt: make([]int64, 0, len(old.changedAt))}
	positions, parts := old.changedAt, old.gpu.Parts
	how := e.appendChangedAt(old.gpu.Latest, gpu.Latest, positions, at)
	positions = positions[len(old.gpu.Latest):]
	for _, p := range gpu.Parts {
		for len(parts) > 0 && parts[0].Name < p.Name {
			how.lost, positions, parts = true, positions[len(parts[0].Latest):], parts[1:]
		}
		var before []projections.Latest
		if len(parts) > 0 && parts[0].Name == p.Name {
			before, parts = parts[0].Latest, parts[1:]
		}
		how = how.mergedWith(e.appendChangedAt(before, p.Latest, positions, at))
		positions = positions[len(before):]
	}
	how.lost = how.lost || len(parts) > 0
	if how.changed {
		e.lastChanged = at
	}
	return e, how
}

// appendChangedAt appends the positions of the readings in now; positions holds the position of each
// reading in before.
func (e *trackedGPU) appendChangedAt(before, now []projections.Latest, positions []int64, at int64) (how trackedDiff) {
	i := 0
	for _, r := range now {
		for i < len(before) && before[i].Metric < r.Metric {
			how.lost, i = true, i+1
		}
		same := i < len(before) && before[i] == r
		if same {
			e.changedAt = append(e.changedAt, positions[i])
		} else {
			e.changedAt, how.changed = append(e.changedAt, at), true
		}
		if i < len(before) && before[i].Metric == r.Metric {
			i++
		}
	}
	how.lost = how.lost || i < len(before)
	return how
}

// appendItems appends the readings that f selects and that changed after a position.
func (e *trackedGPU) appendItems(dst []Item, f *filter, after int64) []Item {
	if e.lastChanged <= after {
		return dst
	}
	g, positions := e.gpu, e.changedAt
	dst = appendItem(dst, Item{GPU: g.ID, Host: g.Host}, f.selectReadings(g.Latest, positions, after))
	positions = positions[len(g.Latest):]
	for _, p := range g.Parts {
		dst = appendItem(dst, Item{GPU: g.ID, Part: p.Name, Host: g.Host}, f.selectReadings(p.Latest, positions, after))
		positions = positions[len(p.Latest):]
	}
	return dst
}

func appendItem(dst []Item, item Item, readings []projections.Latest) []Item {
	if len(readings) == 0 {
		return dst
	}
	item.At, item.Readings = readings[0].At, readings
	for _, r := range readings[1:] {
		item.At = max(item.At, r.At)
	}
	return append(dst, item)
}

// sameGPU reports whether two GPUs with the same readings are equal in everything else.
func sameGPU(a, b *projections.GPU) bool {
	return a.LastSeen == b.LastSeen && a.FirstSeen == b.FirstSeen && slices.Equal(a.Hosts, b.Hosts) &&
		slices.Equal(a.Conflict, b.Conflict) && sameIdentity(a.Identity, b.Identity) && slices.EqualFunc(a.Parts, b.Parts, samePart)
}

func samePart(a, b projections.Part) bool {
	return a.Name == b.Name && a.LastSeen == b.LastSeen && sameIdentity(a.Identity, b.Identity)
}

func sameIdentity(a, b events.Identity) bool {
	if !slices.Equal(a.Labels, b.Labels) {
		return false
	}
	a.Labels, b.Labels = nil, nil
	return reflect.DeepEqual(a, b)
}
