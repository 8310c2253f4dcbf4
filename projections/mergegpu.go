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
	Names    *Names        // the host's; may be nil
	Entities []*LiveEntity // the GPU itself and its parts, sorted by Part; several of one part under different names
}

// MergeGPU returns one GPU merged from the fragments of its hosts: the newest reading of each metric; ties: the smaller
// host name. It does not change its arguments, and may share their readings. The fragments' order does not matter.
//
// Mostly one host has the GPU, and the others had it before: it went from host to host (tenure.takesFrom). Where several have
// it, each keeps its own: one comes first (comparePrecedence), with the GPU's id and all earlier records, and the GPUs of the
// others have the id "host:uuid" (ConflictID). All of them list the others under Conflict.
func MergeGPU(id events.GPUID, fragments []Fragment) []*GPU {
	if len(fragments) > 1 {
		fragments = slices.DeleteFunc(slices.Clone(fragments), func(f Fragment) bool { return len(f.Entities) == 0 })
		slices.SortFunc(fragments, func(a, b Fragment) int { return cmp.Compare(a.Host.ID, b.Host.ID) })
	}
	switch {
	case len(fragments) == 0 || len(fragments[0].Entities) == 0:
		return nil
	case len(fragments) == 1:
		return []*GPU{mergeFragments(id, &fragments[0], fragments)}
	}
	holders, before := splitHolders(id, fragments)
	all := make([]*GPU, len(holders))
	for i := range holders {
		f := &holders[i]
		if i == 0 {
			share := append(before, *f)
			slices.SortFunc(share, func(a, b Fragment) int { return cmp.Compare(a.Host.ID, b.Host.ID) })
			all[i] = mergeFragments(id, f, share)
		} else {
			all[i] = mergeFragments(id, f, []Fragment{*f})
			all[i].ID = ConflictID(f.Host.ID, id)
		}
		for _, other := range holders {
			if other.Host != f.Host {
				all[i].Conflict = append(all[i].Conflict, other.Host.ID)
			}
		}
		slices.Sort(all[i].Conflict)
	}
	return all
}

// ConflictID returns the id of a GPU on a host while another host, which had it first, reports it too.
func ConflictID(host events.HostID, id events.GPUID) events.GPUID {
	return events.GPUID(string(host) + ":" + string(id))
}

// OwnName returns a name that only this GPU has, also while other hosts report its UUID.
func (g *GPU) OwnName() events.GPUID {
	if len(g.Conflict) == 0 {
		return g.ID
	}
	return ConflictID(g.Host, events.GPUID(g.Identity.UUID))
}

// splitHolders divides fragments into the ones of hosts that have the GPU, in order of their precedence, and of hosts that had
// it before.
func splitHolders(id events.GPUID, fragments []Fragment) (holders, before []Fragment) {
	tenures := make([]*tenure, len(fragments))
	for i := range fragments {
		tenures[i] = fragments[i].tenure(id)
	}
	order := make([]int, len(fragments))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return comparePrecedence(tenures[a], tenures[b]) })
	for _, i := range order {
		if slices.ContainsFunc(tenures, func(t *tenure) bool { _, takes := t.takesFrom(tenures[i]); return takes }) {
			before = append(before, fragments[i])
		} else {
			holders = append(holders, fragments[i])
		}
	}
	return holders, before
}

// mergeFragments returns the GPU of the fragment at, with the readings of all fragments.
func mergeFragments(id events.GPUID, at *Fragment, fragments []Fragment) *GPU {
	g := &GPU{ID: id, Host: at.Host.ID, Identity: at.identity(id), FirstSeen: maxTime, LastSeen: minTime}
	share := len(fragments) == 1 // nothing is merged into the readings
	for i := range fragments {
		f := &fragments[i]
		g.Hosts = append(g.Hosts, f.Host.ID)
		g.FirstSeen = min(g.FirstSeen, f.firstSeen(id))
		g.LastSeen = max(g.LastSeen, f.lastSeen())
		for entities := f.Entities; len(entities) > 0; {
			n := 1
			for n < len(entities) && entities[n].Entity.Part == entities[0].Entity.Part {
				n++
			}
			e := joinNames(entities[:n])
			switch {
			case e.Entity.Part == "" && share:
				g.Latest = slices.Clip(e.Latest)
			case e.Entity.Part == "":
				g.Latest = mergeLatest(g.Latest, e.Latest)
			default:
				g.mergePart(e, share)
			}
			entities = entities[n:]
		}
	}
	return g
}

// joinNames returns an entity's readings under all of its names on one host.
func joinNames(entities []*LiveEntity) *LiveEntity {
	if len(entities) == 1 {
		return entities[0]
	}
	all := *entities[0]
	all.Latest = slices.Clone(all.Latest)
	for _, e := range entities[1:] {
		all.SeenAt = max(all.SeenAt, e.SeenAt)
		all.Said, _ = mergeSaid(all.Said, e.Said)
		all.Workload = currentWorkload(&all, e)
		for _, l := range e.Latest {
			if i, ok := findMetric(all.Latest, l.Metric); !ok {
				all.Latest = slices.Insert(all.Latest, i, l)
			} else if !all.Latest[i].winsOver(l.At, l.Value, l.Source) {
				all.Latest[i] = l
			}
		}
	}
	return &all
}

