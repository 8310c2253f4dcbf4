package projections

import (
	"cmp"
	"slices"
	"strings"

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
	Refused     Refusal // the records that were not folded, because the host has no room for them
}

// Apply folds an event of this host. Folding an event again changes nothing (all its records are then
// Late). An event of another host is a mistake of the caller, and panics. Records beyond the bounds of a host are not
// folded, and are counted in the effect's Refused.
//
// Its cost is a lookup of entity and metric per column; readings are passed on as whole slices.
func (h *Host) Apply(ev *events.Event) Effect { return h.ApplyWithin(ev, Bounds{}) }

// ApplyWithin is Apply for the bounds given.
func (h *Host) ApplyWithin(ev *events.Event, b Bounds) Effect {
	if h.ID == "" {
		h.ID = ev.Host
	}
	if ev.Host != h.ID && len(ev.Columns) > 0 {
		panic("projections: event of host " + string(ev.Host) + " applied to " + string(h.ID))
	}
	f := fold{
		host:     h,
		bounds:   b.WithDefaults(),
		ev:       ev,
		due:      lastDue(ev.AppendedAt),
		subjects: make([]subject, len(ev.Identities)),
		room:     make([]slot, 0, len(ev.Identities)),
		byEntity: make(map[events.Entity]*slot, len(ev.Identities)),
		contents: make(identitySet, len(ev.Identities)),
		slots:    make([]*slot, 0, len(ev.Identities)),

		workloads: roomFor[Workload](len(ev.Identities)),
	}
	f.fresh = pieces{columns: len(ev.Columns), contents: f.contents}
	f.late = pieces{columns: len(ev.Columns), contents: f.contents}
	f.foldControl()
	for i := range ev.Columns {
		f.subjects[ev.Columns[i].Identity].columns++
	}
	for i := range ev.Columns {
		f.foldColumn(&ev.Columns[i])
	}
	effect := Effect{
		Identity: f.replaceIdentity(),
		Live:     f.replaceEntities(),
		Fresh:    f.fresh.canonicalSeries(),
		Late:     f.late.canonicalSeries(),
		Refused:  f.refused,
	}
	effect.Live = f.noteAppend() || effect.Live || f.joined
	return effect
}

// fold is one Apply under way. It reads the host's models as they were before the event, and replaces them
// at the end.
type fold struct {
	host        *Host
	bounds      Bounds
	ev          *events.Event
	due         events.Timestamp // readings behind it are ahead of their time
	subjects    []subject        // by index of the event's identity
	slots       []*slot
	room        []slot // of the slots, so that they are one allocation
	said        room[Said]
	workloads   room[Workload]
	byEntity    map[events.Entity]*slot
	processes   bool             // the event has readings of processes
	joined      bool             // the event joined the host to another one
	control     bool             // the event says that the host left the live model
	left        events.Timestamp // the append with which it did, unless a later one is known
	contents    identitySet
	fresh, late pieces
	refused     Refusal
	newGPUs     map[events.GPUID]bool
	newParts    map[events.GPUID]int
}

// subject is an identity of the event. It is filled in when its first plausible reading comes.
type subject struct {
	columns  int // of the event
	slot     *slot
	id       events.IdentityID
	refused  string
	windows  []events.Timestamp  // the earliest record of each window, ascending
	first    [1]events.Timestamp // room for windows
	workload *Workload           // of the newest record that is not ahead of its time
	said     events.Timestamp    // the time of that record; hasSaid
	hasSaid  bool
}

// slot is an entity of the event: as it was, and as it becomes.
type slot struct {
	at      int // in Host.Live, where it is or belongs
	known   *KnownGPU
	before  *LiveEntity
	now     LiveEntity
	columns int // about how many readings an entity without any gets
	changed bool
	owned   bool // now.Latest is the fold's own copy
}

