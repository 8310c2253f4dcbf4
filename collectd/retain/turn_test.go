package retain

import (
	"testing"
	"testing/synctest"
	"time"
)

// Objects of all partitions together take a quarter of the time, more under pressure, and all of it where a partition is
// behind.
func TestObjectsRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &Keeper{turns: newObjectTurns()}
		take := func(behind bool, level int) func(time.Duration) {
			done, err := k.takeTurn(t.Context(), behind, level)
			if err != nil {
				t.Fatal(err)
			}
			return done
		}
		made := 0
		for began := time.Now(); time.Since(began) < 100*time.Second; time.Sleep(10 * time.Millisecond) {
			if done := take(false, 0); done != nil {
				made++
				time.Sleep(time.Second)
				done(time.Second)
			}
		}
		if made < 20 || made > 26 {
			t.Errorf("in 100 s there were %d turns of 1 s, want a quarter of the time", made)
		}
		done := take(true, 0)
		if done == nil {
			t.Fatal("a partition that is behind had to wait")
		}
		done(time.Second)
		if take(false, 0) != nil {
			t.Error("a turn came without a rest")
		}
		if done = take(false, restFactor); done == nil {
			t.Error("objects rest although etcd is full")
		}
		done(time.Second)
		if done, err := k.acquireWriter(t.Context()); err != nil {
			t.Error(err)
		} else {
			done(0)
		}
		if take(false, 0) != nil {
			t.Error("work of no time ended the rest")
		}
	})
}

// A stream is archived before there is a full object, so that partitions do not all come at once.
func TestStreamsAreArchivedEarly(t *testing.T) {
	k := &Keeper{cfg: Config{}.withDefaults()}
	k.pressure.measuredAt = time.Now().Add(time.Hour) // there is none
	for _, c := range []struct {
		records int64
		age     time.Duration
		due     bool
	}{
		{defaultArchiveRecords / 4, time.Second, false},
		{defaultArchiveRecords / 4, streamsFrom, true},
		{defaultArchiveRecords/4 - 1, streamsFrom, false},
		{defaultArchiveRecords, time.Second, true},
		{1, defaultArchiveInterval, true},
	} {
		p := partitionKeeper{Keeper: k, grownAt: time.Now()}
		p.pending = pendingRecords{records: c.records, since: time.Now().Add(-c.age)}
		if got := p.isArchiveDue(t.Context()); got != c.due {
			t.Errorf("%d records that wait for %v: due is %t", c.records, c.age, got)
		}
	}
}
