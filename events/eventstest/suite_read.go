package eventstest

import (
	"errors"
	"slices"
	"testing"

	"telemetry-pipeline/events"
)

func testRoundTrip(t *testing.T, s Subject) {
	want := []events.Event{Event("h1", 1), BigEvent("h1", 2, 1000), Event("h1", 3)}
	for _, e := range want {
		mustAppend(t, s, e)
	}
	got := readAll(t, s, events.PartitionOf("h1", s.Facts().Partitions), events.Revision{})
	for _, e := range got {
		if e.Damage != nil || e.AppendedAt == 0 || e.Key == "" {
			t.Errorf("event %s: damage %v, appended at %d", e.Key, e.Damage, e.AppendedAt)
		}
	}
	sameEvents(t, got, want)
}

func testReadInOrder(t *testing.T, s Subject) {
	hosts := HostsOf(0, s.Facts().Partitions, 3)
	for i := range 20 { // record times go back while revisions go on
		for _, h := range hosts {
			mustAppend(t, s, Event(h, 100-i))
		}
	}
	mustAppend(t, s, append(Events(hosts[1], 200, 10), Events(hosts[0], 200, 10)...)...)
	got := readAll(t, s, 0, events.Revision{})
	if len(got) != 80 {
		t.Errorf("got %d events, want 80", len(got))
	}
	if !inOrder(got) {
		t.Errorf("not in order of revision and key: %q", keysOf(got))
	}
}

// testReadBounds reads every interval of revisions.
func testReadBounds(t *testing.T, s Subject) {
	p := events.PartitionOf("h1", s.Facts().Partitions)
	marks := []events.Revision{{}}
	for i := range 6 {
		marks = append(marks, mustAppend(t, s, Event("h1", i))[0].Revision)
	}
	for i, after := range marks {
		for j, upto := range marks {
			got := collectEvents(t, s.Read(t.Context(), p, after, upto))
			if want := max(0, j-i); len(got) != want {
				t.Errorf("after event %d up to event %d: got %d events, want %d", i, j, len(got), want)
			}
			for k, e := range got {
				if e.Revision != marks[i+1+k] {
					t.Errorf("after event %d up to event %d: event %d has revision %d, want %d", i, j, k, e.Revision.Number, marks[i+1+k].Number)
				}
			}
		}
	}
	beyond := marks[len(marks)-1]
	beyond.Number += 1000
	if got := collectEvents(t, s.Read(t.Context(), p, marks[0], beyond)); len(got) != 6 {
		t.Errorf("up to beyond the head: got %d events, want 6", len(got))
	}
}

// testReadBigPages reads more than two pages by number and by bytes.
func testReadBigPages(t *testing.T, s Subject) {
	p := events.PartitionOf("h1", s.Facts().Partitions)
	want := Events("h1", 0, 150)
	for i := range 12 {
		want = append(want, BigEvent("h1", 1000+i, 100<<10))
	}
	want = append(want, Events("h1", 2000, 100)...)
	var keys []string
	for e := range slices.Chunk(want, 25) {
		for _, a := range mustAppend(t, s, e...) {
			keys = append(keys, a.Key)
		}
	}
	got := readAll(t, s, p, events.Revision{})
	if !inOrder(got) {
		t.Error("not in order of revision and key")
	}
	gotKeys := keysOf(got)
	slices.Sort(gotKeys)
	slices.Sort(keys)
	if !slices.Equal(gotKeys, keys) {
		t.Errorf("got %d events, want the %d appended", len(gotKeys), len(keys))
	}
}

func testReadLeft(t *testing.T, s Subject) {
	mustAppend(t, s, Events("h1", 0, 200)...)
	head := mustHead(t, s)
	n := 0
	for _, err := range s.Read(t.Context(), events.PartitionOf("h1", s.Facts().Partitions), events.Revision{}, head) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("got %d events, want 3", n)
	}
}

func testReadDeleted(t *testing.T, s Subject) {
	p := events.PartitionOf("h1", s.Facts().Partitions)
	first := mustAppend(t, s, Events("h1", 0, 5)...)
	s.Delete(first[2].Key)
	if got := readAll(t, s, p, events.Revision{}); len(got) != 4 {
		t.Errorf("after one deletion: got %d events, want 4", len(got))
	}
	back := mustAppend(t, s, Event("h1", 2))[0]
	if !back.Created || back.Revision == first[2].Revision {
		t.Errorf("an event that was removed: got %+v, want it created again", back)
	}
	got := readAll(t, s, p, events.Revision{})
	if len(got) != 5 || got[4].Key != first[2].Key || got[4].Damage != nil {
		t.Errorf("after it was created again: got %q, want it last and whole", keysOf(got))
	}
}

