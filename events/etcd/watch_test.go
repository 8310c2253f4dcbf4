package etcd

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// fakeEtcd is a connection with a fake etcd. Every key has one channel of responses, shared by all its watches.
type fakeEtcd struct {
	responses map[string]chan clientv3.WatchResponse   // by key
	answer    func(key string) *clientv3.WatchResponse // to a progress request; nil for none
	gone      atomic.Bool                              // no answers, and no new watches

	mu sync.Mutex
	calls
}

// calls are the calls of a connection.
type calls struct {
	asked  []string // keys whose watches were asked for progress
	keys   []string // of the watches begun
	starts []int64  // of the same watches
	opened int      // watchers
	closed int      // watchers
}

// soFar returns the calls so far.
func (f *fakeEtcd) soFar() calls {
	f.mu.Lock()
	defer f.mu.Unlock()
	return calls{slices.Clone(f.asked), slices.Clone(f.keys), slices.Clone(f.starts), f.opened, f.closed}
}

func newFakeEtcd() *fakeEtcd {
	return &fakeEtcd{responses: map[string]chan clientv3.WatchResponse{"a": make(chan clientv3.WatchResponse), "b": make(chan clientv3.WatchResponse)}}
}

func (f *fakeEtcd) newWatcher() clientv3.Watcher {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.opened++
	return &fakeWatcher{fakeEtcd: f}
}

// fakeWatcher is a watcher of one watch.
type fakeWatcher struct {
	*fakeEtcd
	key string
}

func (f *fakeWatcher) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed++
	return nil
}

func (f *fakeWatcher) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	f.mu.Lock()
	f.key, f.keys = key, append(f.keys, key)
	f.starts = append(f.starts, clientv3.OpGet(key, opts...).Rev())
	f.mu.Unlock()
	if f.gone.Load() {
		<-ctx.Done()
		closed := make(chan clientv3.WatchResponse)
		close(closed)
		return closed
	}
	return f.responses[key]
}

func (f *fakeWatcher) RequestProgress(ctx context.Context) error {
	f.mu.Lock()
	key := f.key
	f.asked = append(f.asked, key)
	f.mu.Unlock()
	var resp *clientv3.WatchResponse
	if f.answer != nil && !f.gone.Load() {
		resp = f.answer(key)
	}
	if resp == nil {
		<-ctx.Done() // the connection accepts no more requests
		return ctx.Err()
	}
	go func() { f.responses[key] <- *resp }()
	return nil
}

func progressResponse(rev int64) *clientv3.WatchResponse {
	return &clientv3.WatchResponse{Header: &pb.ResponseHeader{ClusterId: 5, Revision: rev}}
}

func eventsAt(revs ...int64) clientv3.WatchResponse {
	resp := clientv3.WatchResponse{Header: &pb.ResponseHeader{ClusterId: 5, Revision: 1000}}
	for _, rev := range revs {
		resp.Events = append(resp.Events, &clientv3.Event{Kv: &mvccpb.KeyValue{ModRevision: rev}})
	}
	return resp
}

// delivery is a delivery or the result of Run.
type delivery struct {
	Response
	at  time.Time
	err error
}

// startWatch runs a watch of key a from revision 10 against f.
func startWatch(t *testing.T, f *fakeEtcd) <-chan delivery {
	return startWatchOf(t, &Watch{NewWatcher: f.newWatcher, Subject: "it", Ranges: []Range{{"a", "a1"}}, After: 10, Silence: SilenceAfter(2 * time.Second)})
}

func startWatchOf(t *testing.T, w *Watch) <-chan delivery {
	out := make(chan delivery, 10_000)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := w.Run(ctx, func(r Response) error {
			out <- delivery{Response: r, at: time.Now()}
			return nil
		})
		out <- delivery{err: err, at: time.Now()}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return out
}

// untilError skips the deliveries before the error of a watch.
func untilError(out <-chan delivery) delivery {
	for d := range out {
		if d.err != nil {
			return d
		}
	}
	return delivery{}
}

// TestWatchIdle has an etcd without any writes: it answers with the caller's revision for an hour.
func TestWatchIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeEtcd()
		f.answer = func(string) *clientv3.WatchResponse { return progressResponse(10) }
		out := startWatch(t, f)
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := len(f.soFar().asked); n < 900 || n > 1800 || len(out) != n {
			t.Errorf("asked %d times in an hour and heard %d answers, want about one every 2 to 4 seconds", n, len(out))
		}
		for len(out) > 0 {
			if d := <-out; d.err != nil || d.Upto != 10 || len(d.Events) > 0 {
				t.Fatalf("got %+v, want progress up to 10", d)
			}
		}
		if len(f.soFar().keys) != 1 {
			t.Errorf("%d watches were begun, want one", len(f.soFar().keys))
		}
	})
}

func TestWatchDeliversEachChangeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeEtcd()
		out := startWatch(t, f)
		for _, c := range []struct {
			resp clientv3.WatchResponse
			want []int64
			upto int64
		}{
			{eventsAt(9, 10, 11, 12), []int64{11, 12}, 12},
			{*progressResponse(20), nil, 20},
			{*progressResponse(15), nil, 20}, // from a member that lags
			{eventsAt(12, 20, 21, 21), []int64{21, 21}, 21},
		} {
			f.responses["a"] <- c.resp
			d := <-out
			var got []int64
			for _, ev := range d.Events {
				got = append(got, ev.Kv.ModRevision)
			}
			if d.err != nil || !slices.Equal(got, c.want) || d.Upto != c.upto {
				t.Errorf("got events %v up to %d (%v), want %v up to %d", got, d.Upto, d.err, c.want, c.upto)
			}
		}
		f.responses["a"] <- eventsAt(20, 21)
		synctest.Wait()
		if len(out) != 0 {
			t.Errorf("got %+v, want nothing: all of it was delivered", <-out)
		}
	})
}

// TestWatchSilence has an etcd that answers nothing, as behind a dead link.
func TestWatchSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeEtcd()
		start := time.Now()
		d := <-startWatch(t, f)
		if _, silent := errors.AsType[*SilentError](d.err); !silent {
			t.Errorf("got %v, want a SilentError", d.err)
		}
		if took := d.at.Sub(start); took < 20*time.Second || took > 26*time.Second {
			t.Errorf("gave up after %s, want a little over 20s", took)
		}
		if len(f.soFar().asked) < 2 {
			t.Errorf("asked %d times before giving up, want several", len(f.soFar().asked))
		}
	})
}

// TestWatchSilenceAfterAnswers has an etcd that disappears during a watch: the client begins no new watch before it
// is back, and the caller still has its error in time.
func TestWatchSilenceAfterAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeEtcd()
		f.answer = func(string) *clientv3.WatchResponse { return progressResponse(11) }
		out := startWatch(t, f)
		time.Sleep(time.Minute)
		synctest.Wait()
		f.gone.Store(true)
		start := time.Now()
		d := untilError(out)
		if _, silent := errors.AsType[*SilentError](d.err); !silent {
			t.Errorf("got %v, want a SilentError", d.err)
		}
		if took := d.at.Sub(start); took < 16*time.Second || took > 26*time.Second {
			t.Errorf("gave up after %s, want about 20s after the last answer", took)
		}
		if n := len(f.soFar().keys); n < 3 || n > 6 {
			t.Errorf("began %d watches, want a second one when the first was silent, and some more as that was not to be had", n)
		}
		if calls := f.soFar(); calls.opened != len(calls.keys) || calls.closed != calls.opened {
			t.Errorf("%d watchers for %d watches, %d of them closed; want one for each, all closed", calls.opened, len(calls.keys), calls.closed)
		}
		if f.soFar().starts[0] != 10 || f.soFar().starts[len(f.soFar().starts)-1] != 11 {
			t.Errorf("watches started at %v, want each at the last revision delivered: 10, then 11", f.soFar().starts)
		}
	})
}

// The time that the caller spends on a delivery does not count as silence of etcd.
func TestSlowCallerIsNoSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeEtcd()
		f.answer = func(string) *clientv3.WatchResponse { return progressResponse(10) }
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		w := Watch{NewWatcher: f.newWatcher, Subject: "it", Ranges: []Range{{"a", "a1"}, {"b", "b1"}}, After: 10, Silence: SilenceAfter(2 * time.Second)}
		err := w.Run(ctx, func(Response) error {
			time.Sleep(time.Minute)
			return nil
		})
		if !errors.Is(err, context.DeadlineExceeded) || len(f.soFar().keys) != 2 {
			t.Errorf("got %v after %d watches, want the end of the context and the first two watches", err, len(f.soFar().keys))
		}
	})
}

