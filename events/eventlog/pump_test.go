package eventlog

import (
	"context"
	"errors"
	"sync/atomic"
	"telemetry-pipeline/events"
	"testing"
	"testing/synctest"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// fakeWatcher is a connection whose other side the test plays.
type fakeWatcher struct {
	clientv3.Watcher
	answers chan clientv3.WatchResponse
	asked   []time.Time
	answer  func() *clientv3.WatchResponse // to a request for progress; nil: none
	begun   int                            // watches
	gone    atomic.Bool                    // nothing is answered, and no new watch is to be had
}

func (f *fakeWatcher) Watch(ctx context.Context, _ string, _ ...clientv3.OpOption) clientv3.WatchChan {
	if f.begun++; f.gone.Load() {
		<-ctx.Done()
		closed := make(chan clientv3.WatchResponse)
		close(closed)
		return closed
	}
	return f.answers
}

func (f *fakeWatcher) RequestProgress(ctx context.Context) error {
	f.asked = append(f.asked, time.Now())
	if f.answer == nil || f.gone.Load() {
		<-ctx.Done() // a connection that takes nothing any more
		return ctx.Err()
	}
	go func() { f.answers <- *f.answer() }()
	return nil
}

func progress(rev int64) *clientv3.WatchResponse {
	return &clientv3.WatchResponse{Header: &pb.ResponseHeader{ClusterId: 5, Revision: rev}}
}

// pumped runs a pump from revision 10 against f.
func pumped(t *testing.T, f *fakeWatcher) *queue {
	f.answers = make(chan clientv3.WatchResponse)
	l := &Log{cfg: Config{}.withDefaults(), facts: events.Facts{Cluster: 5}, watcher: f, silence: silenceAfter(2 * time.Second)}
	q := newQueue(1 << 20)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.pump(ctx, 0, 10, q)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return q
}

// TestPumpIdle has an etcd in which nobody writes: it answers with the revision that the reader has, for an
// hour.
func TestPumpIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeWatcher{answer: func() *clientv3.WatchResponse { return progress(10) }}
		q := pumped(t, f)
		time.Sleep(time.Hour)
		synctest.Wait()
		if a, err, ok := q.next(); ok {
			t.Errorf("got %+v, %v, want nothing: there is no progress", a, err)
		}
		if n := len(f.asked); n < 900 || n > 1800 {
			t.Errorf("asked %d times in an hour, want about every 2 to 4 seconds", n)
		}
	})
}

func TestPumpProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rev := int64(10)
		f := &fakeWatcher{answer: func() *clientv3.WatchResponse { rev++; return progress(rev) }}
		q := pumped(t, f)
		for want := int64(11); want < 20; want++ {
			a, err := q.take(t.Context())
			if err != nil || a.upto != want || len(a.kvs) != 0 {
				t.Errorf("got %+v, %v, want progress up to %d", a, err, want)
			}
		}
	})
}

// TestPumpSilence has an etcd that answers nothing, as behind a dead link.
func TestPumpSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeWatcher{}
		start := time.Now()
		q := pumped(t, f)
		_, err := q.take(t.Context())
		if !errors.Is(err, events.ErrSilent) {
			t.Errorf("got %v, want %v", err, events.ErrSilent)
		}
		if d := time.Since(start); d < 20*time.Second || d > 26*time.Second {
			t.Errorf("gave up after %s, want a little over 20s", d)
		}
		if len(f.asked) < 2 {
			t.Errorf("asked %d times before giving up, want several", len(f.asked))
		}
	})
}

// TestPumpSilenceAfterAnswers has an etcd that goes away from under a watch: the client lets nobody begin a new
// one before it is back, and still the reader is told in time.
func TestPumpSilenceAfterAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeWatcher{answer: func() *clientv3.WatchResponse { return progress(11) }}
		q := pumped(t, f)
		time.Sleep(time.Minute)
		if _, err := q.take(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		f.gone.Store(true)
		start := time.Now()
		if _, err := q.take(t.Context()); !errors.Is(err, events.ErrSilent) {
			t.Errorf("got %v, want %v", err, events.ErrSilent)
		}
		if d := time.Since(start); d < 16*time.Second || d > 26*time.Second {
			t.Errorf("gave up after %s, want about 20s after the last answer", d)
		}
		if f.begun < 3 || f.begun > 6 {
			t.Errorf("began %d watches, want a second one when the first was silent, and some more as that was not to be had", f.begun)
		}
	})
}

func TestPumpEnds(t *testing.T) {
	for name, c := range map[string]struct {
		resp *clientv3.WatchResponse // nil: the channel closes
		want error
	}{
		"compacted":      {&clientv3.WatchResponse{Header: &pb.ResponseHeader{ClusterId: 5}, Canceled: true, CompactRevision: 12}, events.ErrCompacted},
		"another etcd":   {&clientv3.WatchResponse{Header: &pb.ResponseHeader{ClusterId: 6, Revision: 11}}, events.ErrForeign},
		"the log closed": {nil, errClosed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeWatcher{}
				q := pumped(t, f)
				synctest.Wait()
				if c.resp == nil {
					close(f.answers)
				} else {
					f.answers <- *c.resp
				}
				if _, err := q.take(t.Context()); !errors.Is(err, c.want) {
					t.Errorf("got %v, want %v", err, c.want)
				}
			})
		})
	}
}
