package collect

import (
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventstest"
)

// Turns are given at once while there is credit, then at the pace of the load, and none is later than the bound.
func TestTurnsFollowTheLoad(t *testing.T) {
	for load, perSecond := range map[int64]int{0: mostCommits, manyEvents: leastCommits} {
		now := time.Now()
		var p commitPacer
		for i := range commitCredit {
			if next := p.reserveTurn(now, load); next.at.After(now) {
				t.Fatalf("load %d: turn %d is %v later, with credit left", load, i, next.at.Sub(now))
			}
		}
		last, reserved := now, 0
		for range 2 * perSecond {
			next := p.reserveTurn(now, load).at
			if next.Before(last) || next.After(now.Add(maxCommitPause)) {
				t.Fatalf("load %d: a turn is at %v after one at %v", load, next.Sub(now), last.Sub(now))
			}
			if last = next; next.Before(now.Add(maxCommitPause)) {
				reserved++
			}
		}
		if last != now.Add(maxCommitPause) || reserved < perSecond-1 || reserved > perSecond {
			t.Errorf("load %d: the last turn is at %v, want the bound, after %d others, want %d", load, last.Sub(now), reserved, perSecond)
		}
		later := now.Add(maxCommitPause + time.Duration(commitCredit+1)*time.Second/time.Duration(perSecond))
		if next := p.reserveTurn(later, 1).at; next.After(later) {
			t.Errorf("load %d: after a silence the turn is %v later", load, next.Sub(later))
		}
	}
}

// The pause between two commits grows with the load from one bound to the other.
func TestThePaceIsBetweenItsBounds(t *testing.T) {
	for load, want := range map[float64]float64{0: mostCommits, fewEvents: mostCommits, 650: 113.8, manyEvents: leastCommits, 1e9: leastCommits} {
		if got := 1 / commitEvery(load); math.Abs(got-want) > 0.1 {
			t.Errorf("with %g events a second there are %.1f commits, want %g", load, got, want)
		}
	}
}

// Chunks wait while many events keep coming, and not for the events of a single upload.
func TestChunksWaitUnderLoad(t *testing.T) {
	now := time.Now()
	var p commitPacer
	if got := p.reserveTurn(now, fewEvents).idle; got != idleDelay {
		t.Errorf("after an upload of %d events chunks wait %v", fewEvents, got)
	}
	for range 600 {
		now = now.Add(100 * time.Millisecond)
		p.reserveTurn(now, fewEvents/10)
	}
	if got := p.reserveTurn(now, 0).idle; got < loadedDelay*9/10 || got > loadedDelay {
		t.Errorf("after a minute of %d events a second chunks wait %v, want about %v", fewEvents, got, loadedDelay)
	}
	if got := p.reserveTurn(now.Add(time.Minute), 1).idle; got != idleDelay {
		t.Errorf("after a minute of silence chunks wait %v", got)
	}
}

// A collector of many partitions stores each event at once while few come; while many come it makes few commits, whether
// they are newest readings or late ones; and a partition that reads what it missed takes no turn from others.
func TestCommitsFollowTheEvents(t *testing.T) {
	for name, c := range map[string]struct {
		perSecond int
		late      bool
		least     int // commits in a second
		most      int
	}{
		"few":       {fewEvents / 2, false, fewEvents / 4, mostCommits},
		"many":      {manyEvents * 5 / 4, false, leastCommits / 2, 2 * leastCommits},
		"many late": {manyEvents * 5 / 4, true, leastCommits / 2, 2 * leastCommits},
	} {
		synctest.Test(t, func(t *testing.T) {
			const parts, seconds, settled = 64, 7, 4
			pacer := &commitPacer{}
			var rigs []*rig
			for range parts {
				r := newRig(t)
				r.appendEvents(eventstest.Event("host", 1000*seconds*manyEvents))
				collector := r.newCollector(Config{})
				collector.pacer = pacer
				stop := r.startCollector(collector, r.newRun())
				defer stop()
				rigs = append(rigs, r)
			}
			saves := func() (n int) {
				for _, r := range rigs {
					r.store.mu.Lock()
					n += r.store.saves
					r.store.mu.Unlock()
				}
				return n
			}
			before := 0
			for i := range seconds * c.perSecond {
				if i == settled*c.perSecond {
					before = saves()
				}
				at := 1000*seconds*manyEvents + i
				if c.late {
					at = i
				}
				rigs[i%parts].appendEvents(eventstest.Event("host", at))
				time.Sleep(time.Second / time.Duration(c.perSecond))
			}
			if got := (saves() - before) / (seconds - settled); got < c.least || got > c.most {
				t.Errorf("%s: with %d events a second there are %d commits, want %d to %d", name, c.perSecond, got, c.least, c.most)
			}
		})
	}
	var p commitPacer
	pace, now := commitPace{pacer: &p}, time.Now()
	pace.observeCommit(now, time.Millisecond, 1e6, true)
	if p.lately != 0 || p.credit != 0 {
		t.Errorf("a commit of what was missed took a turn: load %g", p.lately)
	}
	if pace.observeCommit(now, time.Millisecond, 1e6+5, false); p.lately != 5 {
		t.Errorf("after five more events the load is %g", p.lately)
	}
}

// While other partitions make many commits, a partition makes few of many events each, and stores its readings within the
// bound; everything is stored in the end.
func TestUnderLoadCommitsHoldManyEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		c := r.newCollector(Config{})
		stop := r.startCollector(c, r.newRun())
		const seconds, perSecond = 5, 20
		for i := range seconds * perSecond {
			for range commitCredit + leastCommits { // commits of others
				c.pacer.reserveTurn(time.Now(), manyEvents)
			}
			r.appendEvents(eventstest.Event(events.HostID(fmt.Sprint("host-", i%perSecond)), i))
			time.Sleep(time.Second / perSecond)
			r.store.mu.Lock()
			live := r.store.offsets.Live.Number
			r.store.mu.Unlock()
			if oldest := r.sent[max(0, i-perSecond-1)].Revision.Number; i > perSecond && live < oldest {
				t.Fatalf("after event %d the stored models are at %d, want them at %d at least", i, live, oldest)
			}
		}
		r.awaitStored()
		r.store.mu.Lock()
		saves := r.store.saves
		r.store.mu.Unlock()
		if saves > 2*seconds {
			t.Errorf("there were %d commits in %d seconds", saves, seconds)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		r.checkStored()
	})
}
