package live

import (
	"container/heap"
	"fmt"
	"sync/atomic"
	"time"

	"telemetry-pipeline/events"
)

// group is the set of subscriptions with the same filter, mode and rate. The feed's lock guards it, except current,
// which members read without it.
type group struct {
	key     string
	filter  *filter
	mode    Mode
	period  time.Duration // LatestMode: the shortest time between snapshots
	members map[*Subscription]struct{}

	current      atomic.Pointer[groupSnapshot] // LatestMode: the members read it. EventsMode: the members start from it
	joinSnapshot *groupSnapshot                // of a newer State, for new members
	dirty        bool                          // LatestMode: there are changes since current
	due          time.Time                     // earliest time of the next snapshot
}

// groups finds the groups that a change concerns, and the groups whose next snapshot is due.
type groups struct {
	all    map[string]*group
	byGPU  map[events.GPUID]groupSet  // groups that name GPUs, by any name
	named  int                        // groups of byGPU that have names which another GPU can get
	byHost map[events.HostID]groupSet // groups that name hosts, without GPUs and patterns
	rest   groupSet
	queue  dueQueue // dirty groups that are not due yet
}

type groupSet map[*group]struct{}

func newGroups() groups {
	return groups{all: map[string]*group{}, byGPU: map[events.GPUID]groupSet{}, byHost: map[events.HostID]groupSet{}, rest: groupSet{}}
}

// groupFor returns the group of a filter, mode and period. It creates a new one from the State s.
func (gs *groups) groupFor(f *filter, mode Mode, period time.Duration, s *State) *group {
	key := fmt.Sprintf("%s %d %s", mode, period, f.filterKey())
	g := gs.all[key]
	if g == nil {
		g = &group{key: key, filter: f, mode: mode, period: period, members: map[*Subscription]struct{}{}}
		g.current.Store(newGroupSnapshot(s, f))
		gs.all[key] = g
		gs.editSets(g, func(set groupSet) { set[g] = struct{}{} })
		if f.aliases {
			gs.named++
		}
	}
	return g
}

// removeGroup removes a group without members.
func (gs *groups) removeGroup(g *group) {
	delete(gs.all, g.key)
	if g.filter.aliases {
		gs.named--
	}
	gs.editSets(g, func(set groupSet) { delete(set, g) })
	for _, id := range g.filter.gpus {
		if len(gs.byGPU[id]) == 0 {
			delete(gs.byGPU, id)
		}
	}
	for _, name := range g.filter.hosts {
		if len(gs.byHost[events.HostID(name)]) == 0 {
			delete(gs.byHost, events.HostID(name))
		}
	}
}

// editSets calls edit for each set that g belongs to.
func (gs *groups) editSets(g *group, edit func(groupSet)) {
	switch {
	case len(g.filter.gpus) > 0:
		for _, id := range g.filter.gpus {
			edit(setOf(gs.byGPU, id))
		}
	case len(g.filter.hosts) > 0 && !g.filter.globs:
		for _, name := range g.filter.hosts {
			edit(setOf(gs.byHost, events.HostID(name)))
		}
	default:
		edit(gs.rest)
	}
}

func setOf[K comparable](m map[K]groupSet, k K) groupSet {
	set := m[k]
	if set == nil {
		set = groupSet{}
		m[k] = set
	}
	return set
}

// concernedGroups returns the groups whose filters match a change.
func (gs *groups) concernedGroups(c *change) groupSet {
	out := groupSet{}
	ask := func(set groupSet, one *change) {
		for g := range set {
			if _, known := out[g]; !known && one.matchesFilter(g.filter) {
				out[g] = struct{}{}
			}
		}
	}
	for i, e := range c.entries {
		one := &change{streamPosition: c.streamPosition, entries: c.entries[i : i+1]}
		gs.eachNamed(e.namedGPU, func(set groupSet) { ask(set, one) })
		ask(gs.byHost[e.gpu.Host], one)
	}
	for i, l := range c.departures {
		one := &change{streamPosition: c.streamPosition, departures: c.departures[i : i+1]}
		gs.eachNamed(l.namedGPU, func(set groupSet) { ask(set, one) })
		ask(gs.byHost[l.gpu.Host], one)
	}
	ask(gs.rest, c)
	return out
}

// eachNamed calls f with the groups that name a GPU.
func (gs *groups) eachNamed(n namedGPU, f func(groupSet)) {
	if gs.named == 0 && len(n.gpu.Conflict) == 0 {
		f(gs.byGPU[n.gpu.ID])
		return
	}
	for _, name := range n.names() {
		f(gs.byGPU[name])
	}
}

// scheduleSnapshot publishes s to a group in LatestMode, now or when the group is due.
func (gs *groups) scheduleSnapshot(g *group, s *State, now time.Time) {
	switch {
	case g.dirty:
	case now.Before(g.due):
		g.dirty = true
		heap.Push(&gs.queue, g)
	default:
		g.publishSnapshot(s, now)
	}
}

// publishDue publishes to the groups that are due, and returns the time of the next one (zero: no group waits).
func (gs *groups) publishDue(s *State, now time.Time) time.Time {
	for len(gs.queue) > 0 {
		g := gs.queue[0]
		if len(g.members) > 0 && now.Before(g.due) {
			return g.due
		}
		heap.Pop(&gs.queue)
		g.publishSnapshot(s, now)
	}
	return time.Time{}
}

// publishSnapshot replaces the snapshot that the members read, and wakes them.
func (g *group) publishSnapshot(s *State, now time.Time) {
	g.dirty, g.due, g.joinSnapshot = false, now.Add(g.period), nil
	g.current.Store(newGroupSnapshot(s, g.filter))
	for sub := range g.members {
		sub.wake.Set()
	}
}

// refreshSnapshot moves the snapshot of a group without changes to a newer State, so that the older one can be released.
func (g *group) refreshSnapshot(s *State) {
	if g.current.Load().state != s {
		g.current.Store(g.snapshotForJoin(s))
		g.joinSnapshot = nil
	}
}

// snapshotForJoin returns the snapshot that subscriptions which join at s share.
func (g *group) snapshotForJoin(s *State) *groupSnapshot {
	if now := g.current.Load(); now.state == s {
		return now
	}
	if g.joinSnapshot == nil || g.joinSnapshot.state != s {
		g.joinSnapshot = newGroupSnapshot(s, g.filter)
		if !g.dirty {
			g.joinSnapshot.quietSince = g.current.Load().quietSince
		}
	}
	return g.joinSnapshot
}

// dueQueue is a heap of groups by due.
type dueQueue []*group

func (q dueQueue) Len() int           { return len(q) }
func (q dueQueue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q dueQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *dueQueue) Push(x any)        { *q = append(*q, x.(*group)) }
func (q *dueQueue) Pop() any {
	last := len(*q) - 1
	g := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return g
}
