package manifest

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventstest"
)

func TestArchiveAndLogReadAsOne(t *testing.T) {
	r := newRig(t)
	r.appendEvents(0, 60)
	reader := NewReader(r.log, r.store, r.manifest)
	head := r.readHead()
	want := r.readKeys(reader, events.Revision{}, head)
	if len(want) != 60 {
		t.Fatalf("the log returned %d events, want 60", len(want))
	}
	p := r.loadPartition()
	check := func(what string) {
		t.Helper()
		if got := r.readKeys(reader, events.Revision{}, head); !slices.Equal(got, want) {
			t.Errorf("%s: got %d events, want the same %d", what, len(got), len(want))
		}
		for i := range p.Entries { // from every seam, and beside it
			for _, at := range []int64{p.Entries[i].First.Number - 1, p.Entries[i].First.Number, p.Entries[i].Last.Number} {
				after := r.manifest.revisionOf(at)
				got := append(r.readKeys(reader, events.Revision{}, after), r.readKeys(reader, after, head)...)
				if !slices.Equal(got, want) {
					t.Errorf("%s, in two parts at revision %d: got %d events, want %d", what, at, len(got), len(want))
				}
			}
		}
	}
	for range 4 {
		r.addEntry(&p, 10)
		check("archived")
	}
	r.deleteArchived(&p)
	check("removed from the log")
	if err := r.mergeEntries(&p, 0, 3); err != nil {
		t.Fatal(err)
	}
	check("merged")
	if err := r.manifest.Drop(t.Context(), &p, 1, r.guard); err != nil {
		t.Fatal(err)
	}
	if got := r.readKeys(reader, events.Revision{}, head); len(got) >= len(want) || !slices.Equal(got, want[len(want)-len(got):]) {
		t.Errorf("after the first entries were dropped: got %d events, want the last ones of %d", len(got), len(want))
	}
}

func TestWithoutTheArchiveNothingIsMissedSilently(t *testing.T) {
	r := newRig(t)
	r.appendEvents(0, 20)
	p := r.loadPartition()
	r.addEntry(&p, 10)
	r.deleteArchived(&p)
	var err error
	for _, err = range NewReader(r.log, nil, r.manifest).Read(t.Context(), r.p, events.Revision{}, r.readHead()) {
		if err != nil {
			break
		}
	}
	if !errors.Is(err, ErrNoArchive) {
		t.Errorf("got %v, want ErrNoArchive", err)
	}
	if got := r.readKeys(NewReader(r.log, nil, r.manifest), p.Head.At, r.readHead()); len(got) == 0 {
		t.Error("what is in the log is not given")
	}
}

// Readers that begin again and again while events come, are archived, merged and deleted miss none.
func TestReadersMissNothingOfWhatMovesUnderThem(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ctx.Err() == nil && i < 3000; i += 15 {
			r.appendEvents(i, 15)
		}
		cancel()
	})
	wg.Go(func() {
		for p := r.loadPartition(); ctx.Err() == nil; {
			if r.readHead().Number == p.Head.At.Number {
				continue
			}
			r.addEntry(&p, 20)
			r.deleteArchived(&p)
			if len(p.Entries) > 4 {
				if err := r.mergeEntries(&p, len(p.Entries)-4, len(p.Entries)); err != nil {
					t.Error(err)
					return
				}
			}
			for _, old := range p.Replaced { // at once: the worst case of a reader
				for _, name := range old.Objects {
					if err := r.store.Remove(context.Background(), name); err != nil {
						t.Error(err)
					}
				}
				if err := r.manifest.DeleteReplaced(context.Background(), &p, old, r.guard); err != nil {
					t.Error(err)
				}
			}
		}
	})
	reader := NewReader(r.log, r.store, r.manifest)
	rounds := 0
	for ; ctx.Err() == nil; rounds++ {
		r.mu.Lock()
		least := len(r.appended)
		r.mu.Unlock()
		head := r.readHead()
		got := r.readKeys(reader, events.Revision{}, head)
		if unique := slices.Compact(slices.Sorted(slices.Values(got))); len(unique) != len(got) || len(got) < least {
			t.Errorf("read %d events, %d different ones, of at least %d", len(got), len(unique), least)
		}
	}
	wg.Wait()
	if got := r.readKeys(reader, events.Revision{}, r.readHead()); len(got) != len(r.appended) || rounds < 3 {
		t.Errorf("at last %d events of %d, after %d rounds", len(got), len(r.appended), rounds)
	}
}

// leavingLog is a log that leave happens to as soon as a reader has turned to it.
type leavingLog struct {
	log
	leave func()
}

