package eventlog_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
)

// meter measures the transactions that pass: operations, bytes, and how many are in flight at once.
type meter struct {
	clientv3.KV
	mu                sync.Mutex
	txns, ops, bytes  int
	underWay, highest int
}

type meteredTxn struct {
	clientv3.Txn
	m *meter
}

func (m *meter) Txn(ctx context.Context) clientv3.Txn { return &meteredTxn{m.KV.Txn(ctx), m} }

func (t *meteredTxn) Then(ops ...clientv3.Op) clientv3.Txn {
	bytes := 0
	for _, op := range ops {
		if _, then, _ := op.Txn(); len(then) == 1 {
			bytes += len(then[0].KeyBytes()) + len(then[0].ValueBytes())
		}
	}
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	t.m.txns++
	t.m.ops, t.m.bytes = max(t.m.ops, len(ops)), max(t.m.bytes, bytes)
	return &meteredTxn{t.Txn.Then(ops...), t.m}
}

func (t *meteredTxn) Commit() (*clientv3.TxnResponse, error) {
	t.m.mu.Lock()
	t.m.underWay++
	t.m.highest = max(t.m.highest, t.m.underWay)
	t.m.mu.Unlock()
	defer func() {
		t.m.mu.Lock()
		t.m.underWay--
		t.m.mu.Unlock()
	}()
	return t.Txn.Commit()
}

func TestAppendPacksRequests(t *testing.T) {
	big := func(n, size int) []events.Event {
		evs := make([]events.Event, n)
		for i := range evs {
			evs[i] = eventstest.BigEvent("h1", i, size)
		}
		return evs
	}
	for _, c := range []struct {
		name            string
		evs             []events.Event
		txns, ops, most int // most: bytes in a request
	}{
		{"one", eventstest.Events("h1", 0, 1), 1, 1, 1 << 10},
		{"64 fill a request", eventstest.Events("h1", 0, 64), 1, 64, 256 << 10},
		{"129 take three", eventstest.Events("h1", 0, 129), 3, 64, 256 << 10},
		{"by bytes", big(10, 100<<10), 5, 2, 256 << 10},
		{"larger than a request", big(3, 400<<10), 3, 1, 512 << 10},
		{"as large as can be", big(1, 1300<<10), 1, 1, 1400 << 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := eventstest.OpenLog(t, eventstest.Config(t))
			m := &meter{}
			l.WrapKV(func(kv clientv3.KV) clientv3.KV { m.KV = kv; return m })
			got, err := l.Append(t.Context(), c.evs)
			if err != nil {
				t.Fatal(err)
			}
			for i, a := range got {
				if !a.Created {
					t.Errorf("event %d was not created", i)
				}
			}
			if m.txns != c.txns || m.ops != c.ops || m.bytes > c.most {
				t.Errorf("got %d requests of at most %d events and %d bytes, want %d of %d and at most %d", m.txns, m.ops, m.bytes, c.txns, c.ops, c.most)
			}
		})
	}
}

