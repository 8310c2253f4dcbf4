package history

import (
	"container/heap"
	"slices"
	"sync"

	"telemetry-pipeline/projections"
)

// pick keeps the n entries that come first in the wanted order, of all it is offered, and so bounds the memory of a page.
// Safe for concurrent use.
type pick struct {
	oldest bool
	n      int
	after  *projections.Place // entries up to and with it were on earlier pages

	mu   sync.Mutex
	kept entryHeap
	span span // what can still come in; shrinks once kept is full
}

func newPick(oldest bool, n int, s span, after *projections.Place) *pick {
	if after != nil {
		s = s.behind(after.At, oldest)
	}
	return &pick{oldest: oldest, n: n, after: after, kept: entryHeap{oldest: oldest}, span: s}
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

// filter narrows f to what could still come in.
func (p *pick) filter(f projections.EntryFilter) projections.EntryFilter {
	open := p.open()
	f.From, f.To = open.from, open.to
	f.Newest, f.Limit, f.Behind = !p.oldest, p.n, p.after
	return f
}

// offer takes entries in, in the wanted order; what is outside the range, was on an earlier page or comes too late is dropped.
func (p *pick) offer(entries []projections.Entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range entries {
		at := entries[i].Place()
		if !p.span.holds(at.At) || (p.after != nil && !before(*p.after, at, p.oldest)) {
			continue
		}
		if len(p.kept.entries) < p.n {
			heap.Push(&p.kept, entries[i])
			continue
		}
		if !before(at, p.kept.entries[0].Place(), p.oldest) {
			break // what follows comes later still
		}
		p.kept.entries[0] = entries[i]
		heap.Fix(&p.kept, 0)
	}
	if len(p.kept.entries) == p.n {
		p.span = p.span.upTo(p.kept.entries[0].At, p.oldest)
	}
}

// sorted gives what was kept, in the wanted order.
func (p *pick) sorted() []projections.Entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	slices.SortFunc(p.kept.entries, func(a, b projections.Entry) int {
		if p.oldest {
			return a.Place().Compare(b.Place())
		}
		return b.Place().Compare(a.Place())
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
	return before(h.entries[j].Place(), h.entries[i].Place(), h.oldest)
}

func (h *entryHeap) Swap(i, j int) { h.entries[i], h.entries[j] = h.entries[j], h.entries[i] }

func (h *entryHeap) Push(x any) { h.entries = append(h.entries, x.(projections.Entry)) }

func (h *entryHeap) Pop() any {
	last := h.entries[len(h.entries)-1]
	h.entries = h.entries[:len(h.entries)-1]
	return last
}
