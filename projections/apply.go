package projections

import (
	"slices"

	"telemetry-pipeline/events"
)

// Effect is the result of folding one event: which models of the host changed, and the records that the event adds to
// the host's history.
type Effect struct {
	Live     bool // Host.Live changed
	Identity bool // Host.Identity changed
	// Fresh are records newer than anything folded before in their series (entity and metric, of any
	// source or identity): no chunk can hold them yet. Late are the others, which the window's chunks may
	// hold already; a record as old as the newest one is Late. Neither holds implausible readings. They may
	// share memory with the event.
	Fresh, Late map[Window]HostWindow
}

// Apply folds an event of this host. Folding an event again changes nothing (all its records are then
// Late). An event of another host is a mistake of the caller, and panics.
//
// Its cost is a lookup of entity and metric per column; readings are passed on as whole slices.
func (h *Host) Apply(ev *events.Event) Effect {
	if h.ID == "" {
		h.ID = ev.Host
	}
	if ev.Host != h.ID && len(ev.Columns) > 0 {
		panic("projections: event of host " + string(ev.Host) + " applied to " + string(h.ID))
	}
	f := fold{
		host:     h,
		subjects: make([]subject, len(ev.Identities)),
		byEntity: make(map[events.Entity]*slot, len(ev.Identities)),
		fresh:    pieces{columns: len(ev.Columns)},
		late:     pieces{columns: len(ev.Columns)},
	}
	for i := range ev.Columns {
		f.foldColumn(ev, &ev.Columns[i])
	}
	return Effect{
		Live:     f.replaceEntities(),
		Identity: f.replaceIdentity(),
		Fresh:    f.fresh.canonicalSeries(),
		Late:     f.late.canonicalSeries(),
	}
}

// fold is one Apply under way. It reads the host's models as they were before the event, and replaces them
// at the end.
type fold struct {
	host        *Host
	subjects    []subject // by index of the event's identity
	slots       []*slot
	byEntity    map[events.Entity]*slot
	fresh, late pieces
}

// subject is an identity of the event. It is filled in when its first plausible reading comes.
type subject struct {
	slot      *slot
	id        events.IdentityID
	identity  *events.Identity
	firstSeen events.Timestamp
}

// slot is an entity of the event: as it was, and as it becomes.
type slot struct {
	index   int // in Host.Live; -1 when it is new
	before  []Latest
	now     LiveEntity
	changed bool
	owned   bool // now.Latest is the fold's own copy
}

func (f *fold) foldColumn(ev *events.Event, c *events.Column) {
	s := plausibleSamples(&c.Samples)
	n := s.Len()
	if n == 0 {
		return
	}
	sub := f.subjectAt(ev, c.Identity)
	sub.firstSeen = min(sub.firstSeen, s.Times[0])
	column := Column{Entity: sub.slot.now.Entity, Metric: c.Metric, Source: c.Source, Identity: sub.id, Samples: s}
	old := 0
	if i, ok := findMetric(sub.slot.before, c.Metric); ok {
		old = countUpTo(s.Times, sub.slot.before[i].At)
	}
	f.late.addRows(&column, 0, old)
	f.fresh.addRows(&column, old, n)
	sub.slot.noteNewest(&column, n-1)
}

// subjectAt returns the event's identity i with its entity's slot.
func (f *fold) subjectAt(ev *events.Event, i int) *subject {
	sub := &f.subjects[i]
	if sub.slot != nil {
		return sub
	}
	id := &ev.Identities[i]
	*sub = subject{id: id.ID(), identity: id, firstSeen: maxTime, slot: f.slotOf(id.Entity(f.host.ID))}
	return sub
}

// slotOf returns the slot of an entity, which it makes for the event's first reading of it. Several identities of one
// entity share a slot.
func (f *fold) slotOf(e events.Entity) *slot {
	if s, ok := f.byEntity[e]; ok {
		return s
	}
	s := &slot{index: -1, now: LiveEntity{Entity: e}}
	if i, ok := f.host.Live.findEntity(e); ok {
		s.index, s.now = i, f.host.Live.Entities[i]
		s.before = s.now.Latest
	}
	f.slots = append(f.slots, s)
	f.byEntity[e] = s
	return s
}

// noteNewest updates the entity's latest readings from a column's newest reading, which is its last: samples of one time
// are in order of their values.
func (s *slot) noteNewest(c *Column, last int) {
	at, fresh := c.Times[last], len(s.now.Latest) == 0
	if fresh || at > s.now.SeenAt || at == s.now.SeenAt && c.Identity > s.now.Identity {
		s.now.SeenAt, s.now.Identity = at, c.Identity
		s.changed = true
	}
	i, ok := findMetric(s.now.Latest, c.Metric)
	if ok && at < s.now.Latest[i].At {
		return
	}
	_, v := c.At(last)
	switch {
	case !ok:
		s.ownReadings()
		s.now.Latest = slices.Insert(s.now.Latest, i, Latest{Metric: c.Metric, Source: c.Source, At: at, Value: v})
	case !s.now.Latest[i].winsOver(at, v, c.Source):
		s.ownReadings()
		l := &s.now.Latest[i]
		l.At, l.Value = at, v
		if l.Source != c.Source {
			l.Source = c.Source
		}
	}
}

// ownReadings copies the entity's readings before the fold changes them for the first time.
func (s *slot) ownReadings() {
	s.changed = true
	if !s.owned {
		s.now.Latest = slices.Clone(s.now.Latest)
		s.owned = true
	}
}

// replaceEntities puts the changed entities into a new list and reports whether there are any.
func (f *fold) replaceEntities() bool {
	changed := slices.DeleteFunc(f.slots, func(s *slot) bool { return !s.changed })
	if len(changed) == 0 {
		return false
	}
	old := f.host.Live.Entities
	all := make([]LiveEntity, len(old), len(old)+len(changed))
	copy(all, old)
	for _, s := range changed {
		if s.index >= 0 {
			all[s.index] = s.now
		} else {
			all = append(all, s.now)
		}
	}
	if len(all) > len(old) {
		slices.SortFunc(all, func(a, b LiveEntity) int { return a.Entity.Compare(b.Entity) })
	}
	f.host.Live.Entities = all
	return true
}

// replaceIdentity adds identities and windows that are new or were seen earlier than known, and reports whether there
// are any.
func (f *fold) replaceIdentity() bool {
	known, changed := f.mergeKnown()
	windows := f.host.Identity.Windows
	for _, p := range [...]*pieces{&f.fresh, &f.late} {
		for w := range p.windows {
			var added bool
			windows, added = addWindow(windows, w)
			changed = changed || added
		}
	}
	f.host.Identity = Identity{Known: known, Windows: windows}
	return changed
}

func (f *fold) mergeKnown() (known []Known, changed bool) {
	known = f.host.Identity.Known
	for i := range f.subjects {
		sub := &f.subjects[i]
		if sub.slot == nil {
			continue
		}
		at, ok := (&Identity{Known: known}).findKnown(sub.id)
		if ok && known[at].FirstSeen <= sub.firstSeen {
			continue
		}
		if !changed {
			known, changed = slices.Clone(known), true
		}
		if ok {
			known[at].FirstSeen = sub.firstSeen
		} else {
			known = slices.Insert(known, at, Known{ID: sub.id, Identity: *sub.identity, FirstSeen: sub.firstSeen})
		}
	}
	return known, changed
}