// When one of two ranges is ahead, etcd is asked at once, and less often while it does not answer.
func TestUnevenRangesAskSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeEtcd()
		heard := false // the first answer dates from before the change
		f.answer = func(key string) *clientv3.WatchResponse {
			if key == "b" && heard {
				return progressResponse(12)
			}
			heard = heard || key == "b"
			return progressResponse(11)
		}
		out := startWatchOf(t, &Watch{NewWatcher: f.newWatcher, Subject: "it", Ranges: []Range{{"a", "a1"}, {"b", "b1"}}, After: 10, BalanceProgress: true, Silence: SilenceAfter(2 * time.Second)})
		synctest.Wait()
		f.responses["a"] <- eventsAt(12)
		first := <-out
		for {
			d := <-out
			if d.err != nil {
				t.Fatal(d.err)
			}
			if d.Range == 1 && d.Upto == 12 {
				if took := d.at.Sub(first.at); took > 100*time.Millisecond {
					t.Errorf("the other range was up to it after %s, want some milliseconds", took)
				}
				break
			}
		}
		synctest.Wait()
		before := len(f.soFar().asked)
		time.Sleep(time.Second)
		synctest.Wait()
		if n := len(f.soFar().asked) - before; n > 0 {
			t.Errorf("etcd was asked %d times within a second after both ranges were even", n)
		}
	})
}

// A range that is quiet beside a busy one is asked for its progress, and replaced if it does not answer.
func TestQuietRangeBesideABusyOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeEtcd()
		var stuck atomic.Bool
		f.answer = func(key string) *clientv3.WatchResponse {
			if key == "b" && stuck.Load() {
				return nil
			}
			return progressResponse(10)
		}
		out := startWatchOf(t, &Watch{NewWatcher: f.newWatcher, Subject: "it", Ranges: []Range{{"a", "a1"}, {"b", "b1"}}, After: 10, Silence: SilenceAfter(2 * time.Second)})
		rev := int64(10)
		busyMinute := func() {
			for range 600 {
				rev++
				f.responses["a"] <- eventsAt(rev)
				time.Sleep(100 * time.Millisecond)
			}
			synctest.Wait()
		}
		busyMinute()
		if n := len(f.soFar().asked); n < 14 || n > 31 || slices.Contains(f.soFar().asked, "a") || len(f.soFar().keys) != 2 {
			t.Errorf("asked %q in a minute and began watches of %q; want the quiet range asked about 20 times and no watch replaced", f.soFar().asked, f.soFar().keys)
		}
		stuck.Store(true)
		time.Sleep(9 * time.Second) // longer than Again and the pauses around it
		synctest.Wait()
		stuck.Store(false)
		busyMinute()
		if len(f.soFar().keys) < 3 || f.soFar().keys[2] != "b" || slices.Contains(f.soFar().keys[2:], "a") {
			t.Errorf("began watches of %q, want the stuck range replaced and the other kept", f.soFar().keys)
		}
		for len(out) > 0 {
			if d := <-out; d.err != nil {
				t.Fatal(d.err)
			}
		}
	})
}

func TestWatchEnds(t *testing.T) {
	refused := errors.New("another etcd")
	for name, c := range map[string]struct {
		resp *clientv3.WatchResponse // nil if the channel closes
		want func(error) bool
	}{
		"compacted": {&clientv3.WatchResponse{Header: &pb.ResponseHeader{ClusterId: 5}, Canceled: true, CompactRevision: 12}, func(err error) bool {
			e, compacted := errors.AsType[*CompactedError](err)
			return compacted && e.Revision == 12
		}},
		"cancelled":    {&clientv3.WatchResponse{Header: &pb.ResponseHeader{ClusterId: 5}, Canceled: true}, func(err error) bool { return errors.Is(err, rpctypes.ErrFutureRev) }},
		"another etcd": {&clientv3.WatchResponse{Header: &pb.ResponseHeader{ClusterId: 6, Revision: 11}}, func(err error) bool { return errors.Is(err, refused) }},
		"closed":       {nil, func(err error) bool { return errors.Is(err, ErrClosed) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakeEtcd()
				out := startWatchOf(t, &Watch{
					NewWatcher: f.newWatcher, Subject: "it", Ranges: []Range{{"a", "a1"}}, After: 10, Silence: SilenceAfter(2 * time.Second),
					Check: func(_ context.Context, resp *clientv3.WatchResponse, upto int64) error {
						if resp.Header.ClusterId != 5 && upto == 10 {
							return refused
						}
						return nil
					},
				})
				synctest.Wait()
				if c.resp == nil {
					close(f.responses["a"])
				} else {
					f.responses["a"] <- *c.resp
				}
				if d := <-out; !c.want(d.err) {
					t.Errorf("got %v", d.err)
				}
			})
		})
	}
}

func TestWatchEndsWithItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeEtcd()
		enough := errors.New("enough")
		done := make(chan error)
		w := Watch{NewWatcher: f.newWatcher, Subject: "it", Ranges: []Range{{"a", "a1"}}, After: 10, Silence: SilenceAfter(2 * time.Second)}
		go func() { done <- w.Run(t.Context(), func(Response) error { return enough }) }()
		f.responses["a"] <- eventsAt(11)
		if err := <-done; err != enough {
			t.Errorf("got %v, want the caller's own error", err)
		}
	})
}
