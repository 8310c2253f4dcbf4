package retain

import (
	"maps"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/projections/snapshot"
)

// later moves the present on, as far as what expires is concerned.
func (r *rig) later(t *tenure, days int) {
	r.t.Helper()
	t.lookedAt, t.chunksAt = time.Time{}, time.Time{}
	upto, err := t.expire(r.t.Context(), time.Now().AddDate(0, 0, days))
	if err == nil {
		err = t.removeEvents(r.t.Context(), upto)
	}
	if err == nil {
		err = t.removeExpiredChunks(r.t.Context(), upto)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// Without an archive events and history stay for RETENTION_DAYS after their append, and then are gone, whatever the times
// of their records (those of eventstest are long past).
func TestWithoutAnArchiveRetentionCountsFromTheAppend(t *testing.T) {
	r := newRig(t, Config{RetentionDays: 3}, false)
	r.append(eventstest.Events(r.host, 0, 300)...)
	work := newTenure(r.keeper, r.part)
	want, chunks := r.all(), r.chunks()
	for range 2 {
		if _, err := work.work(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	r.later(work, 2)
	if got := r.all(); !maps.Equal(got, want) || r.chunks() != chunks {
		t.Fatalf("after two days %d records of %d are left, %d chunks of %d", len(got), len(want), r.chunks(), chunks)
	}
	r.later(work, 4)
	if got := r.all(); len(got) > 0 || r.chunks() > 0 {
		t.Errorf("after four days %d records and %d chunks are left, want none", len(got), r.chunks())
	}
	r.append(eventstest.Events(r.host, 500, 10)...)
	r.later(work, 2)
	if got := r.all(); len(got) != 20 || r.chunks() == 0 {
		t.Errorf("what came later: %d records and %d chunks, want 20 and some", len(got), r.chunks())
	}
}

// A collector that was not told of the archive that others write to must not let events expire that are not in it.
func TestWhereOthersArchiveNothingExpires(t *testing.T) {
	r := newRig(t, small, true)
	r.append(eventstest.Events(r.host, 0, 60)...)
	r.life()
	r.append(eventstest.Events(r.host, 60, 10)...)
	r.keeper.store = nil
	work := newTenure(r.keeper, r.part)
	if r.later(work, 1000); len(r.inLog()) != 20 || !work.told {
		t.Errorf("%d records of 20 are left in the log, told: %t", len(r.inLog()), work.told)
	}
}

// A generation that is being built reads the log, and has nothing else: it holds expired events back, for a while.
func TestAGenerationBeingBuiltHoldsExpiredEventsBack(t *testing.T) {
	r := newRig(t, Config{RetentionDays: 3}, false)
	r.append(eventstest.Events(r.host, 0, 50)...)
	all, err := r.saved.Generations(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	g, err := r.saved.Create(t.Context(), all, snapshot.ModelVersion, false)
	if err != nil {
		t.Fatal(err)
	}
	work := newTenure(r.keeper, r.part)
	r.later(work, 4)
	if got := len(r.all()); got != 100 || !work.held {
		t.Errorf("%d records are left of 100, held: %t", got, work.held)
	}
	r.later(work, 3*heldDays+1)
	if got := len(r.all()); got != 0 {
		t.Errorf("beyond the bound %d records are left", got)
	}
	r.append(eventstest.Events(r.host, 100, 10)...)
	r.later(work, 4)
	if all, err = r.saved.Generations(t.Context()); err != nil {
		t.Fatal(err)
	}
	held := len(r.all())
	if err := r.saved.Retire(t.Context(), g, all.All[g], evict(r.cfg)); err != nil {
		t.Fatal(err)
	}
	if r.later(work, 4); held != 20 || len(r.all()) != 0 || work.held {
		t.Errorf("%d records were held, %d are left once the generation is given up", held, len(r.all()))
	}
}

// What could not be folded stays in the log, archived or not, until it is.
func TestQuarantinedEventsStayInTheLog(t *testing.T) {
	for _, archived := range []bool{false, true} {
		r := newRig(t, small, archived)
		r.append(eventstest.Events(r.host, 0, 40)...)
		refs, _, err := r.log.List(t.Context(), events.Listing{Partition: r.part.ID, HasPartition: true, Upto: r.part.Folded().Upto, Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		entry := snapshot.Quarantined{ID: snapshot.EntryIDOf(refs[7].Key, refs[7].Revision), Key: refs[7].Key, Revision: refs[7].Revision, Reason: "unfoldable"}
		if err := r.saved.Save(t.Context(), r.part.Generation, r.part.ID, snapshot.Commit{Quarantine: []snapshot.Quarantined{entry}}); err != nil {
			t.Fatal(err)
		}
		work := newTenure(r.keeper, r.part)
		leave := func() {
			t.Helper()
			if archived {
				for range 30 {
					if _, err := work.work(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				return
			}
			r.later(work, 30)
		}
		leave()
		if left := r.inLog(); len(left) != 2 {
			t.Errorf("archived %t: %d records are left in the log, want the two of the quarantined event", archived, len(left))
		}
		if err := r.saved.Save(t.Context(), r.part.Generation, r.part.ID, snapshot.Commit{Resolved: []snapshot.EntryID{entry.ID}}); err != nil {
			t.Fatal(err)
		}
		work.removed = events.Revision{} // an hour later
		leave()
		if left := r.inLog(); len(left) != 0 {
			t.Errorf("archived %t: %d records are left in the log after the event left the quarantine", archived, len(left))
		}
	}
}