func (f *fold) foldColumn(c *events.Column) {
	if events.IsControl(c.Metric) {
		return
	}
	s := plausibleSamples(&c.Samples)
	if f.host.Identity.Joined.Node != "" {
		s = f.host.Identity.Joined.ownSamples(s)
	}
	n := s.Len()
	if n == 0 {
		return
	}
	sub := f.subjectAt(c.Identity)
	reason := sub.refused
	if reason == "" {
		reason = f.admitMetric(sub.slot, c.Metric)
	}
	if reason != "" {
		f.refused.add(n, reason)
		return
	}
	column := Column{Entity: sub.slot.now.Entity, Metric: c.Metric, Source: c.Source, Identity: sub.id, Samples: s}
	old := countUpTo(s.Times, sub.slot.newestFolded(c.Metric, f.host))
	f.late.addRows(&column, 0, old)
	f.fresh.addRows(&column, old, n)
	sub.noteWindows(s.Times)
	ready := countUpTo(s.Times, f.due)
	if ready > 0 {
		sub.slot.noteNewest(&column, ready-1, f.ev.AppendedAt)
		f.noteStatement(sub, &f.ev.Identities[c.Identity], &column, ready-1)
	}
	if ready < n {
		sub.slot.noteAhead(&column, ready, f.ev.AppendedAt)
	}
}

// subjectAt returns the event's identity i with its entity's slot.
func (f *fold) subjectAt(i int) *subject {
	sub := &f.subjects[i]
	if sub.slot != nil || sub.refused != "" {
		return sub
	}
	id := &f.ev.Identities[i]
	entity := id.Entity(f.host.ID)
	sub.id, sub.windows = id.ID(), sub.first[:0]
	if sub.slot, sub.refused = f.slotOf(entity, sub.columns); sub.refused != "" {
		return sub
	}
	if sub.refused = f.admitFields(id, sub.slot.known); sub.refused != "" {
		return sub
	}
	f.processes = f.processes || IsProcess(entity.Part)
	f.contents[sub.id] = id
	return sub
}

// slotOf returns the slot of an entity, which it makes for the event's first reading of it, or the reason why the host
// has no room for it. Several identities of one entity share a slot; columns is how many readings the first of them has.
func (f *fold) slotOf(e events.Entity, columns int) (*slot, string) {
	if s, ok := f.byEntity[e]; ok {
		return s, ""
	}
	f.room = append(f.room, slot{now: LiveEntity{Entity: e}, columns: columns}) // never more than the event's identities
	s := &f.room[len(f.room)-1]
	s.known, _ = f.host.Identity.Find(e.GPU)
	var there bool
	if s.at, there = f.host.Live.findEntity(e); there {
		s.before = &f.host.Live.Entities[s.at]
		s.now = *s.before
	} else if reason := f.admit(e, s.known); reason != "" {
		return nil, reason
	}
	f.slots = append(f.slots, s)
	f.byEntity[e] = s
	return s, ""
}

// newestFolded returns the time of the newest record folded before in a series, or a later one up to which the host has
// records of its GPU: an entity may have left the live model.
func (s *slot) newestFolded(metric string, h *Host) events.Timestamp {
	part := s.now.Entity.Part
	switch {
	case s.before != nil:
		return s.before.newestOf(metric)
	case s.known == nil:
		return minTime
	case IsProcess(part):
		if newest, ok := h.Live.NewestList(); ok {
			return newest
		}
		return endOf(s.known.Listed)
	case part != "" && !s.known.hasPart(part):
		return minTime
	}
	return endOf(s.known.Windows)
}

// newestOf returns the time of the newest folded record of a metric.
func (e *LiveEntity) newestOf(metric string) events.Timestamp {
	at := minTime
	if i, ok := findMetric(e.Latest, metric); ok {
		at = e.Latest[i].At
	} else if IsProcess(e.Entity.Part) {
		at = e.newestFolded() // other metrics are kept of the newest list alone
	}
	for i := range e.Ahead {
		if a := &e.Ahead[i]; a.Metric == metric {
			at = max(at, a.At)
		}
	}
	return at
}

// endOf returns the last instant of the last of windows, minTime without any.
func endOf(spans []WindowRange) events.Timestamp {
	if len(spans) == 0 {
		return minTime
	}
	return (spans[len(spans)-1].Last + 1).Start() - 1
}

// noteWindows notes the earliest record of each window.
func (sub *subject) noteWindows(times []events.Timestamp) {
	if n := len(sub.windows); n > 0 && times[0] >= sub.windows[n-1] && times[len(times)-1] < (WindowOf(sub.windows[n-1])+1).Start() {
		return // mostly: in the window of the readings before
	}
	for len(times) > 0 {
		w := WindowOf(times[0])
		i, found := slices.BinarySearchFunc(sub.windows, w, func(at events.Timestamp, w Window) int { return int(WindowOf(at) - w) })
		switch {
		case !found:
			sub.windows = slices.Insert(sub.windows, i, times[0])
		case times[0] < sub.windows[i]:
			sub.windows[i] = times[0]
		}
		if w == WindowOf(times[len(times)-1]) {
			return
		}
		times = times[countBefore(times, (w+1).Start()):]
	}
}

