package snapshot

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
)

// A view knows soon after etcd is back that it is current, even without writes.
func TestQuietEtcdIsHeardSoonAfterARestart(t *testing.T) {
	t.Parallel()
	s := eventstest.NewServer(t, nil)
	cfg := s.Config(t)
	cfg.Progress = 50 * time.Millisecond
	client := s.Client(t)
	store := New(client, cfg, factsOf(t, client), nil)
	start, err := store.Load(t.Context(), generation)
	if err != nil {
		t.Fatal(err)
	}
	heard := 0
	var back time.Time
	for _, err := range store.Watch(timeoutContext(t, time.Minute), generation, start.At) {
		if err != nil {
			t.Fatal(err)
		}
		switch heard++; heard {
		case 5:
			s.Stop()
			s.Start(t)
			back = time.Now()
		case 10:
			if took := time.Since(back); took > 10*time.Second {
				t.Errorf("heard of etcd %s after it was back, want some tenths of a second", took)
			}
			return
		}
	}
}

// stuckWatcher is a connection that answers until it breaks: then nothing comes, and new watches get no answer.
type stuckWatcher struct {
	broken  atomic.Bool
	stalled atomic.Int64 // first watch that is no longer answered, counted from 1
	begun   int
	all     []chan clientv3.WatchResponse
}

func (w *stuckWatcher) Watch(ctx context.Context, _ string, _ ...clientv3.OpOption) clientv3.WatchChan {
	answers := make(chan clientv3.WatchResponse, 100)
	if w.begun++; w.broken.Load() {
		<-ctx.Done()
		close(answers)
	}
	w.all = append(w.all, answers)
	return answers
}

func (w *stuckWatcher) self() clientv3.Watcher { return w }

func (w *stuckWatcher) Close() error { return nil }

func (w *stuckWatcher) RequestProgress(context.Context) error {
	for i, answers := range w.all {
		if !w.broken.Load() && int64(i+1) != w.stalled.Load() {
			answers <- clientv3.WatchResponse{Header: &pb.ResponseHeader{ClusterId: 5, Revision: 10}}
		}
	}
	return nil
}

// The reader learns in time that etcd is gone, although the client lets no new watch begin before it is back.
func TestEtcdThatIsGoneEndsTheWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &stuckWatcher{}
		facts := events.Facts{Epoch: 1, Cluster: 5, Partitions: partitions}
		store := newStore(nil, w.self, eventlog.Config{}, facts, nil)
		var broke time.Time
		heard := 0
		for _, err := range store.Watch(t.Context(), generation, store.revisionAt(10)) {
			if err != nil {
				silence := store.cfg.Silence()
				if took := time.Since(broke); !errors.Is(err, ErrSilent) || took > silence.Lost+2*silence.Ask {
					t.Errorf("got %v after %s, want ErrSilent after %s", err, took, silence.Lost)
				}
				break
			}
			if heard++; heard == 1000 {
				broke = time.Now()
				w.broken.Store(true)
			}
		}
		if heard < 1000 || w.begun < 2+2*2 || w.begun > 2+2*6 {
			t.Errorf("heard %d times, %d watches begun; want 1000, and both tried some times more when etcd was gone", heard, w.begun)
		}
	})
}

// When a member of etcd stops answering one of both watches, the watch moves to another member, although the other
// watch still hears of etcd.
func TestOneStalledWatchDoesNotFreezeTheView(t *testing.T) {
	for stalled := range int64(sources) {
		synctest.Test(t, func(t *testing.T) {
			w := &stuckWatcher{}
			facts := events.Facts{Epoch: 1, Cluster: 5, Partitions: partitions}
			store := newStore(nil, w.self, eventlog.Config{}, facts, nil)
			last, longest, heard := time.Now(), time.Duration(0), 0
			for _, err := range store.Watch(t.Context(), generation, store.revisionAt(10)) {
				if err != nil {
					t.Fatal(err)
				}
				longest, last = max(longest, time.Since(last)), time.Now()
				if heard++; heard == 100 {
					w.stalled.Store(stalled + 1)
				}
				if heard == 200 {
					break
				}
			}
			if limit := store.cfg.Silence().Again + 2*store.cfg.Silence().Ask; longest > limit {
				t.Errorf("nothing was heard for %s after watch %d stalled, want at most %s", longest, stalled, limit)
			}
			if w.begun != 3 {
				t.Errorf("%d watches were begun, want the two and one in place of the stalled one", w.begun)
			}
		})
	}
}

