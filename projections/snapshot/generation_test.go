package snapshot

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/projections"
)

func TestFirstGenerationIsMadeOnce(t *testing.T) {
	f := newFixture(t)
	names := make([]projections.Generation, 8)
	var wg sync.WaitGroup
	for i := range names {
		wg.Go(func() {
			var err error
			if names[i], err = New(f.client, f.cfg, f.facts, nil).Active(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, g := range names {
		if g != names[0] || g == "" {
			t.Errorf("got generations %q, want one", names)
			break
		}
	}
	all, err := f.Generations(t.Context())
	if err != nil || len(all.All) != 1 || all.Active != names[0] || all.All[names[0]].State != Active || all.All[names[0]].ModelVersion != ModelVersion {
		t.Errorf("got %v (%v), want the active generation %s", all, err, names[0])
	}
}

func TestWatchActive(t *testing.T) {
	f := newFixture(t)
	ctx, cancel := context.WithCancel(timeoutContext(t, time.Minute))
	defer cancel()
	got := make(chan projections.Generation)
	ended := make(chan error, 1)
	go func() {
		for g, err := range f.WatchActive(ctx) {
			if err != nil {
				ended <- err
				return
			}
			got <- g.Generation
		}
	}()
	wantNext := func(want projections.Generation) {
		t.Helper()
		select {
		case g := <-got:
			if g != want {
				t.Errorf("got generation %s, want %s", g, want)
			}
		case err := <-ended:
			t.Fatalf("got %v, want generation %s", err, want)
		}
	}
	first, err := f.Active(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantNext(first)
	eventstest.Shared(t).Compact(t)
	last := first
	for _, next := range []projections.Generation{first, "g2", "g2", "g3"} { // repeats are not reported
		if _, err := f.client.Put(t.Context(), f.keys.activeKey(), string(next)); err != nil {
			t.Fatal(err)
		}
		if next != last {
			wantNext(next) // before the next put: of changes that come together only the newest is reported
		}
		last = next
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v at the end, want that of the context", err)
	}
}

func TestWaitFolded(t *testing.T) {
	f := newFixture(t)
	at := func(live, series int64) Commit {
		return Commit{Offsets: &projections.Offsets{Live: f.revisionAt(live), Series: f.revisionAt(series)}}
	}
	wait := func(d time.Duration, number int64) error {
		return f.WaitFolded(timeoutContext(t, d), generation, f.revisionAt(number), []events.Partition{0, 2})
	}
	f.saveCommit(0, at(10, 10))
	if err := wait(50*time.Millisecond, 10); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("partition 2 is not there: got %v, want the end of the context", err)
	}
	f.saveCommit(2, at(12, 9))
	if err := wait(50*time.Millisecond, 10); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("series are behind: got %v, want the end of the context", err)
	}
	if err := wait(time.Minute, 9); err != nil {
		t.Errorf("all are there: got %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- wait(time.Minute, 30) }()
	f.saveCommit(2, at(30, 30))
	eventstest.Shared(t).Compact(t)
	f.saveCommit(0, at(31, 29))
	f.saveCommit(1, at(99, 99))
	select {
	case err := <-done:
		t.Fatalf("got %v before everything was folded", err)
	case <-time.After(50 * time.Millisecond):
	}
	f.saveCommit(0, at(32, 32))
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := f.WaitFolded(t.Context(), generation, events.Revision{}, []events.Partition{3}); err != nil {
		t.Errorf("waiting for nothing: got %v", err)
	}
	foreign := f.revisionAt(5)
	foreign.Epoch++
	if err := f.WaitFolded(t.Context(), generation, foreign, []events.Partition{0}); !errors.Is(err, events.ErrForeign) {
		t.Errorf("got %v, want ErrForeign", err)
	}
}

func TestWaitVisible(t *testing.T) {
	f := newFixture(t)
	f.saveCommit(1, f.foldEvents(10))
	upto := map[events.Partition]events.Revision{1: f.revisionAt(10)}
	wait := func(d time.Duration) error { return f.WaitVisible(timeoutContext(t, d), upto) }
	if err := wait(50 * time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("no generation is active: got %v, want the end of the context", err)
	}
	done := make(chan error, 1)
	go func() { done <- wait(time.Minute) }()
	for _, active := range []projections.Generation{"behind", generation} { // the wait follows the switch
		select {
		case err := <-done:
			t.Fatalf("got %v before the generation was active", err)
		case <-time.After(50 * time.Millisecond):
		}
		if _, err := f.client.Put(t.Context(), f.keys.activeKey(), string(active)); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := wait(time.Minute); err != nil {
		t.Errorf("all is there: got %v", err)
	}
}

// busyWatcher runs a function before each watch of a key begins.
type busyWatcher struct {
	clientv3.Watcher
	key    string
	begins func(n int64)
	n      *atomic.Int64
}

func (w *busyWatcher) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	if key == w.key {
		w.begins(w.n.Add(1))
	}
	return w.Watcher.Watch(ctx, key, opts...)
}

// A wait returns although the active generation goes to another one and back meanwhile, and etcd reports both
// switches at once.
func TestWaitSurvivesAGenerationThatComesBack(t *testing.T) {
	waits := map[string]func(ctx context.Context, f *fixture) error{
		"WaitVisible": func(ctx context.Context, f *fixture) error {
			return f.WaitVisible(ctx, map[events.Partition]events.Revision{1: f.revisionAt(10)})
		},
		"WatchFolded": func(ctx context.Context, f *fixture) error {
			for at, err := range f.WatchFolded(ctx) {
				if err != nil || at[1] == f.revisionAt(10) {
					return err
				}
			}
			return nil
		},
	}
	for name, wait := range waits {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			activate := func(g projections.Generation) {
				if _, err := f.client.Put(t.Context(), f.keys.activeKey(), string(g)); err != nil {
					t.Error(err)
				}
			}
			activate(generation)
			waiting, back := make(chan struct{}), make(chan struct{})
			begins := func(n int64) {
				switch n {
				case 1:
					close(waiting)
				case 2: // the one that ended the first wait is replaced again before the wait looks
					activate(generation)
					close(back)
				}
			}
			var n atomic.Int64
			f.newWatcher = func() clientv3.Watcher {
				return &busyWatcher{Watcher: clientv3.NewWatcher(f.client), key: f.keys.activeKey(), begins: begins, n: &n}
			}
			done := make(chan error, 1)
			go func() { done <- wait(timeoutContext(t, time.Minute), f) }()
			<-waiting
			activate("another")
			<-back
			f.saveCommit(1, Commit{Offsets: &projections.Offsets{Live: f.revisionAt(10), Series: f.revisionAt(10)}})
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}
