package history

import (
	"sync"

	"telemetry-pipeline/projections"
)

// topN keeps the first n of all added items in the wanted order, which bounds the memory of a page. It is safe for
// concurrent use.
type topN[T any] struct {
	oldest bool
	n      int
	after  *projections.Place // items up to and including it were on earlier pages
	place  func(*T) projections.Place

	mu    sync.Mutex
	runs  [][]T     // each in the wanted order
	total int       // items in runs, less than 2n
	times timeRange // range in which an item can still be among the first n; shrinks when runs are merged
}

func newTopN[T any](oldest bool, n int, s timeRange, after *projections.Place, place func(*T) projections.Place) *topN[T] {
	if after != nil {
		s = s.startingAt(after.At, oldest)
	}
	return &topN[T]{oldest: oldest, n: n, after: after, place: place, times: s}
}

// openRange returns the range in which an item can still be among the first n.
func (p *topN[T]) openRange() timeRange {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.times
}

// roomLeft returns how many items are kept, and how many more fit.
func (p *topN[T]) roomLeft() (kept, missing int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept = min(p.total, p.n)
	return kept, p.n - kept
}

// addItems adds items in the wanted order; the caller must not use them afterwards. Items outside the range or on an
// earlier page are dropped.
func (p *topN[T]) addItems(items []T) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(items) > 0 && !p.isWanted(&items[0]) {
		items = items[1:]
	}
	for len(items) > 0 && !p.isWanted(&items[len(items)-1]) {
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

// isWanted reports whether an item is in the range and not on an earlier page.
func (p *topN[T]) isWanted(e *T) bool {
	at := p.place(e)
	return p.times.contains(at.At) && (p.after == nil || comesBefore(*p.after, at, p.oldest))
}

// mergeLocked merges all runs into one of at most n items.
func (p *topN[T]) mergeLocked() {
	all := mergeRuns(p.runs, p.n, p.oldest, p.place)
	p.runs, p.total = [][]T{all}, len(all)
	if len(all) == p.n {
		p.times = p.times.endingAt(p.place(&all[p.n-1]).At, p.oldest)
	}
}

// sortedItems returns the kept items in the wanted order.
func (p *topN[T]) sortedItems() []T {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mergeLocked()
	return p.runs[0]
}
