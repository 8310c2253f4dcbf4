package eventlog_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventstest"
)

// noGoroutines waits until no goroutine of the log is left.
func noGoroutines(t *testing.T) {
	t.Helper()
	var stacks string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); runtime.Gosched() {
		buf := make([]byte, 1<<20)
		stacks = string(buf[:runtime.Stack(buf, true)])
		if !strings.Contains(stacks, "eventlog.(*Log)") && !strings.Contains(stacks, "serveSubstream") && !strings.Contains(stacks, "eventlog.ahead") {
			return
		}
	}
	t.Errorf("goroutines are left:\n%s", stacks)
}

// TestNoGoroutinesLeft leaves reads and watches in every possible way.
func TestNoGoroutinesLeft(t *testing.T) {
	cfg := eventstest.Config(t)
	cfg.WatchBytes = 8 << 10
	l := eventstest.OpenLog(t, cfg)
	p := events.PartitionOf("h1", l.Facts().Partitions)
	start, err := l.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(t.Context(), eventstest.Events("h1", 0, 200)); err != nil {
		t.Fatal(err)
	}
	head, err := l.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range l.Read(t.Context(), p, start, head) {
		break
	}
	for range l.Watch(t.Context(), p, start) {
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, err := range l.Watch(ctx, p, start) {
		cancel()
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
	}
	n := 0
	for _, err := range l.Watch(t.Context(), p, start) { // until it overflows
		if err != nil {
			if !errors.Is(err, events.ErrOverflow) {
				t.Errorf("got %v, want %v", err, events.ErrOverflow)
			}
			break
		}
		for range 5 {
			if _, err := l.Append(t.Context(), []events.Event{eventstest.BigEvent("h1", n, 4<<10)}); err != nil {
				t.Fatal(err)
			}
			n++
		}
	}
	noGoroutines(t)
}

func TestWatchOfAClosedLog(t *testing.T) {
	l := eventstest.OpenLog(t, eventstest.Config(t))
	start, err := l.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(t.Context(), eventstest.Events("h1", 0, 1)); err != nil {
		t.Fatal(err)
	}
	ended := error(nil)
	for _, err := range l.Watch(t.Context(), events.PartitionOf("h1", l.Facts().Partitions), start) {
		if err != nil {
			ended = err
			break
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	if ended == nil {
		t.Error("the watch ended without an error")
	}
	noGoroutines(t)
}

// TestEtcdRestarts stops etcd under an append, a read and a watch, and starts it again: all three continue.
func TestEtcdRestarts(t *testing.T) {
	s := eventstest.NewServer(t, nil)
	l := eventstest.OpenLog(t, s.Config(t))
	p := events.PartitionOf("h1", l.Facts().Partitions)
	start, err := l.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(t.Context(), eventstest.Events("h1", 0, 3)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	seen := 0
	appended := make(chan error, 1)
	for b, err := range l.Watch(ctx, p, start) {
		if err != nil {
			t.Fatalf("after %d events: %v", seen, err)
		}
		before := seen
		if seen += len(b.Events); before == 0 && seen > 0 {
			s.Stop()
			go func() {
				_, err := l.Append(ctx, eventstest.Events("h1", 3, 3))
				appended <- err
			}()
			s.Start(t)
		}
		if seen == 6 {
			break
		}
	}
	if err := <-appended; err != nil {
		t.Error(err)
	}
	if seen != 6 {
		t.Errorf("the watch returned %d events, want 6", seen)
	}
	n := 0
	for _, err := range l.Read(ctx, p, events.Revision{}, events.Revision{Epoch: l.Facts().Epoch, Cluster: l.Facts().Cluster, Number: 1 << 40}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 6 {
		t.Errorf("the log has %d events, want 6", n)
	}
}

// TestReadRetries fails every second call of a read.
func TestReadRetries(t *testing.T) {
	l := eventstest.OpenLog(t, eventstest.Config(t))
	if _, err := l.Append(t.Context(), eventstest.Events("h1", 0, 200)); err != nil {
		t.Fatal(err)
	}
	var calls atomic.Int32
	l.WrapKV(func(kv clientv3.KV) clientv3.KV {
		return &eventstest.KV{KV: kv, Before: func(string) error {
			if calls.Add(1)%2 == 1 {
				return rpctypes.ErrNoLeader
			}
			return nil
		}}
	})
	head, err := l.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range l.Read(t.Context(), events.PartitionOf("h1", l.Facts().Partitions), events.Revision{}, head) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 200 {
		t.Errorf("got %d events, want 200", n)
	}
}

// TestReadFails checks that an error in the middle of a read is returned, so that no reader mistakes a part for the
// whole.
func TestReadFails(t *testing.T) {
	l := eventstest.OpenLog(t, eventstest.Config(t))
	if _, err := l.Append(t.Context(), eventstest.Events("h1", 0, 200)); err != nil {
		t.Fatal(err)
	}
	head, err := l.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var pages atomic.Int32
	l.WrapKV(func(kv clientv3.KV) clientv3.KV {
		return &eventstest.KV{KV: kv, Before: func(call string) error {
			if call == "txn" && pages.Add(1) == 3 {
				return rpctypes.ErrPermissionDenied
			}
			return nil
		}}
	})
	n := 0
	var ended error
	for _, err := range l.Read(t.Context(), events.PartitionOf("h1", l.Facts().Partitions), events.Revision{}, head) {
		if err != nil {
			ended = err
			break
		}
		n++
	}
	if !errors.Is(ended, rpctypes.ErrPermissionDenied) || n == 0 || n == 200 {
		t.Errorf("got %d events and error %v, want some and %v", n, ended, rpctypes.ErrPermissionDenied)
	}
}

// TestWatchBatchesAreBounded watches a long history of large events from its start: it comes in pieces.
func TestWatchBatchesAreBounded(t *testing.T) {
	cfg := eventstest.Config(t)
	cfg.WatchBytes = 64 << 20
	l := eventstest.OpenLog(t, cfg)
	start, err := l.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if _, err := l.Append(t.Context(), []events.Event{eventstest.BigEvent("h1", i, 500<<10)}); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for b, err := range l.Watch(t.Context(), events.PartitionOf("h1", l.Facts().Partitions), start) {
		if err != nil {
			t.Fatal(err)
		}
		if len(b.Events) > 3 {
			t.Errorf("a batch of %d events of 500 KiB, want at most 3", len(b.Events))
		}
		if len(b.Events) > 0 && b.Events[len(b.Events)-1].Revision.Number > b.Upto.Number {
			t.Errorf("a batch up to %d has an event of %d", b.Upto.Number, b.Events[len(b.Events)-1].Revision.Number)
		}
		if n += len(b.Events); n == 10 {
			break
		}
	}
}

// TestQuietLogIsHeardSoonAfterARestart checks that all watches of a log without writes hear of etcd soon after it is
// back, although they share a connection.
func TestQuietLogIsHeardSoonAfterARestart(t *testing.T) {
	t.Parallel()
	s := eventstest.NewServer(t, nil)
	cfg := s.Config(t)
	cfg.Progress = 50 * time.Millisecond
	l := eventstest.OpenLog(t, cfg)
	const lost = 3 * time.Second
	l.SetLost(lost)
	start, err := l.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	beside := s.Client(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const watches = 8
	var reading sync.WaitGroup
	defer reading.Wait()
	defer cancel()
	progress := make(chan int64, watches)
	for p := range events.Partition(watches) {
		reading.Go(func() {
			for b, err := range l.Watch(ctx, p, start) {
				if err != nil {
					if ctx.Err() == nil {
						t.Error(err)
						cancel()
					}
					return
				}
				progress <- b.Upto.Number
			}
		})
	}
	allTold := func() {
		t.Helper()
		resp, err := beside.Put(ctx, "beside the log", "moves etcd on")
		if err != nil {
			t.Fatal(err)
		}
		for n := 0; n < watches; {
			select {
			case at := <-progress:
				if at >= resp.Header.Revision {
					n++
				}
			case <-ctx.Done():
				t.Fatalf("%d of %d watches reported progress", n, watches)
			}
		}
	}
	allTold()
	s.Stop()
	s.Start(t)
	select {
	case <-ctx.Done(): // a watch ended
	case <-time.After(lost + time.Second):
	}
	allTold()
}
