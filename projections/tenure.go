package projections

import (
	"cmp"
	"slices"

	"telemetry-pipeline/events"
)

// tenure is what the records of one host say about when it had a GPU. Only records by the GPU's own name say that it is there:
// a record by index is of the GPU that was named at that index last, which may be in another host by now.
type tenure struct {
	host    events.HostID
	first   events.Timestamp // of the records by the GPU's own name
	last    events.Timestamp
	windows []WindowRange    // with records by that name
	inUse   events.Timestamp // the newest record by any name of it
	others  events.Timestamp // the newest record of the host's other GPUs
}

// Span is the time from one instant to another one, both included.
type Span struct{ From, To events.Timestamp }

// tenureOf returns a host's tenure of a GPU; ok is false where no record of the host has the GPU's own name.
func tenureOf(h *Host, n *Names, gpu events.GPUID) (t tenure, ok bool) {
	k, ok := h.Identity.Find(gpu)
	if !ok || len(k.Windows) == 0 {
		return tenure{}, false
	}
	t = tenure{host: h.ID, first: k.FirstSeen, last: minTime, windows: k.Windows, inUse: minTime, others: minTime}
	n = n.WithAway(nil)
	for i := range h.Live.Entities {
		switch e := &h.Live.Entities[i]; {
		case e.Entity.GPU == "" || len(e.Latest) == 0:
		case e.Entity.GPU == gpu:
			t.last = max(t.last, e.SeenAt)
		case n.Resolve(e.Entity.GPU, e.SeenAt) == gpu:
			t.inUse = max(t.inUse, e.SeenAt)
		default:
			t.others = max(t.others, e.SeenAt)
		}
	}
	if t.last == minTime { // it left the live model, or is ahead of its time; a single row is to stay one
		t.last = max(t.first, k.Windows[len(k.Windows)-1].Last.Start())
	}
	t.windows = cutWindows(t.windows, t.last) // without hours ahead of their time
	t.inUse = max(t.inUse, t.last)
	return t, true
}

// takesFrom reports whether t's host has the GPU and u's host has it no more, and since when. Newer records alone do not
// show that: one row with a wrong host name, or a wrong UUID, takes nothing. Besides, one of these has to hold:
//   - u's host went on to report its other GPUs without this one;
//   - the GPU came to t's host after u's last record, and stayed for StaleAfter, or did not stay longer on u's host;
//   - the GPU was on t's host before too, for more hours than on u's, or is back there for the second hour.
func (t *tenure) takesFrom(u *tenure) (from events.Timestamp, takes bool) {
	if elapsed(u.last, t.last) <= StaleAfter {
		return 0, false
	}
	dropped := elapsed(u.inUse, u.others) > StaleAfter
	if t.first > u.last {
		return t.first, dropped || elapsed(t.first, t.last) >= StaleAfter || elapsed(u.first, u.inUse) < StaleAfter
	}
	back, _, hours := windowsBetween(t.windows, WindowOf(u.last), WindowOf(maxTime)+1)
	if hours == 0 {
		back = WindowOf(u.last) + 1 // it is back within an hour; until its end the records by index are u's
	}
	return back.Start(), dropped || hours > 1 || t.countHours() > u.countHours()
}

// countHours returns the number of hours with records of the GPU.
func (t *tenure) countHours() int {
	_, _, n := windowsBetween(t.windows, WindowOf(minTime)-1, WindowOf(maxTime)+1)
	return n
}

// comparePrecedence orders hosts that have a GPU at the same time: the one where it was seen first comes first, after a
// host that has more than stray rows of it.
func comparePrecedence(t, u *tenure) int {
	order := func(t *tenure) int {
		if t.isStray() {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(order(t), order(u)), cmp.Compare(t.first, u.first), cmp.Compare(t.host, u.host))
}

// isStray reports whether the records may be stray rows: all within StaleAfter, or in fewer than two thirds of the hours from
// the first to the last.
func (t *tenure) isStray() bool {
	hours := int(WindowOf(t.last)-WindowOf(t.first)) + 1
	return elapsed(t.first, t.inUse) < StaleAfter || 3*t.countHours() < 2*hours
}

// Away returns when each host did not have a GPU because another one of them had it, for Names.WithAway. The hosts are given as
// fragments, whose entities do not count.
func Away(gpu events.GPUID, hosts []Fragment) map[events.HostID][]Span {
	all := make([]tenure, 0, len(hosts))
	for i := range hosts {
		if t, ok := tenureOf(hosts[i].Host, hosts[i].Names, gpu); ok {
			all = append(all, t)
		}
	}
	away := make(map[events.HostID][]Span, len(all))
	for i := range all {
		var spans []Span
		for j := range all {
			if i != j {
				spans = all[i].appendAway(spans, &all[j])
			}
		}
		if len(spans) > 0 {
			slices.SortFunc(spans, func(a, b Span) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To)) })
			away[all[i].host] = spans
		}
	}
	return away
}

// appendAway appends when t's host did not have the GPU because u's had it: before its own first hour, as long as the other had
// it; between two of its hours, from the first one of the other; after its last record, since the other took it.
func (t *tenure) appendAway(dst []Span, u *tenure) []Span {
	stayed := elapsed(u.first, u.last) >= StaleAfter
	after := WindowOf(minTime) - 1
	for i, r := range t.windows {
		first, last, hours := windowsBetween(u.windows, after, r.First)
		came := stayed && (i == 0 || u.first >= after.Start())
		after = r.Last
		switch {
		case hours == 0 || hours == 1 && !came && u.countHours() < t.countHours(): // a stray row
		case i == 0:
			dst = append(dst, Span{minTime, (last + 1).Start() - 1})
		default:
			dst = append(dst, Span{max(first.Start(), u.first), r.First.Start() - 1})
		}
	}
	if from, takes := u.takesFrom(t); takes {
		dst = append(dst, Span{from, maxTime})
	}
	return dst
}

// tenure returns the tenure of the fragment's host, by the fragment alone where the identity lacks the GPU.
func (f *Fragment) tenure(gpu events.GPUID) *tenure {
	t, ok := tenureOf(f.Host, f.Names, gpu)
	if !ok {
		t = tenure{host: f.Host.ID, first: f.firstSeen(gpu), last: f.lastSeen(), inUse: f.lastSeen(), others: minTime}
		t.windows = []WindowRange{{WindowOf(t.first), WindowOf(t.last)}}
	}
	return &t
}