func TestAppendBoundsRequestsUnderWay(t *testing.T) {
	l := eventstest.OpenLog(t, eventstest.Config(t))
	m := &meter{}
	l.WrapKV(func(kv clientv3.KV) clientv3.KV { m.KV = kv; return m })
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			if _, err := l.Append(t.Context(), eventstest.Events("h1", i*1000, 800)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if m.highest > 16 || m.highest < 2 {
		t.Errorf("got %d requests at a time, want several and at most 16", m.highest)
	}
}

func TestAppendTooLarge(t *testing.T) {
	l := eventstest.OpenLog(t, eventstest.Config(t))
	_, err := l.Append(t.Context(), []events.Event{eventstest.BigEvent("h1", 0, 1500<<10)})
	refused, ok := errors.AsType[*eventlog.TooLargeError](err)
	if !ok || refused.Host != "h1" || refused.Bytes < 1400<<10 || refused.Limit != 1400<<10 {
		t.Errorf("got %v, want a TooLargeError of host h1", err)
	}
}

// TestAppendToSmallEtcd appends to servers with smaller limits than usual.
func TestAppendToSmallEtcd(t *testing.T) {
	s := eventstest.NewServer(t, func(c *embed.Config) { c.MaxTxnOps, c.MaxRequestBytes = 16, 32<<10 })
	l := eventstest.OpenLog(t, s.Config(t))
	var evs []events.Event
	for i := range 40 {
		evs = append(evs, eventstest.BigEvent("h1", i, 5<<10))
	}
	evs = append(evs, eventstest.Events("h1", 1000, 100)...)
	got, err := l.Append(t.Context(), evs)
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range got {
		if !a.Created {
			t.Errorf("event %d was not created", i)
		}
	}
	_, err = l.Append(t.Context(), []events.Event{eventstest.BigEvent("h1", 0, 100<<10)})
	if refused, ok := errors.AsType[*eventlog.TooLargeError](err); !ok || !strings.Contains(err.Error(), "--max-request-bytes") {
		t.Errorf("an event larger than this etcd takes: got %v (%+v), want a TooLargeError", err, refused)
	}
}

func TestAppendNoSpace(t *testing.T) {
	s := eventstest.NewServer(t, func(c *embed.Config) { c.QuotaBackendBytes = 2 << 20 })
	l := eventstest.OpenLog(t, s.Config(t))
	for i := range 100 {
		if _, err := l.Append(t.Context(), []events.Event{eventstest.BigEvent("h1", i, 200<<10)}); err != nil {
			if !errors.Is(err, eventlog.ErrNoSpace) || !strings.Contains(err.Error(), "disarm") {
				t.Errorf("got %v, want %v", err, eventlog.ErrNoSpace)
			}
			if _, err := l.Head(t.Context()); err != nil {
				t.Errorf("Head without space: %v", err)
			}
			return
		}
	}
	t.Error("20 MB went into a quota of 2 MiB")
}

// TestAppendUnclear loses requests and answers, several times in a row, and checks that the counts are still true.
func TestAppendUnclear(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]error{
		"unavailable":    rpctypes.ErrTimeout,
		"leader changed": rpctypes.ErrLeaderChanged,
		"deadline":       context.DeadlineExceeded,
		"too many":       rpctypes.ErrTooManyRequests,
		"old revision":   rpctypes.ErrAuthOldRevision,
	} {
		t.Run(name, func(t *testing.T) {
			l := eventstest.OpenLog(t, eventstest.Config(t))
			there := eventstest.Events("h1", 0, 3)
			if _, err := l.Append(t.Context(), there); err != nil {
				t.Fatal(err)
			}
			var before, after atomic.Int32
			times := func(n *atomic.Int32, max int32) func(string) error {
				return func(string) error {
					if n.Add(1) <= max {
						return lost
					}
					return nil
				}
			}
			l.WrapKV(func(kv clientv3.KV) clientv3.KV {
				return &eventstest.KV{KV: kv, Before: times(&before, 2), After: times(&after, 2)}
			})
			got, err := l.Append(t.Context(), eventstest.Events("h1", 0, 10))
			if err != nil {
				t.Fatal(err)
			}
			if b, a := before.Load(), after.Load(); b != 5 || a != 3 {
				t.Errorf("got %d attempts, %d of them taken, want 5 and 3", b, a)
			}
			for i, a := range got {
				if want := i >= 3; a.Created != want {
					t.Errorf("event %d: got created %t, want %t", i, a.Created, want)
				}
				if i > 3 && a.Revision != got[3].Revision {
					t.Errorf("event %d: got revision %d, want %d as its neighbours", i, a.Revision.Number, got[3].Revision.Number)
				}
			}
		})
	}
}

// TestAppendUnclearBetweenTwo loses every sender's first answer while two append the same events: each event is
// created by one of them.
func TestAppendUnclearBetweenTwo(t *testing.T) {
	cfg := eventstest.Config(t)
	created := make([]atomic.Int32, 30)
	var wg sync.WaitGroup
	for range 2 {
		l := eventstest.OpenLog(t, cfg)
		var calls atomic.Int32
		l.WrapKV(func(kv clientv3.KV) clientv3.KV {
			return &eventstest.KV{KV: kv, After: func(string) error {
				if calls.Add(1)%2 == 1 {
					return rpctypes.ErrTimeout
				}
				return nil
			}}
		})
		wg.Go(func() {
			for i := 0; i < len(created); i += 5 {
				got, err := l.Append(t.Context(), eventstest.Events("h1", i, 5))
				if err != nil {
					t.Error(err)
					return
				}
				for j, a := range got {
					if a.Created {
						created[i+j].Add(1)
					}
				}
			}
		})
	}
	wg.Wait()
	for i := range created {
		if n := created[i].Load(); n != 1 {
			t.Errorf("event %d counted as created %d times, want once", i, n)
		}
	}
}

func TestAppendEndsWithItsContext(t *testing.T) {
	l := eventstest.OpenLog(t, eventstest.Config(t))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var calls atomic.Int32
	l.WrapKV(func(kv clientv3.KV) clientv3.KV {
		return &eventstest.KV{KV: kv, Before: func(string) error {
			if calls.Add(1) == 20 { // each part was tried again by then
				cancel()
			}
			return rpctypes.ErrNoLeader
		}}
	})
	_, err := l.Append(ctx, eventstest.Events("h1", 0, 200))
	if !errors.Is(err, context.Canceled) || !errors.Is(err, rpctypes.ErrNoLeader) {
		t.Errorf("got %v, want the context's error and etcd's last one", err)
	}
}

func TestAppendFinalError(t *testing.T) {
	l := eventstest.OpenLog(t, eventstest.Config(t))
	var calls atomic.Int32
	l.WrapKV(func(kv clientv3.KV) clientv3.KV {
		return &eventstest.KV{KV: kv, Before: func(string) error { calls.Add(1); return rpctypes.ErrPermissionDenied }}
	})
	if _, err := l.Append(t.Context(), eventstest.Events("h1", 0, 1)); !errors.Is(err, rpctypes.ErrPermissionDenied) {
		t.Errorf("got %v, want %v", err, rpctypes.ErrPermissionDenied)
	}
	if n := calls.Load(); n != 1 {
		t.Errorf("got %d attempts, want 1", n)
	}
}

func TestAppendRefusesBrokenEvents(t *testing.T) {
	l := eventstest.OpenLog(t, eventstest.Config(t))
	if _, err := l.Append(t.Context(), []events.Event{{Host: "h1"}}); err == nil {
		t.Error("an event without records was appended")
	}
}