func testReadCompacted(t *testing.T, s Subject) {
	p := events.PartitionOf("h1", s.Facts().Partitions)
	mark := mustAppend(t, s, Events("h1", 0, 10)...)[0].Revision
	mustAppend(t, s, Events("h1", 10, 10)...)
	s.Compact()
	if got := readAll(t, s, p, events.Revision{}); len(got) != 20 {
		t.Errorf("from the beginning: got %d events, want 20", len(got))
	}
	if got := readAll(t, s, p, mark); len(got) != 10 {
		t.Errorf("from the middle: got %d events, want 10", len(got))
	}
	n := 0
	for _, err := range s.Read(t.Context(), p, events.Revision{}, mustHead(t, s)) { // and while it is read
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 1 {
			mustAppend(t, s, Event("h1", 99))
			s.Compact()
		}
	}
	if n != 20 {
		t.Errorf("with a compaction in the middle: got %d events, want 20", n)
	}
}

func testPartitions(t *testing.T, s Subject) {
	count := s.Facts().Partitions
	for p := range min(4, count) {
		for i, h := range HostsOf(events.Partition(p), count, 3) {
			mustAppend(t, s, Event(h, i))
		}
	}
	for p := range min(4, count) {
		got := readAll(t, s, events.Partition(p), events.Revision{})
		if len(got) != 3 {
			t.Errorf("partition %d: got %d events, want 3", p, len(got))
		}
		for _, e := range got {
			if q := events.PartitionOf(e.Host, count); int(q) != p {
				t.Errorf("partition %d returned an event of host %s, which is of partition %d", p, e.Host, q)
			}
		}
	}
}

func testForeign(t *testing.T, s Subject) {
	here := mustAppend(t, s, Event("h1", 1))[0].Revision
	otherEpoch, otherCluster := here, here
	otherEpoch.Epoch++
	otherCluster.Cluster++
	for _, there := range []events.Revision{otherEpoch, otherCluster} {
		wantError(t, "Read after a foreign position", firstError(s.Read(t.Context(), 0, there, here)), events.ErrForeign)
		wantError(t, "Read up to a foreign position", firstError(s.Read(t.Context(), 0, events.Revision{}, there)), events.ErrForeign)
		wantError(t, "Watch after a foreign position", firstError(s.Watch(t.Context(), 0, there)), events.ErrForeign)
	}
}

func testFuture(t *testing.T, s Subject) {
	after := mustHead(t, s)
	after.Number += 1000
	upto := after
	upto.Number++
	wantError(t, "Read after the future", firstError(s.Read(t.Context(), 0, after, upto)), events.ErrForeign)
	wantError(t, "Watch after the future", firstError(s.Watch(t.Context(), 0, after)), events.ErrForeign)
}

// testDamage puts values that Append never would, and reads and watches past them.
func testDamage(t *testing.T, s Subject) {
	count := s.Facts().Partitions
	p := events.Partition(1 % count)
	hosts := HostsOf(p, count, 2)
	start := mustHead(t, s)
	first := mustAppend(t, s, Event(hosts[0], 1))[0]
	overwritten := mustAppend(t, s, Event(hosts[0], 2))[0]
	s.Put(overwritten.Key, []byte("{}"))
	model := mustAppend(t, s, Event(hosts[0], 3), Event(hosts[1], 4))
	other := readAll(t, s, p, start)
	s.Delete(model[0].Key)
	s.Put(model[0].Key, []byte{0xee, 1, 2, 3}) // an unknown encoding
	s.Delete(model[1].Key)
	s.Put(model[1].Key, nil)
	bad := first.Key[:len(first.Key)-1] + "/nonsense"
	s.Put(bad, []byte("nonsense"))
	last := mustAppend(t, s, Event(hosts[1], 9))[0]

	want := map[string]bool{first.Key: false, overwritten.Key: true, model[0].Key: true, model[1].Key: true, bad: true, last.Key: false}
	check := func(how string, got []events.Event) {
		t.Helper()
		damaged := make(map[string]bool)
		for _, e := range got {
			damaged[e.Key] = e.Damage != nil
			if e.Revision.Number == 0 || e.Damage != nil && len(e.Columns) > 0 {
				t.Errorf("%s: %s has revision %d and %d columns", how, e.Key, e.Revision.Number, len(e.Columns))
			}
			if damage, found := errors.AsType[*events.DamageError](e.Damage); e.Key == bad && (!found || string(damage.Value) != "nonsense") {
				t.Errorf("%s: damage of %s is %#v, want a DamageError with the stored value", how, e.Key, e.Damage)
			}
			if e.Damage != nil && e.Key != bad && e.Host == "" {
				t.Errorf("%s: damaged %s has no host", how, e.Key)
			}
			if e.Key == overwritten.Key && e.Damage != nil {
				wantError(t, how+" of the overwritten event", e.Damage, events.ErrOverwritten)
			}
		}
		for key, d := range want {
			if is, found := damaged[key]; !found || is != d {
				t.Errorf("%s: %s: got found %t, damaged %t, want damaged %t", how, key, found, is, d)
			}
		}
	}
	if len(other) != 4 {
		t.Errorf("before the rest was damaged: got %d events, want 4", len(other))
	}
	check("read", readAll(t, s, p, events.Revision{}))
	check("watch", watchUntil(t, s, p, start, func(evs []events.Event, _ events.Revision) bool {
		return slices.Contains(keysOf(evs), last.Key)
	}))
}