// noteStatement notes a column's row as the newest record of its identity.
func (f *fold) noteStatement(sub *subject, id *events.Identity, c *Column, row int) {
	at := c.Times[row]
	if sub.hasSaid && at < sub.said {
		return
	}
	sub.said, sub.hasSaid = at, true
	switch w := sub.workload; {
	case w == nil && NamesWorkload(id):
		sub.workload = &f.workloads.take(1)[0]
		*sub.workload = Workload{At: at, Metric: c.Metric, Source: c.Source, Pod: id.Pod, Namespace: id.Namespace, Container: id.Container, Labels: id.Labels}
	case w == nil:
	case at > w.At || cmp.Or(strings.Compare(c.Metric, w.Metric), strings.Compare(c.Source, w.Source)) < 0:
		w.At, w.Metric, w.Source = at, c.Metric, c.Source
	}
}

// noteNewest updates the entity's latest readings from a column's newest reading whose time has come, which is the last
// of these: samples of one time are in order of their values.
func (s *slot) noteNewest(c *Column, last int, appended events.Timestamp) {
	at, first := c.Times[last], len(s.now.Latest) == 0
	switch {
	case first || at > s.now.SeenAt:
		s.now.SeenAt, s.now.Appended, s.changed = at, appended, true
	case at == s.now.SeenAt && appended < s.now.Appended: // the record was there before
		s.now.Appended, s.changed = appended, true
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
	default:
		return
	}
	if len(s.now.Ahead) > 0 {
		s.now.Ahead = dropPassed(s.now.Ahead, c.Metric, at)
	}
}

// ownReadings copies the entity's readings before the fold changes them for the first time.
func (s *slot) ownReadings() {
	s.changed = true
	switch {
	case s.owned:
		return
	case len(s.now.Latest) == 0:
		s.now.Latest = make([]Latest, 0, s.columns)
	default:
		s.now.Latest = slices.Clone(s.now.Latest)
	}
	s.owned = true
}

// noteSaid adds what the event's identities say of their entities.
func (f *fold) noteSaid() {
	for i := range f.subjects {
		sub, id := &f.subjects[i], &f.ev.Identities[i]
		if sub.slot == nil || !sub.hasSaid {
			continue
		}
		fields := countFields(id)
		if f.said.size == 0 {
			f.said = roomFor[Said](fields * len(f.subjects))
		}
		said, changed := mergeSaid(sub.slot.now.Said, saidBy(f.said.take(fields)[:0], id, sub.said))
		sub.slot.now.Said = said
		workload := sub.slot.now.Workload.merge(sub.workload)
		if changed || !workload.equals(sub.slot.now.Workload) {
			sub.slot.changed = true
		}
		sub.slot.now.Workload = workload
	}
}

// replaceEntities puts the changed entities into a new list and reports whether there are any.
func (f *fold) replaceEntities() bool {
	f.noteSaid()
	changed := slices.DeleteFunc(f.slots, func(s *slot) bool { return !s.changed })
	if len(changed) == 0 {
		return false
	}
	old := f.host.Live.Entities
	slices.SortFunc(changed, func(a, b *slot) int { return a.now.Entity.Compare(b.now.Entity) })
	all := make([]LiveEntity, 0, len(old)+countNew(changed))
	copied := 0
	for _, s := range changed {
		if IsProcess(s.now.Entity.Part) {
			s.now.keepNewestList()
		}
		all = append(append(all, old[copied:s.at]...), s.now)
		if copied = s.at; s.before != nil {
			copied++
		}
	}
	all = append(all, old[copied:]...)
	if f.processes {
		if all = dropEnded(all); slices.EqualFunc(old, all, sameEntity) {
			return false // the new ones had ended before
		}
	}
	f.host.Live.Entities = all
	return true
}

func countNew(slots []*slot) (n int) {
	for _, s := range slots {
		if s.before == nil {
			n++
		}
	}
	return n
}

func sameEntity(a, b LiveEntity) bool {
	return a.Entity == b.Entity && a.SeenAt == b.SeenAt && a.Appended == b.Appended && a.Workload.equals(b.Workload) &&
		slices.Equal(a.Said, b.Said) && slices.Equal(a.Latest, b.Latest) && slices.Equal(a.Ahead, b.Ahead)
}