// currentWorkload returns the newer of the workloads of two entities that are current. An entity may be nil.
func currentWorkload(a, b *LiveEntity) (w *Workload) {
	for _, e := range [...]*LiveEntity{a, b} {
		if e != nil && e.Workload.isCurrent(e.Latest) {
			w = w.merge(e.Workload)
		}
	}
	return w
}

// firstSeen returns the earliest record time of the GPU on the fragment's host.
func (f *Fragment) firstSeen(id events.GPUID) events.Timestamp {
	first, last := maxTime, events.GPUID("")
	for i, e := range f.Entities {
		first = min(first, e.SeenAt)
		if i > 0 && e.Entity.GPU == last {
			continue
		}
		last = e.Entity.GPU
		if k, ok := f.Host.Identity.Find(last); ok && (last == id || f.Names.Resolve(last, k.FirstSeen) == id) {
			first = min(first, k.FirstSeen)
		}
	}
	return first
}

// lastSeen returns the newest record time of a fragment, which has an entity at least.
func (f *Fragment) lastSeen() events.Timestamp {
	at := f.Entities[0].SeenAt
	for _, e := range f.Entities {
		at = max(at, e.SeenAt)
	}
	return at
}

// identity returns the newest value of each field of the GPU, and its current workload. Fields of the GPU that only its
// parts' records have count; the parts' own do not, nor does a masked UUID of records under another name of the GPU.
func (f *Fragment) identity(id events.GPUID) events.Identity {
	if len(f.Entities) == 1 && f.Entities[0].Entity == (events.Entity{GPU: id}) {
		return f.complete(id, f.Entities[0].Said, currentWorkload(f.Entities[0], nil))
	}
	var own, parts []Said
	var workload *Workload
	for _, e := range f.Entities {
		said := e.Said
		if e.Entity.GPU != id {
			said = withoutField(said, FieldUUID)
		}
		if e.Entity.Part != "" {
			parts, _ = mergeSaid(parts, said)
			continue
		}
		own, _ = mergeSaid(own, said)
		if e.Workload.isCurrent(e.Latest) {
			workload = workload.merge(e.Workload)
		}
	}
	all, _ := mergeSaid(own, slices.DeleteFunc(slices.Clone(parts), func(s Said) bool {
		return s.Field == FieldMIG || s.Field == FieldMIGProfile
	}))
	return f.complete(id, all, workload)
}

// complete returns the identity with these fields and workload, and with the fields that the host's records of the GPU
// had at some time.
func (f *Fragment) complete(id events.GPUID, said []Said, w *Workload) events.Identity {
	out := identityOf(said, w)
	if k, ok := f.Host.Identity.Find(id); ok && k.hasMore(said) {
		fillFields(&out, k.FieldsAt(maxTime))
	}
	return out
}

// withoutField returns said without a field. It does not change said.
func withoutField(said []Said, f Field) []Said {
	is := func(s Said) bool { return s.Field == f }
	if !slices.ContainsFunc(said, is) {
		return said
	}
	return slices.DeleteFunc(slices.Clone(said), is)
}

// hasMore reports whether the GPU had a field that is missing in said.
func (k *KnownGPU) hasMore(said []Said) bool {
	for i := range k.Runs { // both are sorted by field
		for len(said) > 0 && said[0].Field < k.Runs[i].Field {
			said = said[1:]
		}
		if len(said) == 0 || said[0].Field != k.Runs[i].Field {
			return true
		}
	}
	return false
}

// identityOf returns the identity with these fields and workload (nil: none).
func identityOf(said []Said, w *Workload) events.Identity {
	var id events.Identity
	if w != nil {
		id = events.Identity{Pod: w.Pod, Namespace: w.Namespace, Container: w.Container, Labels: w.Labels}
	}
	fillFields(&id, said)
	return id
}

// mergePart takes a part's readings from one more host; hosts come in order of their names. With share it is the only one.
func (g *GPU) mergePart(e *LiveEntity, share bool) {
	i, ok := sort.Find(len(g.Parts), func(i int) int { return strings.Compare(e.Entity.Part, g.Parts[i].Name) })
	if !ok {
		g.Parts = slices.Insert(g.Parts, i, Part{Name: e.Entity.Part})
	}
	p := &g.Parts[i]
	if !ok || e.SeenAt > p.LastSeen {
		w := e.Workload
		if !w.isCurrent(e.Latest) {
			w = nil
		}
		p.LastSeen, p.Identity = e.SeenAt, identityOf(e.Said, w)
		p.Identity.Part = e.Entity.Part
	}
	if share {
		p.Latest = slices.Clip(e.Latest)
		return
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
