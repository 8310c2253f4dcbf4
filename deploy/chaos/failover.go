package main

import (
	"slices"
	"strings"
	"time"

	"telemetry-pipeline/events"
)

// failover is one partition going from one owner to the next after a fault of its collector.
type failover struct {
	kind      string
	victim    string
	partition events.Partition
	claimed   time.Duration // from the fault to the next claim
	folded    time.Duration // from the fault to the first write under that claim
	waited    time.Duration // the longest that an event of that time waited for its offset
	disturbed bool          // other faults of collectors or etcd were there too
}

// listFailovers finds how long each partition of a collector that was hit had to wait for its next owner's first fold. A partition that
// got no event between the fault and the claim had nothing to wait for, and is not among them.
func listFailovers(faults []*injected, o *observed) []failover {
	var all []failover
	done, _ := foldDelays(o.writes, o.log)
	for _, f := range faults {
		for p, token := range f.partitions {
			claim := slices.IndexFunc(o.owners, func(c ownerChange) bool { return c.partition == p && c.token > token })
			if claim < 0 || !overlapsFault(o.owners[claim].at, f) {
				continue
			}
			waited := longestWait(done, p, f.begun, o.owners[claim].at)
			if waited == 0 {
				continue
			}
			write := slices.IndexFunc(o.writes, func(w written) bool { return w.partition == p && w.rev > o.owners[claim].rev })
			if write < 0 {
				continue
			}
			folded := o.writes[write].at
			all = append(all, failover{kind: f.kind, victim: f.victim, partition: p, claimed: o.owners[claim].at.Sub(f.begun),
				folded: folded.Sub(f.begun), waited: waited, disturbed: wasDisturbed(f, faults, folded)})
		}
	}
	return all
}

// longestWait returns how long events of a partition that were appended in a span of time waited to be folded; 0 when there were none.
func longestWait(done []folding, p events.Partition, from, to time.Time) time.Duration {
	var longest time.Duration
	for _, f := range done {
		if f.partition == p && f.at.After(from) && f.at.Before(to) {
			longest = max(longest, f.took)
		}
	}
	return longest
}

// overlapsFault reports whether a claim came because of a fault: while it lasted, or just after.
func overlapsFault(at time.Time, f *injected) bool {
	return at.After(f.begun) && at.Before(f.healed.Add(3*time.Second))
}

// wasDisturbed reports whether another fault that slows failover down was there between a fault and its end, or just before.
func wasDisturbed(f *injected, all []*injected, until time.Time) bool {
	return slices.ContainsFunc(all, func(g *injected) bool {
		matters := g.track == "etcd" && g.kind != "compaction forced" || g.partitions != nil
		return g != f && matters && g.begun.Before(until) && g.healed.After(f.begun.Add(-2*time.Second))
	})
}

// zombie is a collector that was frozen until another collector owned its partitions, and woke up.
type zombie struct {
	victim   string
	lost     int // partitions that another had claimed
	refused  int // its transactions that a guard refused after it woke
	accepted int // its transactions under tokens of before that were accepted after the newer claim
}

func countZombies(faults []*injected, o *observed, saves []save) []zombie {
	var all []zombie
	for _, f := range faults {
		if f.kind != "collectd frozen" {
			continue
		}
		z := zombie{victim: f.victim}
		for p, token := range f.partitions {
			i := slices.IndexFunc(o.owners, func(c ownerChange) bool { return c.partition == p && c.token > token && c.at.Before(f.healed) })
			if i < 0 {
				continue
			}
			z.lost++
			for _, s := range saves {
				switch mine := s.writer == f.victim && s.partition == p && s.token == token && s.answered; {
				case mine && s.accepted && s.rev > o.owners[i].rev:
					z.accepted++
				case mine && !s.accepted:
					z.refused++
				}
			}
		}
		if z.lost > 0 {
			all = append(all, z)
		}
	}
	return all
}

// kindsOf groups failovers by kind of fault.
func kindsOf(all []failover) map[string][]failover {
	by := map[string][]failover{}
	for _, f := range all {
		if strings.HasPrefix(f.kind, "collectd") {
			by[f.kind] = append(by[f.kind], f)
		}
	}
	return by
}

// quantile returns the q-th of durations (0 to 1), 0 of none.
func quantile(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// longestGap returns the longest time between two of times, begin and end included.
func longestGap(times []time.Time, begin, end time.Time) time.Duration {
	var longest time.Duration
	last := begin
	for _, at := range slices.SortedFunc(slices.Values(times), time.Time.Compare) {
		if at.After(begin) && at.Before(end) {
			longest = max(longest, at.Sub(last))
			last = at
		}
	}
	return max(longest, end.Sub(last))
}
