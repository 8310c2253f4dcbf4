package main

import (
	"slices"
	"testing"
	"time"
)

func TestScheduleOfASeed(t *testing.T) {
	for seed := range uint64(200) {
		checkSchedule(t, seed, nil)
		checkSchedule(t, seed, planUpgrade(seed, time.Minute))
	}
}

// checkSchedule checks that the faults and exchanges of a minute leave no track out, and overlap on none.
func checkSchedule(t *testing.T, seed uint64, exchanges []fault) {
	t.Helper()
	plan := planFaults(seed, time.Minute, 5*time.Second, exchanges)
	if len(plan)-len(exchanges) < 15 {
		t.Errorf("seed %d: %d faults in a minute, want at least 15", seed, len(plan)-len(exchanges))
	}
	if !slices.Equal(plan, planFaults(seed, time.Minute, 5*time.Second, exchanges)) {
		t.Errorf("seed %d gave two schedules", seed)
	}
	busy, kinds := map[string]time.Duration{}, map[string]int{}
	for _, f := range plan {
		if f.at < busy[f.hits()] || f.at < warmUp || f.endTime() > time.Minute {
			t.Errorf("seed %d: %s overlaps another of its track, or the end", seed, f)
		}
		busy[f.hits()] = f.endTime()
		kinds[f.track]++
	}
	for _, track := range faultTracks(5 * time.Second) {
		if kinds[track.name] == 0 {
			t.Errorf("seed %d: nothing happens to %s", seed, track.name)
		}
	}
}

func TestALongRunHasEveryKindOfFault(t *testing.T) {
	kinds := map[string]bool{}
	for _, f := range planFaults(1, 3*time.Minute, 5*time.Second, nil) {
		kinds[f.kind] = true
	}
	for _, track := range faultTracks(5 * time.Second) {
		for _, k := range track.kinds {
			if !kinds[k.name] {
				t.Errorf("three minutes have no %q", k.name)
			}
		}
	}
}

func TestQuantilesAndGaps(t *testing.T) {
	if got := quantile([]time.Duration{3, 1, 2}, 0.5); got != 2 {
		t.Errorf("median %d, want 2", got)
	}
	if got := quantile(nil, 0.5); got != 0 {
		t.Errorf("median of nothing %d, want 0", got)
	}
	at := func(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }
	if got := longestGap([]time.Time{at(5), at(1), at(20)}, at(0), at(7)); got != 4*time.Second {
		t.Errorf("longest gap %s, want 4s", got)
	}
	if got := longestGap(nil, at(0), at(7)); got != 7*time.Second {
		t.Errorf("longest gap of nothing %s, want all of it", got)
	}
}
