package history

import (
	"cmp"
	"iter"
	"slices"

	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live"
)

// windowsIn yields the windows of a range in which at least one host has records, from the wanted end. Its time
// depends on the number of runs of windows, not on the length of the range.
func windowsIn(hosts []*live.Host, s timeRange, oldest bool) iter.Seq[projections.Window] {
	return func(yield func(projections.Window) bool) {
		if s.isEmpty() {
			return
		}
		first, last := projections.WindowOf(s.from), projections.WindowOf(s.to)
		runs := mergedRuns(hosts)
		if !oldest {
			slices.Reverse(runs)
		}
		for _, run := range runs {
			from, to := max(run.First, first), min(run.Last, last)
			for i := projections.Window(0); i <= to-from; i++ {
				w := to - i
				if oldest {
					w = from + i
				}
				if !yield(w) {
					return
				}
			}
		}
	}
}

// mergedRuns returns the union of the hosts' runs of windows, ascending and disjoint.
func mergedRuns(hosts []*live.Host) []projections.WindowRange {
	var all []projections.WindowRange
	for _, host := range hosts {
		all = append(all, host.Identity.Windows...)
	}
	slices.SortFunc(all, func(a, b projections.WindowRange) int { return cmp.Compare(a.First, b.First) })
	var out []projections.WindowRange
	for _, run := range all {
		if n := len(out); n > 0 && run.First <= out[n-1].Last {
			out[n-1].Last = max(out[n-1].Last, run.Last)
			continue
		}
		out = append(out, run)
	}
	return out
}
