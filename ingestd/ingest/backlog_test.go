package ingest

import (
	"math/rand/v2"
	"testing"
	"time"

	"telemetry-pipeline/events"
)

func TestBacklogIsAsOldAsTheOldestUnfoldedAppend(t *testing.T) {
	start := time.Unix(0, 0)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	rev := func(n int64) events.Revision { return events.Revision{Number: n} }
	b := newBacklog()
	expect := func(what string, now, want int) {
		t.Helper()
		if got := b.oldestAge(at(now)); got != time.Duration(want)*time.Second {
			t.Errorf("%s: age %s, want %d s", what, got, want)
		}
	}
	expect("nothing appended", 5, 0)
	b.addAppend(1, rev(10), at(5))
	b.addAppend(2, rev(11), at(7))
	expect("two partitions", 10, 5)
	b.addAppend(1, rev(20), at(9))
	b.setFolded(1, rev(10))
	expect("one step folded", 10, 3)
	b.setFolded(2, rev(15))
	expect("one partition folded", 10, 1)
	b.addAppend(1, rev(18), at(10))
	b.setFolded(1, rev(20))
	expect("all folded", 10, 0)
	b.addAppend(1, rev(12), at(11))
	expect("an old event again", 20, 0)
}

// For any number of appends the backlog stays small, and is never younger than the oldest unfolded append, nor older
// than any append ever made.
func TestBacklogIsBoundedAndNeverTooYoung(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	type one struct {
		revision int64
		at       time.Time
	}
	for range 20 {
		b, now, start := newBacklog(), time.Unix(0, 0), time.Unix(0, 0)
		revision, folded := int64(0), int64(0)
		var all []one
		for range 3000 {
			now = now.Add(time.Duration(rng.IntN(3000)) * time.Millisecond)
			if rng.IntN(50) == 0 {
				folded = max(folded, revision-int64(rng.IntN(200)))
				b.setFolded(0, events.Revision{Number: folded})
			} else {
				revision += 1 + int64(rng.IntN(3))
				b.addAppend(0, events.Revision{Number: revision}, now)
				all = append(all, one{revision, now})
			}
			want := time.Duration(0)
			for _, o := range all {
				if o.revision > folded {
					want = now.Sub(o.at)
					break
				}
			}
			got := b.oldestAge(now)
			if got < want-backlogStep || got > now.Sub(start) || want == 0 && got != 0 {
				t.Fatalf("age %s, want at least %s", got, want)
			}
			if n := len(b.pending[0]); n > maxBacklogEntries {
				t.Fatalf("%d entries", n)
			}
		}
	}
}
