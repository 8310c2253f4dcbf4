package retain

import (
	"fmt"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/archive/manifest"
)

// planned is an entry for a plan: thousands of records, days ago, merged or not.
type planned struct {
	thousands, daysAgo int
	merged             bool
}

func entriesOf(now time.Time, all []planned) (entries []manifest.Listed) {
	next := events.Revision{Epoch: 1, Cluster: 1, Number: 1}
	for _, one := range all {
		e := archive.Entry{First: next, Last: next, Records: int64(one.thousands) * 1000, Events: 1}
		e.AppendedTo = events.TimestampOf(now.AddDate(0, 0, -one.daysAgo))
		if one.merged {
			e.Objects = []archive.Object{{Kind: archive.Hours}}
		}
		next.Number++
		entries = append(entries, manifest.Listed{Entry: e})
	}
	return entries
}

func TestPlanOfMerges(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	many := func(n int, one planned) (all []planned) {
		for range n {
			all = append(all, one)
		}
		return all
	}
	fresh, full := planned{thousands: 10}, planned{thousands: 900, merged: true}
	for name, c := range map[string]struct {
		entries  []planned
		quiet    bool
		from, to int
	}{
		"nothing":                                    {nil, true, 0, 0},
		"one":                                        {[]planned{fresh}, false, 0, 0},
		"a few of today":                             {many(4, fresh), false, 0, 0},
		"many of today":                              {many(12, fresh), false, 0, 12},
		"a day that is over":                         {[]planned{{10, 1, false}, {10, 1, false}, fresh}, false, 0, 2},
		"the second day that is over":                {[]planned{{10, 2, true}, {10, 1, false}, {10, 1, false}, fresh}, false, 1, 3},
		"one entry of each day":                      {[]planned{{10, 3, true}, {10, 2, true}, {10, 1, true}}, false, 0, 0},
		"enough for a full one":                      {[]planned{{400, 0, false}, {400, 0, false}, fresh}, false, 0, 2},
		"enough days for a full one":                 {[]planned{{300, 3, true}, {300, 2, true}, {200, 1, true}, fresh}, false, 0, 3},
		"full as written":                            {[]planned{{800, 0, false}}, false, 0, 1},
		"full and merged":                            {[]planned{full, full}, true, 0, 0},
		"two between full ones":                      {[]planned{full, fresh, fresh, full}, false, 1, 3},
		"one between full ones":                      {[]planned{full, fresh, full}, false, 1, 2},
		"one between full ones, merged":              {[]planned{full, {10, 0, true}, full}, true, 0, 0},
		"behind a full one":                          {[]planned{full, fresh, fresh}, false, 0, 0},
		"an upload is over":                          {[]planned{{50, 0, false}}, true, 0, 1},
		"a small upload is over":                     {many(3, fresh), true, 0, 0},
		"a little behind much that was merged":       {[]planned{{500, 0, true}, {50, 0, false}}, true, 1, 2},
		"a little more behind what was merged":       {[]planned{{100, 0, true}, {60, 0, false}}, true, 0, 2},
		"a small one before one that does not fit":   {[]planned{{600, 0, true}, {690, 0, true}, fresh}, false, 1, 3},
		"as many as one transaction takes away, say": {many(manifest.MaxReplaced+5, fresh), false, 0, manifest.MaxReplaced},
	} {
		from, to := planMerge(entriesOf(now, c.entries), now, c.quiet, defaultMergeEntries)
		if from != c.from || to != c.to {
			t.Errorf("%s: entries %d to %d, want %d to %d", name, from, to, c.from, c.to)
		}
	}
}

// With any sizes merging ends, keeps the order, and leaves few entries; a record is merged a few times at most.
func TestPlansEnd(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for _, thousands := range []int{0, 1, 7, 45, 130, 400, 900} {
		t.Run(fmt.Sprint(thousands), func(t *testing.T) {
			var all []planned
			written := 0
			for i := range 400 {
				all = append(all, planned{thousands: thousands})
				if i%24 == 23 { // the day ends
					for j := range all {
						all[j].daysAgo++
					}
				}
				for steps := 0; ; steps++ {
					from, to := planMerge(entriesOf(now, all), now, i%3 == 0, defaultMergeEntries)
					if from == to {
						break
					}
					if steps > 100 {
						t.Fatal("merging does not end")
					}
					one := planned{daysAgo: all[to-1].daysAgo, merged: true}
					for _, e := range all[from:to] {
						one.thousands += e.thousands
					}
					if one.thousands > mergedRecords/1000 {
						t.Fatalf("%d thousand records in one", one.thousands)
					}
					written += one.thousands
					all = append(all[:from:from], append([]planned{one}, all[to:]...)...)
				}
			}
			if len(all) > 40+400*thousands*1000/fullRecords {
				t.Errorf("%d entries are left", len(all))
			}
			if total := 400 * thousands; written > 8*total {
				t.Errorf("merges wrote %d thousand records of %d", written, total)
			}
		})
	}
}
