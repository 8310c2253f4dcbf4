package retain

import (
	"maps"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/projections/snapshot"
)

// expireAfter expires events and chunks as if days had passed.
func (r *rig) expireAfter(t *partitionKeeper, days int) {
	r.t.Helper()
	t.removalCheckedAt, t.chunksCheckedAt = time.Time{}, time.Time{}
	upto, err := t.expiredUpto(r.t.Context(), time.Now().AddDate(0, 0, days))
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

// Without an archive events and history stay for RETENTION_DAYS after their append and are then removed, even though
// their records (from eventstest) are long past.
func TestWithoutAnArchiveRetentionCountsFromTheAppend(t *testing.T) {
	r := newRig(t, Config{RetentionDays: 3}, false)
	r.appendEvents(eventstest.Events(r.host, 0, 300)...)
	work := newPartitionKeeper(r.keeper, r.part)
	want, chunks := r.allRecords(), r.chunkCount()
	for range 2 {
		if _, err := work.runOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	r.expireAfter(work, 2)
	if got := r.allRecords(); !maps.Equal(got, want) || r.chunkCount() != chunks {
		t.Fatalf("after two days %d records of %d are left, %d chunks of %d", len(got), len(want), r.chunkCount(), chunks)
	}
	r.expireAfter(work, 4)
	if got := r.allRecords(); len(got) > 0 || r.chunkCount() > 0 {
		t.Errorf("after four days %d records and %d chunks are left, want none", len(got), r.chunkCount())
	}
	r.appendEvents(eventstest.Events(r.host, 500, 10)...)
	r.expireAfter(work, 2)
	if got := r.allRecords(); len(got) != 20 || r.chunkCount() == 0 {
		t.Errorf("what came later: %d records and %d chunks, want 20 and some", len(got), r.chunkCount())
	}
}

// A collector without the setting of an archive that others write to must not let events expire that are not in it.
func TestWhereOthersArchiveNothingExpires(t *testing.T) {
	r := newRig(t, small, true)
	r.appendEvents(eventstest.Events(r.host, 0, 60)...)
	r.runToIdle()
	r.appendEvents(eventstest.Events(r.host, 60, 10)...)
	r.keeper.store = nil
	work := newPartitionKeeper(r.keeper, r.part)
	if r.expireAfter(work, 1000); len(r.inLog()) != 20 || !work.reportedArchive {
		t.Errorf("%d records of 20 are left in the log, reported: %t", len(r.inLog()), work.reportedArchive)
	}
}

// A generation that is being built reads the log, and has nothing else: it holds expired events back, for a while.
func TestAGenerationBeingBuiltHoldsExpiredEventsBack(t *testing.T) {
	r := newRig(t, Config{RetentionDays: 3}, false)
	r.appendEvents(eventstest.Events(r.host, 0, 50)...)
	all, err := r.saved.Generations(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	g, err := r.saved.Create(t.Context(), all, snapshot.ModelVersion, false)
	if err != nil {
		t.Fatal(err)
	}
	work := newPartitionKeeper(r.keeper, r.part)
	r.expireAfter(work, 4)
	if got := len(r.allRecords()); got != 100 || !work.held {
		t.Errorf("%d records are left of 100, held: %t", got, work.held)
	}
	r.expireAfter(work, 3*heldDays+1)
	if got := len(r.allRecords()); got != 0 {
		t.Errorf("beyond the bound %d records are left", got)
	}
	r.appendEvents(eventstest.Events(r.host, 100, 10)...)
	r.expireAfter(work, 4)
	if all, err = r.saved.Generations(t.Context()); err != nil {
		t.Fatal(err)
	}
	held := len(r.allRecords())
	if err := r.saved.Retire(t.Context(), g, all.All[g], evictOp(r.cfg)); err != nil {
		t.Fatal(err)
	}
	if r.expireAfter(work, 4); held != 20 || len(r.allRecords()) != 0 || work.held {
		t.Errorf("%d records were held, %d are left once the generation is given up", held, len(r.allRecords()))
	}
}

// Events that could not be folded stay in the log, archived or not, until they are.
func TestQuarantinedEventsStayInTheLog(t *testing.T) {
	for _, archived := range []bool{false, true} {
		r := newRig(t, small, archived)
		r.appendEvents(eventstest.Events(r.host, 0, 40)...)
		refs, _, err := r.log.List(t.Context(), events.Listing{Partition: r.part.ID, HasPartition: true, Upto: r.part.Folded().Upto, Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		entry := snapshot.Quarantined{ID: snapshot.EntryIDOf(refs[7].Key, refs[7].Revision), Key: refs[7].Key, Revision: refs[7].Revision, Reason: "unfoldable"}
		if err := r.saved.Save(t.Context(), r.part.Generation, r.part.ID, snapshot.Commit{Quarantine: []snapshot.Quarantined{entry}}); err != nil {
			t.Fatal(err)
		}
		work := newPartitionKeeper(r.keeper, r.part)
		leave := func() {
			t.Helper()
			if archived {
				for range 30 {
					if _, err := work.runOnce(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				return
			}
			r.expireAfter(work, 30)
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
