package retain

import (
	"maps"
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/eventstest"
)

// small archives the records of a few events at once, and lets everything leave etcd.
var small = Config{ArchiveRecords: 24, ArchiveInterval: time.Nanosecond, HotWindow: time.Nanosecond, MergeEntries: 3, KeepReplaced: time.Nanosecond}

// The archiver is killed before and after each of its changes, in the archive and in etcd: nothing is lost, the next
// one completes its work, and leftovers are reported.
func TestKillingTheArchiverBetweenAnyTwoStepsLosesNothing(t *testing.T) {
	stride := 1
	if testing.Short() {
		stride = 6 // the race detector sees the same code at each
	}
	for _, after := range []bool{false, true} {
		name := map[bool]string{false: "before", true: "after"}[after]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ended := false
			for at := 1; !ended; at += stride {
				if at > 100 {
					t.Fatal("there is no end of steps")
				}
				ended = killAt(t, at, after)
			}
		})
	}
}

// killAt kills the archiver at one step, and reports whether there are no more steps.
func killAt(t *testing.T, at int, after bool) (ended bool) {
	r := newRig(t, small, true)
	r.appendEvents(eventstest.Events(r.host, 0, 60)...)
	want := r.allRecords()
	r.faults.arm(at, after)
	r.runToIdle()
	ended = !r.faults.isKilled()
	if got := r.allRecords(); !maps.Equal(got, want) {
		t.Errorf("killed at step %d: %d records are left of %d", at, len(got), len(want))
	}
	r.checkArchive(t, at, true)
	r.faults.arm(0, false)
	r.runToIdle()
	p := r.loadManifest()
	switch got := r.allRecords(); {
	case !maps.Equal(got, want):
		t.Errorf("after step %d: %d records are left of %d", at, len(got), len(want))
	case len(r.inLog()) > 0:
		t.Errorf("after step %d: %d records are left in the log", at, len(r.inLog()))
	case r.chunkCount() > 0:
		t.Errorf("after step %d: %d chunks are left in etcd", at, r.chunkCount())
	case len(p.Replaced) > 0 || p.Head.Events != 60 || p.Head.Records != int64(len(want)) || len(p.Entries) > 3:
		t.Errorf("after step %d: the head has %+v in %d entries, %d notes of replaced objects", at, p.Head, len(p.Entries), len(p.Replaced))
	}
	r.checkArchive(t, at, false)
	return ended
}

// checkArchive compares the archive with the manifest: no listed object may be missing or damaged.
func (r *rig) checkArchive(t *testing.T, at int, killed bool) {
	t.Helper()
	var out strings.Builder
	err := Check{Deep: true}.Run(t.Context(), r.cfg, archive.Config{URL: r.url}, &out, nil)
	if err != nil {
		t.Errorf("step %d (killed: %t): %v\n%s", at, killed, err, out.String())
	}
	there := 0
	for o, err := range r.store.List(t.Context(), r.part.ID) {
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), o.Name) {
			there++ // it is listed, or waits for its removal
		}
	}
	p := r.loadManifest()
	want := 0
	for _, e := range p.Entries {
		want += len(e.Objects)
	}
	for _, one := range p.Replaced {
		for _, name := range one.Objects {
			for o, err := range r.store.List(t.Context(), r.part.ID) {
				if err != nil {
					t.Fatal(err)
				}
				if o.Name == name {
					want++
				}
			}
		}
	}
	if there != want {
		t.Errorf("step %d (killed: %t): %d objects are not reported, %d have a reason to be there:\n%s", at, killed, there, want, out.String())
	}
}

// Another owner takes over while one still writes: it can list and delete nothing.
func TestAnOwnerThatLostItsClaimChangesNothing(t *testing.T) {
	r := newRig(t, small, true)
	r.appendEvents(eventstest.Events(r.host, 0, 60)...)
	if _, err := eventstest.Etcd(t).Delete(t.Context(), r.cfg.Key("owners", "g", "001")); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); r.keeper.Keep(t.Context(), r.part) }()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("it goes on without its claim")
	}
	if p := r.loadManifest(); len(p.Entries) != 0 || p.Head.At != (events.Revision{}) || len(r.inLog()) != 120 {
		t.Errorf("it listed %d entries and left %d records in the log", len(p.Entries), len(r.inLog()))
	}
}
