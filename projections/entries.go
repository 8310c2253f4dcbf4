package projections

import (
	"cmp"
	"container/heap"
	"slices"

	"telemetry-pipeline/events"
)

// Entries joins a host's records of one window into entries, ascending by Place, or descending with Newest.
// Its cost follows the filtered columns and the entries that Limit lets
// through, not the window's size. A reading that several identities share at one time is returned once. Entries refer to
// s, which must not be changed while they are used.
func Entries(host events.HostID, s *HostWindow, f EntryFilter) []Entry {
	j := newJoin(s, &f)
	unknown := new(events.Identity)
	entries := make([]Entry, 0, j.expectedEntries(f.Limit))
	for len(j.queue) > 0 && (f.Limit <= 0 || len(entries) < f.Limit) {
		lane := j.queue[0]
		e := Entry{At: lane.next, Host: host, Entity: lane.entity}
		if f.hasPassed(e.Place()) {
			lane.skipEntry()
		} else {
			var id events.IdentityID
			id, e.Readings = j.nextReadings(lane)
			e.Identity = unknown
			if known := s.Find(id); known != nil {
				e.Identity = known
			}
			entries = append(entries, e)
		}
		j.restoreOrder()
	}
	return entries
}

// join walks an entity's columns side by side (a lane), and the lanes of all entities by a queue, the next
// entry first.
type join struct {
	queue lanes
	room  []Reading // where the readings of coming entries go
}

type lane struct {
	entity  events.Entity
	cursors []cursor
	next    events.Timestamp // of its next entry
	step    int              // +1 or -1
}

// cursor is a place in the filtered rows of a column.
type cursor struct {
	*Column
	row, left int
}

func newJoin(s *HostWindow, f *EntryFilter) *join {
	var j join
	from, to := f.timeBounds()
	step := 1
	if f.Newest {
		step = -1
	}
	for i := range s.Columns {
		c := &s.Columns[i]
		if !f.wantsColumn(c) {
			continue
		}
		first, end := countBefore(c.Times, from), countUpTo(c.Times, to)
		if first >= end {
			continue
		}
		cur := cursor{Column: c, row: first, left: end - first}
		if f.Newest {
			cur.row = end - 1
		}
		if n := len(j.queue); n == 0 || j.queue[n-1].entity != c.Entity {
			j.queue = append(j.queue, &lane{entity: c.Entity, step: step})
		}
		l := j.queue[len(j.queue)-1]
		l.cursors = append(l.cursors, cur)
	}
	for _, l := range j.queue {
		l.nextTime()
	}
	heap.Init(&j.queue)
	return &j
}

// expectedEntries returns the number of entries if an entity's columns have their times in common.
func (j *join) expectedEntries(limit int) int {
	n := 0
	for _, l := range j.queue {
		longest := 0
		for _, c := range l.cursors {
			longest = max(longest, c.left)
		}
		n += longest
	}
	if limit > 0 {
		return min(n, limit)
	}
	return n
}

// wantsColumn reports whether the filter selects a column.
func (f *EntryFilter) wantsColumn(c *Column) bool {
	return (len(f.GPUs) == 0 || slices.Contains(f.GPUs, c.Entity.GPU)) &&
		(len(f.Metrics) == 0 || slices.Contains(f.Metrics, c.Metric))
}

// restoreOrder moves the first lane to its place in the queue after it was advanced, or removes it when it is done.
func (j *join) restoreOrder() {
	if len(j.queue[0].cursors) == 0 {
		heap.Pop(&j.queue)
		return
	}
	heap.Fix(&j.queue, 0)
}

// nextReadings returns the readings of the lane's next entry and the greatest identity among them, and advances the lane.
func (j *join) nextReadings(l *lane) (events.IdentityID, []Reading) {
	var greatest events.IdentityID
	if cap(j.room)-len(j.room) < len(l.cursors) {
		j.room = make([]Reading, 0, max(256, 2*len(l.cursors)))
	}
	start, several := len(j.room), false
	for i := range l.cursors {
		c := &l.cursors[i]
		for ; c.left > 0 && c.Times[c.row] == l.next; c.moveRow(l.step) {
			if n := len(j.room); n > start && j.room[n-1].Metric() == c.Metric {
				several = true
			}
			j.room = append(j.room, Reading{column: c.Column, row: c.row})
			greatest = max(greatest, c.Identity)
		}
	}
	l.nextTime()
	readings := j.room[start:len(j.room):len(j.room)]
	if several {
		slices.SortFunc(readings, Reading.compare)
		readings = slices.CompactFunc(readings, Reading.Equal)
	}
	return greatest, readings
}

// skipEntry passes over the lane's next entry.
func (l *lane) skipEntry() {
	for i := range l.cursors {
		for c := &l.cursors[i]; c.left > 0 && c.Times[c.row] == l.next; {
			c.moveRow(l.step)
		}
	}
	l.nextTime()
}

func (c *cursor) moveRow(step int) {
	c.row += step
	c.left--
}

// nextTime finds the time of the lane's next entry and lets go of columns that are done.
func (l *lane) nextTime() {
	live := l.cursors[:0]
	for _, c := range l.cursors {
		if c.left == 0 {
			continue
		}
		if at := c.Times[c.row]; len(live) == 0 || (at < l.next) == (l.step > 0) {
			l.next = at
		}
		live = append(live, c)
	}
	l.cursors = live
}

// lanes is the queue: by time, then entity, in the direction of the walk.
type lanes []*lane

func (q lanes) Len() int { return len(q) }

func (q lanes) Less(i, j int) bool {
	a, b := q[i], q[j]
	c := cmp.Compare(a.next, b.next)
	if c == 0 {
		c = a.entity.Compare(b.entity)
	}
	return c*a.step < 0
}

func (q lanes) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *lanes) Push(x any)   { *q = append(*q, x.(*lane)) }

func (q *lanes) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
