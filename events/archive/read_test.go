package archive

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events"
)

// collectEvents returns all events of a sequence.
func collectEvents(t testing.TB, seq iter.Seq2[events.Event, error]) (all []events.Event) {
	t.Helper()
	for ev, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, ev)
	}
	return all
}

// eventSeq yields events one by one.
func eventSeq(evs []events.Event) iter.Seq2[events.Event, error] {
	return func(yield func(events.Event, error) bool) {
		for _, ev := range evs {
			if !yield(ev, nil) {
				return
			}
		}
	}
}

func mustWrite(t testing.TB, s *Store, r Range, evs []events.Event) Entry {
	t.Helper()
	e, err := s.Write(t.Context(), r, eventSeq(evs))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func diffEvents(want, got []events.Event) string {
	if reflect.DeepEqual(want, got) {
		return "" // at a tenth of cmp's cost
	}
	return cmp.Diff(want, got, cmp.Comparer(sameDamage))
}

func TestReadReturnsTheWrittenEvents(t *testing.T) {
	for name, rows := range map[string]int{"uploads": 500, "streams": 8, "single rows": 1} {
		t.Run(name, func(t *testing.T) {
			s := openDir(t)
			want := collectEvents(t, fleetEvents(2, 150, rows))
			e := mustWrite(t, s, rangeUpto(int64(len(want)+5)), want)
			got := collectEvents(t, s.Read(t.Context(), e, events.Revision{}))
			if diff := diffEvents(want, got); diff != "" {
				t.Fatalf("events differ (-written +read):\n%s", diff)
			}
			for i := range got {
				if err := got[i].Check(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestReadReturnsOddEvents(t *testing.T) {
	s := openDir(t)
	for seed := range roundCount(25) {
		want := oddEvents(rand.New(rand.NewPCG(seed, 2)), 80)
		e := mustWrite(t, s, rangeUpto(1<<20), want)
		if diff := diffEvents(want, collectEvents(t, s.Read(t.Context(), e, events.Revision{}))); diff != "" {
			t.Fatalf("seed %d: events differ (-written +read):\n%s", seed, diff)
		}
		after := want[len(want)/2].Revision
		for len(want) > 0 && want[0].Revision.Number <= after.Number {
			want = want[1:]
		}
		if diff := diffEvents(want, collectEvents(t, s.Read(t.Context(), e, after))); diff != "" {
			t.Fatalf("seed %d: events after revision %d differ (-written +read):\n%s", seed, after.Number, diff)
		}
	}
}

func TestReadOfMoreThanARowGroup(t *testing.T) {
	s := openDir(t)
	steps := rowGroupRows/80 + 2000
	e, err := s.Write(t.Context(), rangeUpto(1<<40), fleetEvents(1, steps, 2000))
	if err != nil {
		t.Fatal(err)
	}
	if want := int64(steps * 80); e.Records != want || e.Objects[0].Rows != want {
		t.Errorf("got %d records in %d rows, want %d", e.Records, e.Objects[0].Rows, want)
	}
	next, stop := iter.Pull2(fleetEvents(1, steps, 2000))
	defer stop()
	for got, err := range s.Read(t.Context(), e, events.Revision{}) {
		want, _, ok := next()
		if err != nil || !ok {
			t.Fatalf("got event %s, error %v, want the end: %v", got.Key, err, !ok)
		}
		if got.Key != want.Key || got.Records() != want.Records() {
			t.Fatalf("got %d records of %s, want %d of %s", got.Records(), got.Key, want.Records(), want.Key)
		}
		for i := range want.Columns {
			if !reflect.DeepEqual(got.Columns[i], want.Columns[i]) {
				t.Fatalf("column %d of %s differs", i, got.Key)
			}
		}
	}
	if _, _, more := next(); more {
		t.Error("there are fewer events than were written")
	}
}

func TestReadEnds(t *testing.T) {
	s := openDir(t)
	want := collectEvents(t, fleetEvents(1, 20, 8))
	e := mustWrite(t, s, rangeUpto(100), want)
	for range s.Read(t.Context(), e, events.Revision{}) {
		break // leaving early must not fail
	}
	if got := collectEvents(t, s.Read(t.Context(), e, e.Last)); len(got) != 0 {
		t.Errorf("after its last revision an entry returned %d events, want none", len(got))
	}
	foreign := e.Last
	foreign.Epoch++
	wantError(t, s.Read(t.Context(), e, foreign), events.ErrForeign)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantError(t, s.Read(ctx, e, events.Revision{}), context.Canceled)
}

// wantError reads to the end, which must be that error.
func wantError[T any](t *testing.T, seq iter.Seq2[T, error], want error) {
	t.Helper()
	var last error
	for _, err := range seq {
		last = err
	}
	if !errors.Is(last, want) {
		t.Errorf("got error %v, want %v", last, want)
	}
}

func TestDamagedObjectsAreFound(t *testing.T) {
	s := openDir(t)
	want := collectEvents(t, fleetEvents(1, 100, 8))
	for _, kind := range []Kind{Records, Events} {
		e := mustWrite(t, s, rangeUpto(1<<20), want)
		o, _ := e.Object(kind)
		path := filepath.Join(s.dir, o.Name)
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		content[len(content)/2] ^= 1
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		err = s.Check(t.Context(), e)
		if damaged, found := errors.AsType[*DamagedError](err); !found || damaged.Name != o.Name {
			t.Errorf("Check of a changed object: got %v, want a DamagedError of %s", err, o.Name)
		}
		for ev, err := range s.Read(t.Context(), e, events.Revision{}) {
			if _, found := errors.AsType[*DamagedError](err); !found {
				t.Fatalf("Read of a changed object returned event %q, error %v, want a DamagedError", ev.Key, err)
			}
		}
		if again := mustWrite(t, s, rangeUpto(1<<20), want); !cmp.Equal(again, e) {
			t.Errorf("written again: got %+v, want %+v", again, e)
		}
		if err := s.Check(t.Context(), e); err != nil {
			t.Errorf("writing again does not mend the object: %v", err)
		}
		if err := s.Remove(t.Context(), o.Name); err != nil {
			t.Fatal(err)
		}
		if err := s.Check(t.Context(), e); !errors.Is(err, ErrMissing) {
			t.Errorf("Check without the object: got %v, want %v", err, ErrMissing)
		}
		wantError(t, s.Read(t.Context(), e, events.Revision{}), ErrMissing)
	}
}

// roundCount returns the number of random trials: fewer with -short.
func roundCount(n uint64) uint64 {
	if testing.Short() {
		return max(1, n/6)
	}
	return n
}
