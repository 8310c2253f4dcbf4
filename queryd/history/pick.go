package history

import (
	"container/heap"
	"slices"
	"sync"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// pick keeps the n entries that come first in the wanted order, of all it is offered, and so bounds the memory of a page.
// Safe for concurrent use.
type pick struct {
	oldest bool
	n      int
	after  *position // entries up to and with it were on earlier pages

	mu   sync.Mutex
	kept entryHeap // the last in the wanted order on top
	span span      // what can still come in; shrinks as kept fills
}

func newPick(oldest bool, n int, s span, after *position) *pick {
	p := &pick{oldest: oldest, n: n, after: after, span: s}
	p.kept.oldest = oldest
	if after != nil {
		p.span = p.beyond(s, after.at)
	}
	return p
}

// before tells whether a comes before b in the wanted order.
func before(a, b position, oldest bool) bool {
	if oldest {
		return a.compare(b) < 0
	}
	return a.compare(b) > 0
}

// beyond cuts a range to what is at an instant or behind it, in the wanted order.
func (p *pick) beyond(s span, at events.Timestamp) span {
	if p.oldest {
		return span{from: max(s.from, at), to: s.to}
	}
	return span{from: s.from, to: min(s.to, at)}
}

// upTo cuts a range to what is at an instant or before it, in the wanted order.
func (p *pick) upTo(s span, at events.Timestamp) span {
	if p.oldest {
		return span{from: s.from, to: min(s.to, at)}
	}
	return span{from: max(s.from, at), to: s.to}
}

// open tells in which range an entry could still come in.
func (p *pick) open() span {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.span
}

// room tells how many entries are kept, and how many more there is room for.
func (p *pick) room() (kept, missing int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.kept.entries), p.n - len(p.kept.entries)
}

// offer takes entries in; those that were on earlier pages or come too late are dropped.
func (p *pick) offer(entries []projections.Entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range entries {
		at := placeOf(&entries[i])
		if p.after != nil && !before(*p.after, at, p.oldest) {
			continue
		}
		if len(p.kept.entries) < p.n {
			heap.Push(&p.kept, entries[i])
		} else if before(at, placeOf(&p.kept.entries[0]), p.oldest) {
			p.kept.entries[0] = entries[i]
			heap.Fix(&p.kept, 0)
		}
	}
	if len(p.kept.entries) == p.n {
		p.span = p.upTo(p.span, p.kept.entries[0].At)
	}
}

// sorted gives what was kept, in the wanted order.
func (p *pick) sorted() []projections.Entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	slices.SortFunc(p.kept.entries, func(a, b projections.Entry) int {
		c := placeOf(&a).compare(placeOf(&b))
		if !p.oldest {
			c = -c
		}
		return c
	})
	return p.kept.entries
}

// entryHeap has the entry that is last in the wanted order on top.
type entryHeap struct {
	entries []projections.Entry
	oldest  bool
}

func (h *entryHeap) Len() int { return len(h.entries) }
func (h *entryHeap) Less(i, j int) bool {
	return before(placeOf(&h.entries[j]), placeOf(&h.entries[i]), h.oldest)
}
func (h *entryHeap) Swap(i, j int) { h.entries[i], h.entries[j] = h.entries[j], h.entries[i] }
func (h *entryHeap) Push(x any)    { h.entries = append(h.entries, x.(projections.Entry)) }
func (h *entryHeap) Pop() any {
	last := h.entries[len(h.entries)-1]
	h.entries = h.entries[:len(h.entries)-1]
	return last
}
