package history

import (
	"sync"

	"telemetry-pipeline/projections"
)

// pick keeps the n items that come first in the wanted order, of all it is offered, and so bounds the
// memory of a page. Safe for concurrent use.
type pick[T any] struct {
	oldest bool
	n      int
	after  *projections.Place // items up to and with it were on earlier pages
	place  func(*T) projections.Place

	mu    sync.Mutex
	runs  [][]T // each in the wanted order
	total int   // items in runs, less than 2n
	span  span  // what can still come in; shrinks when runs are merged
}

func newPick[T any](oldest bool, n int, s span, after *projections.Place, place func(*T) projections.Place) *pick[T] {
	if after != nil {
		s = s.behind(after.At, oldest)
	}
	return &pick[T]{oldest: oldest, n: n, after: after, place: place, span: s}
}

// open tells in which range an item could still come in.
func (p *pick[T]) open() span {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.span
}

// room tells how many items are kept, and how many more there is room for.
func (p *pick[T]) room() (kept, missing int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept = min(p.total, p.n)
	return kept, p.n - kept
}

// offer takes items in, which are in the wanted order and which the caller no longer touches. What is
// outside the range or was on an earlier page is dropped.
func (p *pick[T]) offer(items []T) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(items) > 0 && !p.wanted(&items[0]) {
		items = items[1:]
	}
	for len(items) > 0 && !p.wanted(&items[len(items)-1]) {
		items = items[:len(items)-1]
	}
	if len(items) == 0 {
		return
	}
	p.runs = append(p.runs, items)
	if p.total += len(items); p.total >= 2*p.n {
		p.mergeLocked()
	}
}

// wanted tells whether an item belongs to the page or behind it.
func (p *pick[T]) wanted(e *T) bool {
	at := p.place(e)
	return p.span.holds(at.At) && (p.after == nil || before(*p.after, at, p.oldest))
}

// mergeLocked makes one run of all, at most n long.
func (p *pick[T]) mergeLocked() {
	all := merge(p.runs, p.n, p.oldest, p.place)
	p.runs, p.total = [][]T{all}, len(all)
	if len(all) == p.n {
		p.span = p.span.upTo(p.place(&all[p.n-1]).At, p.oldest)
	}
}

// sorted gives what was kept, in the wanted order.
func (p *pick[T]) sorted() []T {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mergeLocked()
	return p.runs[0]
}
