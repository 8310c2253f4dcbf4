package etcd

import (
	"errors"
	"testing"
	"testing/synctest"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func responseOf(upto int64, bytes int) Response {
	return Response{Events: []*clientv3.Event{{Kv: &mvccpb.KeyValue{ModRevision: upto}}}, Upto: upto, Bytes: bytes}
}

func TestQueueBound(t *testing.T) {
	q := NewQueue(100)
	for i, c := range []struct {
		r    Response
		fits bool
	}{
		{responseOf(1, 1000), true}, // an empty queue accepts any size
		{Response{Upto: 2}, true},   // progress needs no room
		{responseOf(3, 1), false},
	} {
		if got := q.Put(c.r); got != c.fits {
			t.Errorf("put %d: got fits %t, want %t", i, got, c.fits)
		}
	}
	if r, err := q.Next(t.Context()); err != nil || r.Upto != 2 || len(r.Events) != 1 {
		t.Errorf("got %+v, %v, want the first response up to 2", r, err)
	}
	if !q.Put(responseOf(3, 1000)) {
		t.Error("a queue whose reader has caught up takes no response of any size")
	}
}

func TestQueueNextFreesRoom(t *testing.T) {
	q := NewQueue(100)
	for i := range int64(50) {
		if !q.Put(responseOf(2*i, 60)) || !q.Put(responseOf(2*i+1, 40)) {
			t.Fatalf("round %d: 100 bytes do not fit", i)
		}
		for range 2 {
			if _, err := q.Next(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A reader of All occupies room of each range until it is released.
func TestQueueHoldsRoomUntilRelease(t *testing.T) {
	q := NewQueue(100)
	second := responseOf(1, 100)
	second.Range = 1
	if !q.Put(responseOf(1, 100)) || !q.Put(second) {
		t.Fatal("each range has room of its own, and one does not fit")
	}
	if all, err := q.All(t.Context()); len(all) != 2 || err != nil {
		t.Fatalf("got %d responses, %v; want both", len(all), err)
	}
	if q.Put(responseOf(2, 1)) {
		t.Error("the room of a response is free before its release")
	}
	q.Release([maxRanges]int{100, 0})
	if !q.Put(responseOf(2, 100)) {
		t.Error("the room of a response is not free after its release")
	}
	if second.Bytes = 1; q.Put(second) {
		t.Error("the release of one range made room for the other")
	}
}

// Progress of one range does not count for the other.
func TestQueueKeepsProgressOfRangesApart(t *testing.T) {
	q := NewQueue(100)
	q.Put(responseOf(1, 1))
	q.Put(Response{Range: 1, Upto: 5})
	q.Put(Response{Range: 1, Upto: 6})
	all, err := q.All(t.Context())
	if err != nil || len(all) != 2 || all[0].Upto != 1 || all[1].Upto != 6 || all[1].Range != 1 {
		t.Errorf("got %+v, %v; want range 0 up to 1 and range 1 up to 6", all, err)
	}
}

func TestQueueFirstEndCounts(t *testing.T) {
	q := NewQueue(1)
	first := errors.New("first")
	q.Put(responseOf(1, 1))
	q.Close(first)
	q.Close(errors.New("second"))
	if r, err := q.Next(t.Context()); err != nil || r.Upto != 1 {
		t.Errorf("got %+v, %v, want the waiting response", r, err)
	}
	for range 2 {
		if _, err := q.Next(t.Context()); err != first {
			t.Errorf("got %v, want %v", err, first)
		}
	}
}

// A reader of All starts again after an error, so waiting responses are of no use to it.
func TestQueueDropsWaitingResponsesAtItsEnd(t *testing.T) {
	q := NewQueue(100)
	end := errors.New("the end")
	q.Put(responseOf(1, 1))
	q.Close(end)
	if all, err := q.All(t.Context()); len(all) != 0 || err != end {
		t.Errorf("got %+v, %v; want nothing but %v", all, err, end)
	}
}

func TestQueueWakesReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := NewQueue(100)
		done := make(chan error)
		go func() {
			_, err := q.Next(t.Context())
			done <- err
		}()
		synctest.Wait()
		q.Put(responseOf(1, 1))
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
