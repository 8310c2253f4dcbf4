package collect

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventstest"
)

// TestRepeatedReadingsDoNotFillMemory: one repeat per host loads its window into the cache, and all records folded
// later belong there too.
func TestRepeatedReadingsDoNotFillMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		c := r.newCollector(Config{BufferSize: 1_000_000})
		f := newFollower(c, 0, noGuard{}, r.newRun(), &lagState{behind: new(atomic.Int64)}, c.lg)
		stored, err := c.store.LoadPartition(t.Context(), "g1", 0)
		if err != nil {
			t.Fatal(err)
		}
		f.state = newState(c.cfg, stored, func() int64 { return 0 })
		fold := func(ev events.Event) {
			if failed, err := f.foldEvent(t.Context(), &ev, 1); err != nil || failed != nil {
				t.Fatal(failed, err)
			}
		}
		for h := range 70 {
			host := events.HostID(fmt.Sprintf("host-%d", h))
			first := eventstest.Event(host, 0)
			fold(first)
			first.Sequence[0]++
			fold(first) // all of it is stored already
			for i := 1; i < 1000; i++ {
				fold(eventstest.Event(host, i))
			}
			for range 3 {
				fold(first)
			}
		}
		if f.lateWindows.records > maxCachedRecords {
			t.Errorf("%d records cached, bound %d", f.lateWindows.records, maxCachedRecords)
		}
		held := 0
		for _, series := range f.lateWindows.series {
			held += series.Records()
		}
		if held != f.lateWindows.records || held == 0 {
			t.Errorf("cache counts %d records and holds %d", f.lateWindows.records, held)
		}
	})
}

// A window stays cached for as long as late records come, and leaves soon after the last one although its host goes on;
// records that come late afterwards are still known.
func TestWindowsWithoutLateRecordsLeaveTheCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		c := r.newCollector(Config{})
		f := newFollower(c, 0, noGuard{}, r.newRun(), &lagState{behind: new(atomic.Int64)}, c.lg)
		stored, err := c.store.LoadPartition(t.Context(), "g1", 0)
		if err != nil {
			t.Fatal(err)
		}
		f.state = newState(c.cfg, stored, func() int64 { return 0 })
		fold := func(ev events.Event) {
			t.Helper()
			if failed, err := f.foldEvent(t.Context(), &ev, 1); err != nil || failed != nil {
				t.Fatal(failed, err)
			}
			f.endBatch()
		}
		for i := range 60 {
			time.Sleep(time.Second)
			fold(eventstest.Event("a", i+1))
			if i < 30 {
				fold(eventstest.Event("a", i))
			}
			if cached := len(f.lateWindows.series) > 0; i < 30+int(keptLate/time.Second)-1 && i > 0 && !cached || i > 30+int(keptLate/time.Second) && cached {
				t.Errorf("after %d s the window is cached: %t", i, cached)
			}
		}
		if n := len(f.lateWindows.usedAt) + len(f.lateWindows.order) + f.lateWindows.records; n > 0 {
			t.Errorf("an empty cache counts %d", n)
		}
		before := f.state.records
		if fold(eventstest.Event("a", 40)); f.state.records != before {
			t.Errorf("a record that is folded already came in again: %d pending, before %d", f.state.records, before)
		}
	})
}
