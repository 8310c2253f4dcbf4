package eventstest

import (
	"testing"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
)

func testCreateOnce(t *testing.T, s Subject) {
	first := mustAppend(t, s, Event("h1", 1))[0]
	if !first.Created {
		t.Error("the first append of an event did not create it")
	}
	if first.Revision.Number == 0 || !first.Revision.SameLog(mustHead(t, s)) {
		t.Errorf("got revision %+v, want one of this log", first.Revision)
	}
	mustAppend(t, s, Event("h1", 2))
	again := mustAppend(t, s, Event("h1", 1))[0]
	if want := (eventlog.Appended{Revision: first.Revision, Key: first.Key}); again != want {
		t.Errorf("the second append returned %+v, want %+v", again, want)
	}
	mixed := mustAppend(t, s, Event("h1", 2), Event("h1", 3), Event("h1", 1))
	for i, want := range []bool{false, true, false} {
		if mixed[i].Created != want {
			t.Errorf("event %d of a mixed append: got created %t, want %t", i, mixed[i].Created, want)
		}
	}
}

func testRepeatWithin(t *testing.T, s Subject) {
	got := mustAppend(t, s, Event("h1", 1), Event("h2", 1), Event("h1", 1))
	if !got[0].Created || !got[1].Created || got[2].Created {
		t.Errorf("got created %t, %t, %t, want true, true, false", got[0].Created, got[1].Created, got[2].Created)
	}
	if got[2].Revision != got[0].Revision || got[2].Key != got[0].Key {
		t.Errorf("the repeat is %+v, want the key and revision of %+v", got[2], got[0])
	}
	p := events.PartitionOf("h1", s.Facts().Partitions)
	n := 0
	for _, e := range readAll(t, s, p, events.Revision{}) {
		if e.Host == "h1" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("the log has the event %d times, want once", n)
	}
}

// testResultsInOrder appends more events than fit into one transaction, some of which exist already.
func testResultsInOrder(t *testing.T, s Subject) {
	evs := Events("h1", 0, 300)
	there := make(map[int]eventlog.Appended)
	for _, i := range []int{0, 63, 64, 200, 299} {
		there[i] = mustAppend(t, s, evs[i])[0]
	}
	byKey := make(map[string]events.Revision)
	for i, got := range mustAppend(t, s, evs...) {
		if want, found := there[i]; found && (got.Created || got.Revision != want.Revision) {
			t.Errorf("event %d: got %+v, want the one that was there, %+v", i, got, want)
		} else if !found && !got.Created {
			t.Errorf("event %d was not created", i)
		}
		byKey[got.Key] = got.Revision
	}
	if len(byKey) != len(evs) {
		t.Errorf("got %d different keys, want %d", len(byKey), len(evs))
	}
	for _, e := range readAll(t, s, events.PartitionOf("h1", s.Facts().Partitions), events.Revision{}) {
		if byKey[e.Key] != e.Revision {
			t.Errorf("%s: read at revision %d, appended at %d", e.Key, e.Revision.Number, byKey[e.Key].Number)
		}
	}
}

func testAppendNothing(t *testing.T, s Subject) {
	before := mustHead(t, s)
	if got := mustAppend(t, s); len(got) != 0 {
		t.Errorf("got %d results for no events", len(got))
	}
	if after := mustHead(t, s); after != before {
		t.Errorf("the head moved from %d to %d", before.Number, after.Number)
	}
}
