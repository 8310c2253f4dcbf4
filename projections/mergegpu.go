package projections

import (
	"cmp"
	"slices"
	"sort"
	"strings"

	"telemetry-pipeline/events"
)

// Fragment is one host's share of one GPU: its entities there.
type Fragment struct {
	Host     *Host
	Entities []*LiveEntity // the GPU itself and its parts, sorted by Part
}

// MergeGPU returns one GPU merged from the fragments of its hosts, by record time; ties: the smaller host name. It does not
// keep or change its arguments. The fragments' order does not matter.
func MergeGPU(id events.GPUID, fragments []Fragment) *GPU {
	fragments = slices.DeleteFunc(slices.Clone(fragments), func(f Fragment) bool { return len(f.Entities) == 0 })
	slices.SortFunc(fragments, func(a, b Fragment) int { return cmp.Compare(a.Host.ID, b.Host.ID) })
	g := &GPU{ID: id}
	for i := range fragments {
		f := &fragments[i]
		g.Hosts = append(g.Hosts, f.Host.ID)
		g.firstSeen(f, i == 0)
		for _, e := range f.Entities {
			if e.Entity.Part == "" {
				g.Latest = mergeLatest(g.Latest, e.Latest)
			} else {
				g.mergePart(f.Host, e)
			}
		}
		if seen := f.lastSeen(); i == 0 || seen > g.LastSeen {
			g.LastSeen, g.Host, g.Identity = seen, f.Host.ID, f.gpuIdentity()
		}
	}
	return g
}

// firstSeen takes the earliest record time of all the GPU's identities on the fragment's host.
func (g *GPU) firstSeen(f *Fragment, first bool) {
	if first {
		g.FirstSeen = maxTime
	}
	for i := range f.Host.Identity.Known {
		k := &f.Host.Identity.Known[i]
		if k.FirstSeen < g.FirstSeen && k.Identity.Entity(f.Host.ID).GPU == g.ID {
			g.FirstSeen = k.FirstSeen
		}
	}
	if g.FirstSeen == maxTime { // its identity is not there; nothing older is known than the readings
		for _, e := range f.Entities {
			g.FirstSeen = min(g.FirstSeen, e.SeenAt)
		}
	}
}

// lastSeen returns the newest record time of a fragment, which has an entity at least.
func (f *Fragment) lastSeen() events.Timestamp {
	at := f.Entities[0].SeenAt
	for _, e := range f.Entities {
		at = max(at, e.SeenAt)
	}
	return at
}

// gpuIdentity returns the identity of the GPU itself, or else of its newest part (ties: the first) without the part's
// own fields.
func (f *Fragment) gpuIdentity() events.Identity {
	newest := f.Entities[0]
	if newest.Entity.Part == "" {
		return f.Host.identityOf(newest)
	}
	for _, e := range f.Entities {
		if e.SeenAt > newest.SeenAt {
			newest = e
		}
	}
	id := f.Host.identityOf(newest)
	id.Part, id.MIG, id.MIGProfile = "", "", ""
	id.Pod, id.Namespace, id.Container = "", "", ""
	return id
}

// identityOf returns the identity of an entity's newest record.
func (h *Host) identityOf(e *LiveEntity) events.Identity {
	k, ok := h.Identity.Find(e.Identity)
	if !ok {
		return events.Identity{}
	}
	return k.Identity
}

// mergePart takes a part's readings from one more host; hosts come in order of their names.
func (g *GPU) mergePart(h *Host, e *LiveEntity) {
	i, ok := sort.Find(len(g.Parts), func(i int) int { return strings.Compare(e.Entity.Part, g.Parts[i].Name) })
	if !ok {
		g.Parts = slices.Insert(g.Parts, i, Part{Name: e.Entity.Part})
	}
	p := &g.Parts[i]
	if !ok || e.SeenAt > p.LastSeen {
		p.LastSeen, p.Identity = e.SeenAt, h.identityOf(e)
	}
	p.Latest = mergeLatest(p.Latest, e.Latest)
}

// mergeLatest returns the newer reading of each metric; of two at one time the reading of mine. It may change mine,
// and keeps nothing of other but its strings.
func mergeLatest(mine, other []Latest) []Latest {
	if len(mine) == 0 {
		return slices.Clone(other)
	}
	for i := range other {
		at, ok := findMetric(mine, other[i].Metric)
		switch {
		case !ok:
			mine = slices.Insert(mine, at, other[i])
		case other[i].At > mine[at].At:
			mine[at] = other[i]
		}
	}
	return mine
}
