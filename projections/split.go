package projections

import (
	"slices"
	"sort"

	"telemetry-pipeline/events"
)

// pieces gathers columns cut into windows. What it is given keeps its memory; only a piece whose canonical
// exponent differs from the whole column's gets numbers of its own.
type pieces struct {
	columns int // about how many columns each window gets
	windows map[Window]*[]Column
	last    Window // the window of list
	list    *[]Column
}

// add takes rows from..to-1 of a canonical column.
func (p *pieces) add(c *Column, from, to int) {
	for from < to {
		w := WindowOf(c.Times[from])
		end := to
		if w != WindowOf(c.Times[to-1]) {
			end = from + before(c.Times[from:to], (w+1).Start())
		}
		piece := *c
		if end-from < c.Len() {
			piece.Samples = c.Slice(from, end)
			piece.Canonical()
		}
		list := p.window(w)
		*list = append(*list, piece)
		from = end
	}
}

func (p *pieces) window(w Window) *[]Column {
	if p.list != nil && p.last == w {
		return p.list
	}
	if p.windows == nil {
		p.windows = make(map[Window]*[]Column, 1)
	}
	list, ok := p.windows[w]
	if !ok {
		columns := make([]Column, 0, p.columns)
		list = &columns
		p.windows[w] = list
	}
	p.last, p.list = w, list
	return list
}

// series gives the canonical series of each window; nil when there is none.
func (p *pieces) series() map[Window]Series {
	if len(p.windows) == 0 {
		return nil
	}
	all := make(map[Window]Series, len(p.windows))
	for w, list := range p.windows {
		all[w] = Series{Columns: canonicalColumns(*list)}
	}
	return all
}

// canonicalColumns sorts columns and unites those with one key. It may reorder its argument.
func canonicalColumns(columns []Column) []Column {
	if strictly(columns, compareKey) {
		return columns
	}
	slices.SortStableFunc(columns, func(a, b Column) int { return compareKey(&a, &b) })
	out := columns[:1]
	for _, c := range columns[1:] {
		if last := &out[len(out)-1]; compareKey(last, &c) == 0 {
			last.Samples, _ = events.Union(last.Samples, c.Samples)
		} else {
			out = append(out, c)
		}
	}
	return out
}

// plausible gives canonical samples without implausible readings; mostly they are just s.
func plausible(s *events.Samples) events.Samples {
	all := *s
	all.Canonical()
	if !slices.ContainsFunc(all.Absent, func(a events.Absence) bool { return a.Reason == events.Implausible }) {
		return all
	}
	var kept events.Samples
	for at, v := range all.All() {
		if v.Absent != events.Implausible {
			kept.Add(at, v)
		}
	}
	kept.Canonical()
	return kept
}

// before counts the leading times before an instant, after those up to and at it.
func before(times []events.Timestamp, at events.Timestamp) int {
	return sort.Search(len(times), func(i int) bool { return times[i] >= at })
}

func after(times []events.Timestamp, at events.Timestamp) int {
	return sort.Search(len(times), func(i int) bool { return times[i] > at })
}
