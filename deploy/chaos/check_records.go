package main

import (
	"encoding/json"
	"time"
)

// entry is an entry of history: one GPU at one time.
type entry struct {
	ID        string
	Timestamp time.Time
	Metrics   map[string]json.Number
	Absent    map[string]string
	Others    []any // further readings of one metric at the same time; the workload sends none
}

// entryReadings returns the readings of an entry.
func (e *entry) entryReadings() map[reading]string {
	all := map[reading]string{}
	at := e.Timestamp.UnixNano()
	for metric, n := range e.Metrics {
		all[reading{e.ID, metric, at}] = n.String()
	}
	for metric, reason := range e.Absent {
		all[reading{e.ID, metric, at}] = "absent:" + reason
	}
	return all
}

// checkRecords compares a whole history with the readings that were sent and acknowledged.
func checkRecords(from string, answered []entry, sent map[reading]string, acked map[reading]bool) []verdict {
	kept := verdict{promise: "every acknowledged record is queryable exactly once, with its exact value",
		how: "all pages of " + from + " /api/v1/telemetry against the uploads that were answered 200"}
	invented := verdict{promise: "nothing is queryable that was not sent", how: "the same pages against every byte that was sent"}
	seen := map[reading]int{}
	for _, e := range answered {
		if len(e.Others) > 0 {
			invented.addFailure("%s at %s has further readings: %v", e.ID, e.Timestamp, e.Others)
		}
		for r, value := range e.entryReadings() {
			seen[r]++
			invented.checked++
			want, known := sent[r]
			switch {
			case !known:
				invented.addFailure("%s: %s, %s was never sent", from, value, r)
			case want != value && acked[r]:
				kept.addFailure("%s: %s is %s, sent was %s", from, r, value, want)
			case want != value:
				invented.addFailure("%s: %s is %s, sent was %s", from, r, value, want)
			}
			if seen[r] == 2 {
				kept.addFailure("%s: %s is there twice", from, r)
			}
		}
	}
	for r := range acked {
		kept.checked++
		if seen[r] == 0 {
			kept.addFailure("%s: %s, acknowledged, is not there", from, r)
		}
	}
	return []verdict{kept, invented}
}

// checkOrder holds that pages come newest first and never repeat a GPU's time.
func checkOrder(from string, answered []entry) verdict {
	v := verdict{promise: "history comes in order of record time, per series and over all", how: "the same pages, entry by entry"}
	last := map[string]time.Time{}
	for i, e := range answered {
		v.checked++
		if i > 0 && e.Timestamp.After(answered[i-1].Timestamp) {
			v.addFailure("%s: %s comes after %s, newest first", from, e.Timestamp, answered[i-1].Timestamp)
		}
		if at, there := last[e.ID]; there && !e.Timestamp.Before(at) {
			v.addFailure("%s: %s of %s comes after %s", from, e.Timestamp, e.ID, at)
		}
		last[e.ID] = e.Timestamp
	}
	return v
}
