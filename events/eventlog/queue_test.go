package eventlog

import (
	"errors"
	"telemetry-pipeline/events"
	"testing"
	"testing/synctest"

	"go.etcd.io/etcd/api/v3/mvccpb"
)

func arrivalOf(upto int64, bytes int) arrival {
	return arrival{kvs: []*mvccpb.KeyValue{{ModRevision: upto}}, upto: upto, bytes: bytes}
}

func TestQueueBound(t *testing.T) {
	q := newQueue(100)
	for i, c := range []struct {
		a    arrival
		fits bool
	}{
		{arrivalOf(1, 1000), true}, // an empty queue takes anything
		{arrival{upto: 2}, true},   // progress takes no place
		{arrivalOf(3, 1), false},
	} {
		if got := q.put(c.a); got != c.fits {
			t.Errorf("put %d: got fits %t, want %t", i, got, c.fits)
		}
	}
	if a, err := q.take(t.Context()); err != nil || a.upto != 2 || len(a.kvs) != 1 {
		t.Errorf("got %+v, %v, want the first arrival up to 2", a, err)
	}
	if _, err := q.take(t.Context()); !errors.Is(err, events.ErrOverflow) {
		t.Errorf("got %v, want %v", err, events.ErrOverflow)
	}
}

func TestQueueFreesWhatIsTaken(t *testing.T) {
	q := newQueue(100)
	for i := range int64(50) {
		if !q.put(arrivalOf(2*i, 60)) || !q.put(arrivalOf(2*i+1, 40)) {
			t.Fatalf("round %d: 100 bytes do not fit", i)
		}
		for range 2 {
			if _, err := q.take(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestQueueFirstEndCounts(t *testing.T) {
	q := newQueue(1)
	first := errors.New("first")
	q.put(arrivalOf(1, 1))
	q.close(first)
	q.close(errors.New("second"))
	if a, err := q.take(t.Context()); err != nil || a.upto != 1 {
		t.Errorf("got %+v, %v, want what was queued", a, err)
	}
	for range 2 {
		if _, err := q.take(t.Context()); err != first {
			t.Errorf("got %v, want %v", err, first)
		}
	}
}

func TestQueueWakesReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(100)
		done := make(chan error)
		go func() {
			_, err := q.take(t.Context())
			done <- err
		}()
		synctest.Wait()
		q.put(arrivalOf(1, 1))
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
