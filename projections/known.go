package projections

import (
	"maps"
	"slices"
	"strings"

	"telemetry-pipeline/events"
)

// replaceIdentity adds GPUs, their fields and windows that are new or were seen earlier than known, and reports whether
// there are any.
func (f *fold) replaceIdentity() bool {
	gpus, changed := f.mergeKnown()
	windows := f.host.Identity.Windows
	for _, p := range [...]*pieces{&f.fresh, &f.late} {
		for w := range p.windows {
			var added bool
			windows, added = addWindow(windows, w)
			changed = changed || added
		}
	}
	f.host.Identity = Identity{GPUs: gpus, Windows: windows, Joined: f.host.Identity.Joined}
	return changed || f.joined
}

func (f *fold) mergeKnown() (gpus []KnownGPU, changed bool) {
	gpus = f.host.Identity.GPUs
	fresh := map[events.GPUID]*KnownGPU{}
	for i := range f.subjects {
		sub := &f.subjects[i]
		if sub.slot == nil || len(sub.windows) == 0 { // all its records were refused
			continue
		}
		entity := sub.slot.now.Entity
		if at, ok := findKnown(gpus, entity.GPU); ok {
			if k, differs := gpus[at].withRecords(&f.ev.Identities[i], entity.Part, sub.windows); differs {
				if !changed {
					gpus, changed = slices.Clone(gpus), true
				}
				gpus[at] = k
			}
			continue
		}
		k := fresh[entity.GPU]
		if k == nil {
			k = &KnownGPU{Name: entity.GPU, FirstSeen: sub.windows[0]}
			fresh[entity.GPU] = k
		}
		*k, _ = k.withRecords(&f.ev.Identities[i], entity.Part, sub.windows)
	}
	if len(fresh) == 0 {
		return gpus, changed
	}
	all := make([]KnownGPU, 0, len(gpus)+len(fresh))
	for _, name := range slices.Sorted(maps.Keys(fresh)) {
		at, _ := findKnown(gpus, name)
		all = append(append(all, gpus[:at]...), *fresh[name])
		gpus = gpus[at:]
	}
	return append(all, gpus...), true
}

// withRecords returns k with an identity's records, of which the earliest of each window are given.
func (k KnownGPU) withRecords(id *events.Identity, part string, windows []events.Timestamp) (_ KnownGPU, changed bool) {
	note := func(differs bool) { changed = changed || differs }
	if windows[0] < k.FirstSeen {
		k.FirstSeen, changed = windows[0], true
	}
	var differs bool
	for _, first := range windows {
		k.Windows, differs = addWindow(k.Windows, WindowOf(first))
		note(differs)
		if IsProcess(part) {
			k.Listed, differs = addWindow(k.Listed, WindowOf(first))
			note(differs)
		}
		if NamesWorkload(id) {
			k.Stated, differs = addWindow(k.Stated, WindowOf(first))
			note(differs)
		}
		EachGPUField(id, func(f Field, text string) {
			k.Runs, differs = addRun(k.Runs, f, text, first)
			note(differs)
		})
	}
	if !IsProcess(part) {
		k.Parts, differs = addPart(k.Parts, part, windows[0])
		note(differs)
	}
	return k, changed
}

// addPart adds a part that was seen at an instant. The argument is not changed; changed is false when that was known.
func addPart(parts []KnownPart, name string, at events.Timestamp) (all []KnownPart, changed bool) {
	i, found := slices.BinarySearchFunc(parts, name, func(p KnownPart, name string) int { return strings.Compare(p.Name, name) })
	if found && parts[i].FirstSeen <= at {
		return parts, false
	}
	all = slices.Clone(parts)
	if found {
		all[i].FirstSeen = at
		return all, true
	}
	return slices.Insert(all, i, KnownPart{Name: name, FirstSeen: at}), true
}
