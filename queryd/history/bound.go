package history

import (
	"slices"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// bound gives an instant by which one series alone has as many times in the range as a page can take at all: nothing behind it, in
// the wanted order, can come in, and need not be joined. Times at which entries may have been on earlier pages do not count.
func (s *scan) bound(series *projections.Series, f projections.EntryFilter, open span) events.Timestamp {
	best := open.from
	if s.pick.oldest {
		best = open.to
	}
	for i := range series.Columns {
		c := &series.Columns[i]
		if !chosen(c, f) {
			continue
		}
		if at, ok := s.pick.enough(c.Times, open); ok {
			if s.pick.oldest {
				best = min(best, at)
			} else {
				best = max(best, at)
			}
		}
	}
	return best
}

// chosen tells whether a column's readings pass a filter.
func chosen(c *projections.Column, f projections.EntryFilter) bool {
	return (len(f.GPUs) == 0 || slices.Contains(f.GPUs, c.Entity.GPU)) &&
		(len(f.Metrics) == 0 || slices.Contains(f.Metrics, c.Metric))
}

// enough finds the n-th distinct time in a range, from the wanted end, of ascending times.
func (p *pick) enough(times []events.Timestamp, open span) (events.Timestamp, bool) {
	from, _ := slices.BinarySearch(times, open.from)
	to, found := slices.BinarySearch(times, open.to)
	for found && to < len(times) && times[to] == open.to {
		to++
	}
	times = times[from:to]
	if len(times) < p.n {
		return 0, false
	}
	count := 0
	for i := range times {
		at, behind := i, i-1
		if !p.oldest {
			at, behind = len(times)-1-i, len(times)-i
		}
		if i > 0 && times[at] == times[behind] {
			continue
		}
		if p.after != nil && times[at] == p.after.at {
			continue
		}
		if count++; count == p.n {
			return times[at], true
		}
	}
	return 0, false
}
