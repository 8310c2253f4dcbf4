package live

import (
	"container/heap"
	"fmt"
	"sync/atomic"
	"time"

	"telemetry-pipeline/events"
)

// group is the subscriptions with the same filter, mode and rate. The hub's lock guards it, but for
// edition, which members read on their own.
type group struct {
	key     string
	filter  *filter
	mode    Mode
	period  time.Duration // LatestMode: the least time between editions
	members map[*Subscription]struct{}

	edition atomic.Pointer[edition] // LatestMode: what members read. EventsMode: what they start from
	joined  *edition                // of a newer State, for those who join
	dirty   bool                    // LatestMode: something changed since the edition
	due     time.Time               // no new edition before
}

// groups finds the groups that a change concerns, and those whose next edition is due.
type groups struct {
	all    map[string]*group
	byGPU  map[events.GPUID]groupSet  // those that name GPUs
	byHost map[events.HostID]groupSet // those that name hosts, without GPUs and patterns
	rest   groupSet
	queue  dueQueue // dirty groups whose time has not come
}

type groupSet map[*group]struct{}

func newGroups() groups {
	return groups{all: map[string]*group{}, byGPU: map[events.GPUID]groupSet{}, byHost: map[events.HostID]groupSet{}, rest: groupSet{}}
}

// of gives the group of some options, made from the State s if it is new.
func (gs *groups) of(f *filter, mode Mode, period time.Duration, s *State) *group {
	key := fmt.Sprintf("%s %d %s", mode, period, f.key())
	g := gs.all[key]
	if g == nil {
		g = &group{key: key, filter: f, mode: mode, period: period, members: map[*Subscription]struct{}{}}
		g.edition.Store(newEdition(s, f))
		gs.all[key] = g
		gs.index(g, func(set groupSet) { set[g] = struct{}{} })
	}
	return g
}

// remove forgets a group without members.
func (gs *groups) remove(g *group) {
	delete(gs.all, g.key)
	gs.index(g, func(set groupSet) { delete(set, g) })
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

// index calls edit for each set that g belongs to.
func (gs *groups) index(g *group, edit func(groupSet)) {
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

// touched gives the groups for which a change holds something.
func (gs *groups) touched(c *change) groupSet {
	out := groupSet{}
	ask := func(set groupSet, one *change) {
		for g := range set {
			if _, known := out[g]; !known && one.touches(g.filter) {
				out[g] = struct{}{}
			}
		}
	}
	for i, e := range c.entries {
		one := &change{place: c.place, entries: c.entries[i : i+1]}
		ask(gs.byGPU[e.gpu.ID], one)
		ask(gs.byHost[e.gpu.Host], one)
	}
	for i, l := range c.left {
		one := &change{place: c.place, left: c.left[i : i+1]}
		ask(gs.byGPU[l.gpu], one)
		ask(gs.byHost[l.host], one)
	}
	ask(gs.rest, c)
	return out
}

// stir gives a group in LatestMode an edition of s, now or when its time has come.
func (gs *groups) stir(g *group, s *State, now time.Time) {
	switch {
	case g.dirty:
	case now.Before(g.due):
		g.dirty = true
		heap.Push(&gs.queue, g)
	default:
		g.publish(s, now)
	}
}

// tick publishes what is due, and tells when the next one is (zero: nothing waits).
func (gs *groups) tick(s *State, now time.Time) time.Time {
	for len(gs.queue) > 0 {
		g := gs.queue[0]
		if len(g.members) > 0 && now.Before(g.due) {
			return g.due
		}
		heap.Pop(&gs.queue)
		g.publish(s, now)
	}
	return time.Time{}
}

// publish gives the members an edition to read.
func (g *group) publish(s *State, now time.Time) {
	g.dirty, g.due, g.joined = false, now.Add(g.period), nil
	g.edition.Store(newEdition(s, g.filter))
	for sub := range g.members {
		sub.wake.Set()
	}
}

// joining gives those who join at s something to read together.
func (g *group) joining(s *State) *edition {
	if now := g.edition.Load(); now.state == s {
		return now
	}
	if g.joined == nil || g.joined.state != s {
		g.joined = newEdition(s, g.filter)
	}
	return g.joined
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
