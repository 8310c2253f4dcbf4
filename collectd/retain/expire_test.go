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

// quarantineEvent writes the entry of an event, and returns it.
func (r *rig) quarantineEvent(ref events.Ref) snapshot.Quarantined {
	r.t.Helper()
	entry := snapshot.Quarantined{ID: snapshot.EntryIDOf(ref.Key, ref.Revision), Key: ref.Key, Revision: ref.Revision, Reason: "unfoldable"}
	r.save(snapshot.Commit{Quarantine: []snapshot.Quarantined{entry}})
	return entry
}

func (r *rig) save(c snapshot.Commit) {
	r.t.Helper()
	if err := r.saved.Save(r.t.Context(), r.part.Generation, r.part.ID, c); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) refs() []events.Ref {
	r.t.Helper()
	refs, _, err := r.log.List(r.t.Context(), events.Listing{Partition: r.part.ID, HasPartition: true, Upto: r.part.Folded().Upto, Limit: 100})
	if err != nil {
		r.t.Fatal(err)
	}
	return refs
}

// Without an archive events that could not be folded stay in the log until they are, and so do all events between the
// first and the last of a summary, which lists none.
func TestWithoutAnArchiveQuarantinedEventsStayInTheLog(t *testing.T) {
	r := newRig(t, small, false)
	r.appendEvents(eventstest.Events(r.host, 0, 40)...)
	refs := r.refs()
	entry := r.quarantineEvent(refs[0])
	sum := snapshot.Quarantined{
		ID: snapshot.SummaryID("unfoldable"), Reason: "unfoldable", Events: 2, Revision: refs[20].Revision, LastRevision: refs[30].Revision,
	}
	r.save(snapshot.Commit{Quarantine: []snapshot.Quarantined{sum}})
	work := newPartitionKeeper(r.keeper, r.part)
	r.expireAfter(work, 30)
	in := 0 // of the summary's range
	for _, ref := range refs {
		if ref.Revision.Number >= refs[20].Revision.Number && ref.Revision.Number <= refs[30].Revision.Number {
			in++
		}
	}
	if left := r.refs(); len(left) != 1+in || left[0] != refs[0] {
		t.Errorf("%d events are left in the log, want the quarantined one and the %d of the summary's range", len(left), in)
	}
	r.save(snapshot.Commit{Resolved: []snapshot.EntryID{entry.ID, sum.ID}})
	work.removed = events.Revision{} // an hour later
	r.expireAfter(work, 30)
	if left := r.refs(); len(left) != 0 {
		t.Errorf("%d events are left in the log after they left the quarantine", len(left))
	}
}

// With an archive they leave the log like the others, and their entries stay.
func TestArchivedQuarantinedEventsLeaveTheLog(t *testing.T) {
	r := newRig(t, small, true)
	r.appendEvents(eventstest.Events(r.host, 0, 40)...)
	entry := r.quarantineEvent(r.refs()[7])
	want := r.allRecords()
	r.runToIdle()
	if left := r.refs(); len(left) != 0 {
		t.Errorf("%d events are left in the log, want none", len(left))
	}
	if got := r.allRecords(); !maps.Equal(got, want) {
		t.Errorf("log and archive have %d records, want %d", len(got), len(want))
	}
	n := 0
	for q, err := range r.saved.Quarantined(t.Context(), r.part.Generation, r.part.ID) {
		if n++; err != nil || q.ID != entry.ID {
			t.Errorf("the quarantine has %+v (%v), want the entry", q, err)
		}
	}
	if n != 1 {
		t.Errorf("the quarantine has %d entries, want 1", n)
	}
}
