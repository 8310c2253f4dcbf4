package main

import (
	"telemetry-pipeline/events"
)

// checkOffsets holds that the positions of a partition only grow and are never ahead of the revision at which they are written.
func checkOffsets(writes []written) verdict {
	v := verdict{promise: "offsets never go back", how: "every write of an offset, in etcd's order"}
	live, series := map[events.Partition]int64{}, map[events.Partition]int64{}
	for _, w := range writes {
		if w.kind != offsetKey {
			continue
		}
		v.checked++
		if w.live < live[w.partition] || w.series < series[w.partition] {
			v.addFailure("partition %d went from live %d, series %d to %d, %d at revision %d", w.partition, live[w.partition], series[w.partition], w.live, w.series, w.rev)
		}
		if w.live >= w.rev || w.series >= w.rev {
			v.addFailure("partition %d says at revision %d that it is folded to live %d, series %d", w.partition, w.rev, w.live, w.series)
		}
		live[w.partition], series[w.partition] = w.live, w.series
	}
	return v
}

// checkNewer holds that no stored live reading ever became older: back lists those that did, readings how many there are.
func checkNewer(back []string, readings int) verdict {
	v := verdict{promise: "stored live readings only get newer", how: "the record times in every write of a live model, in etcd's order", checked: readings}
	for _, b := range back {
		v.addFailure("%s", b)
	}
	return v
}

// checkFolded holds that at the end the offsets cover every event.
func checkFolded(writes []written, log []appended) verdict {
	v := verdict{promise: "after the faults heal, lag goes to 0", how: "the last offsets of each partition against its newest event"}
	at := map[events.Partition]int64{}
	for _, w := range writes {
		if w.kind == offsetKey {
			at[w.partition] = min(w.live, w.series)
		}
	}
	newest := map[events.Partition]int64{}
	for _, a := range log {
		newest[a.partition] = max(newest[a.partition], a.rev)
	}
	for p, rev := range newest {
		v.checked++
		if at[p] < rev {
			v.addFailure("partition %d is folded to %d, its newest event is at %d", p, at[p], rev)
		}
	}
	return v
}

// checkLog holds that events are written once and stay, and that the watch delivered each of them.
func checkLog(log []appended, deleted, listed []string) verdict {
	v := verdict{promise: "events are created once and never change; a watch delivers all that a list has", how: "every change below queue/ against a list of its keys at the end"}
	seen := map[string]bool{}
	for _, a := range log {
		v.checked++
		if a.again {
			v.addFailure("event %s was overwritten at revision %d", a.key, a.rev)
		}
		seen[a.key] = true
	}
	for _, key := range deleted {
		v.addFailure("event %s was deleted", key)
	}
	for _, key := range listed {
		if !seen[key] {
			v.addFailure("event %s is there and was never delivered", key)
		}
		delete(seen, key)
	}
	for key := range seen {
		v.addFailure("event %s was delivered and is not there", key)
	}
	return v
}
