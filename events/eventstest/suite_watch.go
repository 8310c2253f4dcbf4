package eventstest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"telemetry-pipeline/events"
)

// testSeam reads up to a position, watches from it, and looks for gaps and repeats; the watch begins
// before, at and after the head.
func testSeam(t *testing.T, s Subject) {
	p := events.PartitionOf("h1", s.Facts().Partitions)
	var marks []events.Revision
	for i := range 30 {
		marks = append(marks, mustAppend(t, s, Event("h1", i))[0].Revision)
	}
	for _, at := range []int{0, 12, 28, 29} {
		var wg sync.WaitGroup
		defer wg.Wait()
		if at == 29 { // with appends while it runs
			wg.Go(func() {
				for i := 30; i < 60; i++ {
					if _, err := s.Append(t.Context(), Events("h1", i, 1)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		got := collectEvents(t, s.Read(t.Context(), p, events.Revision{}, marks[at]))
		want := 30
		if at == 29 {
			want = 60
		}
		got = append(got, followEvents(t, s, p, marks[at], want-at-1)...)
		wg.Wait()
		if len(got) != want || !inOrder(got) {
			t.Errorf("read up to event %d, then watch: got %d events, in order %t, want %d in order", at, len(got), inOrder(got), want)
		}
	}
}

// testProgress waits until a partition without events is known to have none.
func testProgress(t *testing.T, s Subject) {
	count := s.Facts().Partitions
	quiet, busy := events.Partition(1%count), HostsOf(2%events.Partition(count), count, 1)[0]
	start := mustHead(t, s)
	want := mustAppend(t, s, Event(busy, 1))[0].Revision
	evs := watchUntil(t, s, quiet, start, func(_ []events.Event, upto events.Revision) bool { return upto.Number >= want.Number })
	if len(evs) != 0 {
		t.Errorf("a partition without events returned %d", len(evs))
	}
}

func testWatchCompacted(t *testing.T, s Subject) {
	p := events.PartitionOf("h1", s.Facts().Partitions)
	start := mustHead(t, s)
	mustAppend(t, s, Events("h1", 0, 3)...)
	mustAppend(t, s, Events("h1", 3, 3)...)
	s.Compact()
	ctx, cancel := context.WithTimeout(t.Context(), maxWait)
	defer cancel()
	wantError(t, "Watch after a compacted position", firstError(s.Watch(ctx, p, start)), events.ErrCompacted)

	head := mustHead(t, s) // as ErrCompacted requires: read on, then watch again
	got := collectEvents(t, s.Read(t.Context(), p, start, head))
	mustAppend(t, s, Event("h1", 6))
	got = append(got, watchUntil(t, s, p, head, func(evs []events.Event, _ events.Revision) bool { return len(evs) == 1 })...)
	if len(got) != 7 || !inOrder(got) {
		t.Errorf("got %d events, in order %t, want 7 in order", len(got), inOrder(got))
	}
}

// testOverflow appends, for each batch that it receives, more than fits into the queue, until the watch overflows; then it
// reads on.
func testOverflow(t *testing.T, s Subject) {
	p := events.PartitionOf("h1", s.Facts().Partitions)
	position := mustHead(t, s)
	n := 0
	more := func() {
		for range 5 {
			mustAppend(t, s, BigEvent("h1", n, s.WatchBytes/2))
			n++
		}
	}
	more()
	ctx, cancel := context.WithTimeout(t.Context(), maxWait)
	defer cancel()
	var got []events.Event
	for b, err := range s.Watch(ctx, p, position) {
		if err != nil {
			if !errors.Is(err, events.ErrOverflow) {
				t.Fatalf("got error %v, want %v", err, events.ErrOverflow)
			}
			break
		}
		got, position = append(got, b.Events...), b.Upto
		more()
	}
	got = append(got, readAll(t, s, p, position)...)
	if len(got) != n || !inOrder(got) {
		t.Errorf("watch, overflow, read: got %d events, in order %t, want %d in order", len(got), inOrder(got), n)
	}
}

func testWatchLeft(t *testing.T, s Subject) {
	p := events.PartitionOf("h1", s.Facts().Partitions)
	start := mustHead(t, s)
	mustAppend(t, s, Events("h1", 0, 3)...)
	for range 3 {
		for _, err := range s.Watch(t.Context(), p, start) {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
	}
}

// testWholeRevisions watches transactions of many events.
func testWholeRevisions(t *testing.T, s Subject) {
	p := events.Partition(0)
	hosts := HostsOf(p, s.Facts().Partitions, 8)
	start := mustHead(t, s)
	const rounds = 10
	revisions := make(map[int64]int) // how many events each has
	for i := range rounds {
		var evs []events.Event
		for _, h := range hosts {
			evs = append(evs, Events(h, i*5, 5)...)
		}
		for _, a := range mustAppend(t, s, evs...) {
			revisions[a.Revision.Number]++
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), maxWait)
	defer cancel()
	total := 0
	for b, err := range s.Watch(ctx, p, start) {
		if err != nil {
			t.Fatal(err)
		}
		if !inOrder(b.Events) {
			t.Fatalf("a batch is not in order: %q", keysOf(b.Events))
		}
		in := make(map[int64]int)
		for _, e := range b.Events {
			in[e.Revision.Number]++
		}
		for rev, n := range in {
			if n != revisions[rev] {
				t.Errorf("a batch has %d events of revision %d, want all %d", n, rev, revisions[rev])
			}
		}
		if total += len(b.Events); total >= rounds*len(hosts)*5 {
			break
		}
	}
}

func testEnded(t *testing.T, s Subject) {
	ctx, cancel := context.WithCancel(t.Context())
	head := mustAppend(t, s, Event("h1", 1))[0].Revision
	watched := make(chan error, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { watched <- firstError(s.Watch(ctx, 0, head)) })
	cancel()
	wantError(t, "Watch of an ended context", <-watched, context.Canceled)
	late := Events("h1", 2, 20)
	for i := range late {
		_, err := s.Append(ctx, late[i:i+1])
		wantError(t, "Append with an ended context", err, context.Canceled)
	}
	for i, a := range mustAppend(t, s, late...) {
		if !a.Created {
			t.Errorf("event %d of an Append with an ended context is in the log", i)
		}
	}
	_, err := s.Head(ctx)
	wantError(t, "Head with an ended context", err, context.Canceled)
	wantError(t, "Read with an ended context", firstError(s.Read(ctx, 0, events.Revision{}, head)), context.Canceled)
}

// testConcurrent appends from several goroutines, each event twice, while one reader follows from the start: the reader
// receives exactly the events that are in the log afterwards, once each.
func testConcurrent(t *testing.T, s Subject) {
	p := events.Partition(0)
	hosts := HostsOf(p, s.Facts().Partitions, 4)
	start := mustHead(t, s)
	const each = 60
	var mu sync.Mutex
	created := make(map[string]int)
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, h := range hosts {
		for range 2 { // two senders of the same
			wg.Go(func() {
				for i := 0; i < each; i += 6 {
					got, err := s.Append(t.Context(), Events(h, i, 6))
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					for _, a := range got {
						if a.Created {
							created[a.Key]++
						}
					}
					mu.Unlock()
				}
			})
		}
	}
	total := each * len(hosts)
	watched := followEvents(t, s, p, start, total)
	wg.Wait()
	read := readAll(t, s, p, events.Revision{})
	if !slices.Equal(keysOf(watched), keysOf(read)) {
		t.Errorf("history by watch (%d events) is not history by read (%d events)", len(watched), len(read))
	}
	if len(read) != total || !inOrder(read) {
		t.Errorf("got %d events, in order %t, want %d in order", len(read), inOrder(read), total)
	}
	if len(created) != total {
		t.Errorf("%d events were reported as created, want %d", len(created), total)
	}
	for key, n := range created {
		if n != 1 {
			t.Errorf("%s was reported as created %d times", key, n)
		}
	}
}
