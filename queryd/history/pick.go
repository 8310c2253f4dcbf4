package history

import (
	"sync"

	"telemetry-pipeline/projections"
)

// pick keeps the n entries that come first in the wanted order, of all it is offered, and so bounds the
// memory of a page. Safe for concurrent use.
type pick struct {
	oldest bool
	n      int
	after  *projections.Place // entries up to and with it were on earlier pages

	mu    sync.Mutex
	runs  [][]projections.Entry // each in the wanted order
	total int                   // entries in runs, less than 2n
	span  span                  // what can still come in; shrinks when runs are merged
}

func newPick(oldest bool, n int, s span, after *projections.Place) *pick {
	if after != nil {
		s = s.behind(after.At, oldest)
	}
	return &pick{oldest: oldest, n: n, after: after, span: s}
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
	kept = min(p.total, p.n)
	return kept, p.n - kept
}

// filter narrows f to what could still come in.
func (p *pick) filter(f projections.EntryFilter) projections.EntryFilter {
	open := p.open()
	f.From, f.To = open.from, open.to
	f.Newest, f.Limit, f.Behind = !p.oldest, p.n, p.after
	return f
}

// offer takes entries in, which are in the wanted order and which the caller no longer touches. What is
// outside the range or was on an earlier page is dropped.
func (p *pick) offer(entries []projections.Entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(entries) > 0 && !p.wanted(&entries[0]) {
		entries = entries[1:]
	}
	for len(entries) > 0 && !p.wanted(&entries[len(entries)-1]) {
		entries = entries[:len(entries)-1]
	}
	if len(entries) == 0 {
		return
	}
	p.runs = append(p.runs, entries)
	if p.total += len(entries); p.total >= 2*p.n {
		p.mergeLocked()
	}
}

// wanted tells whether an entry belongs to the page or behind it.
func (p *pick) wanted(e *projections.Entry) bool {
	return p.span.holds(e.At) && (p.after == nil || before(*p.after, e.Place(), p.oldest))
}

// mergeLocked makes one run of all, at most n long.
func (p *pick) mergeLocked() {
	all := merge(p.runs, p.n, p.oldest)
	p.runs, p.total = [][]projections.Entry{all}, len(all)
	if len(all) == p.n {
		p.span = p.span.upTo(all[p.n-1].At, p.oldest)
	}
}

// sorted gives what was kept, in the wanted order.
func (p *pick) sorted() []projections.Entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mergeLocked()
	return p.runs[0]
}
