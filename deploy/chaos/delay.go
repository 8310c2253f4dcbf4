package main

import (
	"fmt"
	"slices"
	"time"

	"telemetry-pipeline/events"
)

// folding is how long one event waited until the offsets of its partition covered it.
type folding struct {
	appended
	took time.Duration
}

// foldDelays pairs each event with the first offset that covers it; an event that none covers yet is in waiting.
func foldDelays(writes []written, log []appended) (done []folding, waiting []appended) {
	offsets := map[events.Partition][]written{}
	for _, w := range writes {
		if w.kind == offsetKey {
			offsets[w.partition] = append(offsets[w.partition], w)
		}
	}
	for _, a := range log {
		of := offsets[a.partition]
		for len(of) > 0 && min(of[0].live, of[0].series) < a.rev {
			of = of[1:]
		}
		if offsets[a.partition] = of; len(of) == 0 {
			waiting = append(waiting, a)
			continue
		}
		done = append(done, folding{a, of[0].at.Sub(a.at)})
	}
	return done, waiting
}

// readDelays says which partitions have events that are not folded.
func readDelays(s *observed) string {
	_, waiting := foldDelays(s.writes, s.log)
	first := map[events.Partition]appended{}
	for _, a := range waiting {
		if _, there := first[a.partition]; !there {
			first[a.partition] = a
		}
	}
	if len(first) == 0 {
		return "every event is folded"
	}
	owners := ownersAt(s.owners, -1)
	var parts []string
	for p, a := range first {
		parts = append(parts, fmt.Sprintf("partition %d, owned by %s since %s, has not folded revision %d of %s ago",
			p, owners[p].member, time.Since(owners[p].at).Round(time.Millisecond), a.rev, time.Since(a.at).Round(time.Millisecond)))
	}
	slices.Sort(parts)
	return fmt.Sprint(parts)
}
