package live

import (
	"math"
	"sort"
	"sync"
	"time"
)

// snapshotItems is how many items a part of a snapshot holds.
const snapshotItems = 512

// position is how far a reader is: in the era-th generation that this process served, at a revision. Within
// one process eras, and positions within an era, only grow.
type position struct {
	era int
	at  int64
}

func (p position) less(q position) bool { return p.era < q.era || p.era == q.era && p.at < q.at }

// position gives where a reader of all of s is.
func (s *State) position() position { return position{len(s.eras), s.at.Number} }

// edition is what a group reads of one State. Readers that are equally far share one Message.
type edition struct {
	state  *State
	filter *filter

	mu       sync.Mutex
	updates  map[position]func() *Message // each makes its Message once
	snapshot func() []*Message
}

func newEdition(s *State, f *filter) *edition {
	e := &edition{state: s, filter: f, updates: make(map[position]func() *Message, 1)}
	e.snapshot = sync.OnceValue(e.makeSnapshot)
	return e
}

// update gives what changed after a position, nil when nothing did.
func (e *edition) update(from position) *Message {
	e.mu.Lock()
	get, ok := e.updates[from]
	if !ok {
		get = sync.OnceValue(func() *Message { return e.makeUpdate(from) })
		e.updates[from] = get
	}
	e.mu.Unlock()
	return get()
}

// follows tells whether update can tell all that changed after a position.
func (e *edition) follows(from position) bool { return e.after(from) >= e.state.kept }

// after is the position after which a reader wants the changes. One of an earlier era wants those of the
// switches since in any case, the first of which may have been at the very position it knows.
func (e *edition) after(from position) int64 {
	if from.era < len(e.state.eras) {
		return min(from.at, e.state.eras[from.era]-1)
	}
	return from.at
}

func (e *edition) makeUpdate(from position) *Message {
	s, after := e.state, e.after(from)
	var items []Item
	for entry := range e.filter.of(s) {
		items = entry.items(items, e.filter, after)
	}
	first := sort.Search(len(s.left), func(i int) bool { return s.left[i].at > after })
	return update(s.place, items, removed(s.left[first:], e.filter))
}

func (e *edition) makeSnapshot() []*Message {
	var items []Item
	for entry := range e.filter.of(e.state) {
		items = entry.items(items, e.filter, math.MinInt64)
	}
	var parts []*Message
	for part := 0; part == 0 || len(items) > 0; part++ {
		n := min(len(items), snapshotItems)
		parts = append(parts, &Message{Kind: Snapshot, At: e.state.at, Folded: e.state.folded,
			Items: items[:n:n], Part: part, More: n < len(items)})
		items = items[n:]
	}
	parts[len(parts)-1].Token = e.state.token // who has less than all parts has no position to go on from
	return parts
}

// heartbeat says that nothing older than the State will come.
func heartbeat(s *State, now time.Time) *Message {
	return &Message{Kind: Heartbeat, Token: s.token, At: s.at, Folded: s.folded, AsOf: s.asOf, Time: now}
}
