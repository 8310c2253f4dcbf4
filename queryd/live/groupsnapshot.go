package live

import (
	"math"
	"sort"
	"sync"
	"time"
)

// snapshotItems is the largest number of items in a part of a snapshot.
const snapshotItems = 512

// position is a reader's position: the number of generation switches in this process so far, and a revision. Within
// one process the number of switches, and the revisions between two switches, only grow.
type position struct {
	switches int
	at       int64
}

func (p position) isBefore(q position) bool {
	return p.switches < q.switches || p.switches == q.switches && p.at < q.at
}

// readerPosition returns the position of a reader of the whole State.
func (s *State) readerPosition() position { return position{len(s.generationSwitches), s.at.Number} }

// groupSnapshot is the view of one State that a group reads. Readers at the same position share one Message.
type groupSnapshot struct {
	state      *State
	filter     *filter
	quietSince position // LatestMode: nothing that the filter selects changed after it

	mu       sync.Mutex
	updates  map[position]func() *Message // each builds its Message once; nil until there is one
	snapshot func() []*Message            // nil until requested
}

func newGroupSnapshot(s *State, f *filter) *groupSnapshot {
	return &groupSnapshot{state: s, filter: f, quietSince: s.readerPosition()}
}

// updateSince returns the changes after a position, nil if there are none.
func (e *groupSnapshot) updateSince(from position) *Message {
	if !from.isBefore(e.quietSince) {
		return nil
	}
	e.mu.Lock()
	get, ok := e.updates[from]
	if !ok {
		get = sync.OnceValue(func() *Message { return e.makeUpdate(from) })
		if e.updates == nil {
			e.updates = make(map[position]func() *Message, 1)
		}
		e.updates[from] = get
	}
	e.mu.Unlock()
	return get()
}

// wholeSnapshot returns the snapshot's messages.
func (e *groupSnapshot) wholeSnapshot() []*Message {
	e.mu.Lock()
	if e.snapshot == nil {
		e.snapshot = sync.OnceValue(e.makeSnapshot)
	}
	get := e.snapshot
	e.mu.Unlock()
	return get()
}

// coversSince reports whether updateSince can return all changes after a position.
func (e *groupSnapshot) coversSince(from position) bool {
	return e.changedAfter(from) >= e.state.departuresSince
}

// changedAfter returns the revision after which readings count as changed. A reader from before a generation switch
// needs the switch's changes in any case, and the switch may have been at the very revision that the reader knows.
func (e *groupSnapshot) changedAfter(from position) int64 {
	if from.switches < len(e.state.generationSwitches) {
		return min(from.at, e.state.generationSwitches[from.switches]-1)
	}
	return from.at
}

func (e *groupSnapshot) makeUpdate(from position) *Message {
	s, after := e.state, e.changedAfter(from)
	var items []Item
	for entry := range e.filter.selectEntries(s, after) {
		items = entry.appendItems(items, e.filter, after)
	}
	first := sort.Search(len(s.departures), func(i int) bool { return s.departures[i].at > after })
	m := newUpdate(s.streamPosition, items, removedGPUs(s.departures[first:], e.filter))
	if m != nil {
		m.traces = s.tracesAfter(after)
	}
	return m
}

func (e *groupSnapshot) makeSnapshot() []*Message {
	var items []Item
	for entry := range e.filter.selectEntries(e.state, math.MinInt64) {
		items = entry.appendItems(items, e.filter, math.MinInt64)
	}
	var parts []*Message
	for part := 0; part == 0 || len(items) > 0; part++ {
		n := min(len(items), snapshotItems)
		parts = append(parts, &Message{Kind: Snapshot, At: e.state.at, Folded: e.state.folded,
			Items: items[:n:n], Part: part, More: n < len(items)})
		items = items[n:]
	}
	parts[len(parts)-1].Token = e.state.token // a reader without all parts has no position to resume from
	return parts
}

// newHeartbeat returns a message which promises that nothing older than the State will come.
func newHeartbeat(s *State, now time.Time) *Message {
	return &Message{Kind: Heartbeat, Token: s.token, At: s.at, Folded: s.folded, AsOf: s.asOf, Time: now}
}
