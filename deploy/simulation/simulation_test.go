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
	within    = flag.Duration("within", 40*time.Second, "how long schedules are begun, where their number is not set")
)

// TestSchedules breaks the pipeline by one seed after the other.
func TestSchedules(t *testing.T) {
	began := time.Now()
	if testing.Short() {
		*schedules = 50
	}
	var next, done atomic.Uint64
	more := func() (seed uint64, ok bool) {
		n := next.Add(1) - 1
		return *firstSeed + n, !t.Failed() && (n < uint64(*schedules) || *schedules == 0 && time.Since(began) < *within)
	}
	t.Run("all", func(t *testing.T) {
		for i := range runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint("worker ", i), func(t *testing.T) {
				t.Parallel()
				for seed, ok := more(); ok; seed, ok = more() {
					t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { simulate(t, seed) })
					done.Add(1)
				}
			})
		}
	})
	t.Logf("%d schedules in %s", done.Load(), time.Since(began).Round(time.Millisecond))
}

// simulate runs the schedule of a seed in a bubble.
func simulate(t *testing.T, seed uint64) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, seed, dir)
		all := plan(seed)
		w.run(all)
		w.heal()
		w.settle()
		w.audit()
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