// One of etcd's members accepts everything and answers nothing, like a frozen process or a cut cable: the view
// continues over another member, long before gRPC finds the connection dead (after 13 s).
func TestBlackHoledMemberDoesNotFreezeTheView(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	guard := f.claimPartition(0)
	paths := eventstest.Shared(t).NewPaths(t, 3)
	client, err := paths.Config(f.cfg).Dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	store := New(client, f.cfg, f.facts, nil)
	start, err := store.Load(t.Context(), generation)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(timeoutContext(t, time.Minute))
	defer cancel()
	reached := make(chan int64)
	go func() {
		defer close(reached)
		for b, err := range store.Watch(ctx, generation, start.At) {
			if err != nil {
				return
			}
			if o, known := b.Offsets[0]; known {
				select {
				case reached <- o.Live.Number:
				case <-ctx.Done():
				}
			}
		}
	}()
	f.saveCommit(0, f.foldEvents(1), guard)
	await := func(n int64) {
		limit := time.After(10 * time.Second)
		for {
			select {
			case got, open := <-reached:
				if !open {
					t.Fatalf("the watch ended before it reported %d", n)
				}
				if got == n {
					return
				}
			case <-limit:
				t.Fatalf("what was stored at %d was not reported within 10 s", n)
			}
		}
	}
	await(1)
	for i := range 3 { // any of them may serve the watches
		paths.Block(i)
		n := int64(i + 2)
		f.saveCommit(0, f.foldEvents(n), guard)
		await(n)
		paths.Unblock(i)
	}
}

// A reader whose request goes to a silent member of etcd gets its answer from another one, before gRPC finds that
// connection dead (after 13 s) and before a watch would report etcd as silent (after 8 s).
func TestBlackHoledMemberDoesNotHoldUpReaders(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.saveCommit(0, f.foldEvents(1), f.claimPartition(0))
	paths := eventstest.Shared(t).NewPaths(t, 3)
	client, err := paths.Config(f.cfg).Dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	store := New(client, f.cfg, f.facts, nil)
	ask := func(limit time.Duration) {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		if all, err := store.Offsets(ctx, generation); err != nil || all[0].Live.Number != 1 {
			t.Errorf("offsets %v, %v; want partition 0 at 1", all, err)
		}
	}
	for range 100 { // until every connection is there
		ask(time.Minute)
	}
	paths.Block(1)
	defer paths.Unblock(1)
	for range 3 { // they take turns
		ask(7 * time.Second)
	}
}

// laggingWatcher is connected to a member of etcd that has not yet applied the writes of the others.
type laggingWatcher struct{ clientv3.Watcher }

func (w laggingWatcher) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	answers := make(chan clientv3.WatchResponse)
	go func() {
		defer close(answers)
		for resp := range w.Watcher.Watch(ctx, key, opts...) {
			if resp.Created {
				resp.Header.Revision--
			}
			select {
			case answers <- resp:
			case <-ctx.Done():
				return
			}
		}
	}()
	return answers
}

// A watch on a member that lags behind the reader begins, and returns later changes.
func TestMemberThatLagsIsNoOtherLog(t *testing.T) {
	f := newFixture(t, func(cfg *eventlog.Config, _ *clientv3.Client) { cfg.Progress = 50 * time.Millisecond })
	guard := f.claimPartition(0)
	f.newWatcher = func() clientv3.Watcher { return laggingWatcher{clientv3.NewWatcher(f.client)} }
	f.saveCommit(0, f.foldEvents(10), guard)
	start, err := f.Load(t.Context(), generation)
	if err != nil {
		t.Fatal(err)
	}
	saved := false
	for b, err := range f.Watch(timeoutContext(t, time.Minute), generation, start.At) {
		if err != nil {
			t.Fatal(err)
		}
		if !saved {
			f.saveCommit(0, f.foldEvents(11), guard)
			saved = true
		}
		if b.Offsets[0].Live == f.revisionAt(11) {
			return
		}
	}
}
