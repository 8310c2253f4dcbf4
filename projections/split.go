package projections

import (
	"slices"
	"sort"

	"telemetry-pipeline/events"
)

// pieces collects columns cut into windows. Pieces share the memory of their columns; only a piece whose canonical
// exponent differs from the whole column's gets numbers of its own.
type pieces struct {
	columns  int         // about how many columns each window gets
	contents identitySet // of the columns' identities
	windows  map[Window]*[]Column
	last     Window // the window of list
	list     *[]Column
}

// addRows adds rows from..to-1 of a canonical column.
func (p *pieces) addRows(c *Column, from, to int) {
	for from < to {
		w := WindowOf(c.Times[from])
		end := to
		if w != WindowOf(c.Times[to-1]) {
			end = from + countBefore(c.Times[from:to], (w+1).Start())
		}
		piece := *c
		if end-from < c.Len() {
			piece.Samples = c.Slice(from, end)
			piece.Canonical()
		}
		list := p.columnsOf(w)
		*list = append(*list, piece)
		from = end
	}
}

func (p *pieces) columnsOf(w Window) *[]Column {
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

// canonicalSeries returns the canonical records of each window; nil when there is none.
func (p *pieces) canonicalSeries() map[Window]HostWindow {
	if len(p.windows) == 0 {
		return nil
	}
	all := make(map[Window]HostWindow, len(p.windows))
	for w, list := range p.windows {
		all[w] = p.contents.windowOf(canonicalColumns(*list))
	}
	return all
}

// canonicalColumns sorts columns and unites those with one key. It may reorder its argument.
func canonicalColumns(columns []Column) []Column {
	if isStrictlyAscending(columns, compareKey) {
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

// plausibleSamples returns canonical samples without implausible readings; mostly these are just s.
func plausibleSamples(s *events.Samples) events.Samples {
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

// countBefore returns the number of leading times before an instant, countUpTo the number up to and at it.
func countBefore(times []events.Timestamp, at events.Timestamp) int {
	return sort.Search(len(times), func(i int) bool { return times[i] >= at })
}

func countUpTo(times []events.Timestamp, at events.Timestamp) int {
	return sort.Search(len(times), func(i int) bool { return times[i] > at })
}
