package simulation

import (
	"flag"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var (
	schedules = flag.Int("schedules", 0, "how many schedules are run; 0: as many as fit into -within")
	firstSeed = flag.Uint64("seed", 1, "the seed of the first schedule; the next ones follow")
	within    = flag.Duration("within", 10*time.Second, "how long schedules are begun, where their number is not set")
)

// TestSchedules breaks the pipeline by one seed after the other.
func TestSchedules(t *testing.T) {
	began := time.Now()
	number := *schedules
	if testing.Short() && number == 0 {
		number = 50
	}
	var next, done atomic.Uint64
	var seen eventCounts
	more := func() (seed uint64, ok bool) {
		n := next.Add(1) - 1
		return *firstSeed + n, !t.Failed() && (n < uint64(number) || number == 0 && time.Since(began) < *within)
	}
	t.Run("all", func(t *testing.T) {
		for i := range runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint("worker ", i), func(t *testing.T) {
				t.Parallel()
				for seed, ok := more(); ok; seed, ok = more() {
					t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { simulate(t, seed, &seen) })
					done.Add(1)
				}
			})
		}
	})
	t.Logf("%d schedules in %s; %v", done.Load(), time.Since(began).Round(time.Millisecond), &seen)
	if done.Load() >= 200 && !t.Failed() {
		for k := range often {
			if seen[k].Load() == 0 {
				t.Errorf("in %d schedules there was not one %s: the simulation has become harmless", done.Load(), k)
			}
		}
	}
}

// simulate runs the schedule of a seed in a bubble.
func simulate(t *testing.T, seed uint64, seen *eventCounts) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, seed, dir, seen)
		all := plan(seed)
		w.run(all)
		w.heal()
		w.awaitQuiet()
		w.checkInstants()
		if len(w.failures) == 0 {
			w.check()
		}
		w.close()
		if len(w.failures) > 0 {
			t.Errorf("seed %d broke promises:\n%s\nschedule:\n%s\nwhat happened:\n  %s\nreplay: go test ./deploy/simulation -run TestSchedules -seed %d -schedules 1",
				seed, strings.Join(w.failures, "\n"), all, strings.Join(w.notes, "\n  "), seed)
		}
	})
}