func (l *leavingLog) Read(ctx context.Context, p events.Partition, after, upto events.Revision) iter.Seq2[events.Event, error] {
	if leave := l.leave; leave != nil {
		l.leave = nil
		leave()
	}
	return l.log.Read(ctx, p, after, upto)
}

// The owner of a partition archives and removes events at the moment when a reader, having seen that the archive has none
// of them, turns to the log. The reader then reads the missing events from the archive.
func TestEventsThatLeaveUnderAReaderAreReadFromTheArchive(t *testing.T) {
	r := newRig(t)
	r.appendEvents(0, 20)
	p, upto := r.loadPartition(), r.readHead()
	moving := &leavingLog{log: r.log, leave: func() {
		r.addEntry(&p, 10)
		r.deleteArchived(&p)
	}}
	if got := r.readKeys(NewReader(moving, r.store, r.manifest), events.Revision{}, upto); len(got) != 20 || moving.leave != nil {
		t.Errorf("read %d events, want all 20", len(got))
	}
}

// A restored etcd has the manifest of before, under the positions of the log that it is now.
func TestEntriesOfBeforeARestoreAreRead(t *testing.T) {
	r := newRig(t)
	r.appendEvents(0, 20)
	p := r.loadPartition()
	r.addEntry(&p, 10)
	r.deleteArchived(&p)
	before := r.readKeys(NewReader(r.log, r.store, r.manifest), events.Revision{}, r.readHead())
	if _, err := eventstest.Etcd(t).Delete(t.Context(), r.cfg.Key("config")); err != nil {
		t.Fatal(err)
	}
	r.log = eventstest.OpenLog(t, r.cfg) // with another epoch
	r.manifest = New(eventstest.Etcd(t), r.cfg, r.log.Facts())
	p = r.loadPartition()
	reader := NewReader(r.log, r.store, r.manifest)
	if got := r.readKeys(reader, events.Revision{}, r.readHead()); !slices.Equal(got, before) {
		t.Errorf("got %d events, want the %d of before", len(got), len(before))
	}
	r.appendEvents(30, 10)
	r.addEntry(&p, 100)
	r.deleteArchived(&p)
	if got := r.readKeys(reader, events.Revision{}, r.readHead()); len(got) != 30 {
		t.Errorf("got %d events, want all 30", len(got))
	}
}

// ReadAt returns exactly the selected events that the archive has: damaged ones with their value, and one whose records
// a merge has dropped as repeats.
func TestSelectedRevisionsAreReadFromTheArchive(t *testing.T) {
	r := newRig(t)
	r.appendEvents(0, 5)
	key := r.cfg.Prefix("queue", r.p.String()) + "garbage"
	client := eventstest.Etcd(t)
	garbage, err := client.Put(t.Context(), key, "\x07garbage")
	if err != nil {
		t.Fatal(err)
	}
	p := r.loadPartition()
	r.addEntry(&p, 100)
	r.deleteArchived(&p)
	r.appendEvents(0, 5) // the same file again, since its events have left the log
	again := r.readHead().Number
	r.addEntry(&p, 100)
	r.deleteArchived(&p)
	r.appendEvents(10, 1) // in the log alone
	reader := NewReader(r.log, r.store, r.manifest)
	read := func(revisions ...int64) (got []events.Event) {
		t.Helper()
		for ev, err := range reader.ReadAt(t.Context(), r.p, revisions) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, ev)
		}
		return got
	}
	selected := []int64{1, garbage.Header.Revision, again, r.readHead().Number}
	check := func(records bool) {
		t.Helper()
		got := read(selected...)
		if len(got) < 2 || got[0].Key != key || got[0].Revision.Number != garbage.Header.Revision || !got[0].Revision.SameLog(r.readHead()) {
			t.Fatalf("got %+v, want the damaged event and what came again", got)
		}
		damage, found := errors.AsType[*events.DamageError](got[0].Damage)
		if !found || string(damage.Value) != "\x07garbage" {
			t.Errorf("the damaged event is %v, want its value", got[0].Damage)
		}
		for _, ev := range got[1:] {
			if ev.Revision.Number != again || (ev.Records() > 0) != records {
				t.Errorf("got an event of revision %d with %d records, want revision %d; records: %t", ev.Revision.Number, ev.Records(), again, records)
			}
		}
	}
	check(true)
	if err := r.mergeEntries(&p, 0, 2); err != nil {
		t.Fatal(err)
	}
	check(false)
	if err := r.manifest.Drop(t.Context(), &p, 1, r.guard); err != nil {
		t.Fatal(err)
	}
	if got := read(selected...); len(got) != 0 {
		t.Errorf("got %d events that the archive does not keep any longer", len(got))
	}
}
