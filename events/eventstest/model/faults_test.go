package model_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"telemetry-pipeline/events/eventstest/model"
)

// bubble is a model with a process that is harmed and one that looks on.
type bubble struct {
	*testing.T
	etcd   *model.Etcd
	victim *model.Client
	theirs *clientv3.Client
	ours   *clientv3.Client
}

func inBubble(t *testing.T, test func(b *bubble)) {
	synctest.Test(t, func(t *testing.T) {
		etcd := model.New(t, model.Options{})
		victim := etcd.Client("victim")
		b := &bubble{T: t, etcd: etcd, victim: victim, theirs: connect(t, victim), ours: connect(t, etcd.Client("onlooker"))}
		test(b)
		victim.Kill()
	})
}

func (b *bubble) hasKey(key string) bool {
	b.Helper()
	resp, err := b.ours.Get(context.Background(), key)
	if err != nil {
		b.Fatal(err)
	}
	return len(resp.Kvs) > 0
}

// putKey puts a key as the faulty process and returns its error.
func (b *bubble) putKey(ctx context.Context, key string) error {
	_, err := b.theirs.Put(ctx, key, "1")
	return err
}

func TestFrozenProcessNeitherActsNorNotices(t *testing.T) {
	inBubble(t, func(b *bubble) {
		b.victim.Freeze()
		done := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(b.Context(), time.Second)
			defer cancel()
			done <- b.putKey(ctx, "a")
		}()
		time.Sleep(time.Minute)
		select {
		case err := <-done:
			t.Errorf("a frozen process got an answer: %v", err)
		default:
		}
		if b.hasKey("a") {
			t.Error("a frozen process put a key")
		}
		b.victim.Thaw()
		<-done
		if !b.hasKey("a") {
			t.Error("a request that a process was about to send when it froze was not sent when it thawed")
		}
	})
}

func TestRefusedSilentAndDeadProcesses(t *testing.T) {
	inBubble(t, func(b *bubble) {
		b.victim.Refuse()
		if err := b.putKey(b.Context(), "a"); status.Code(err) != codes.Unavailable {
			t.Errorf("got %v while refused, want Unavailable", err)
		}
		b.victim.Silence()
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		defer cancel()
		if err := b.putKey(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v while silent, want the deadline", err)
		}
		b.victim.Reconnect()
		if err := b.putKey(b.Context(), "b"); err != nil {
			t.Errorf("after the connection is back: %v", err)
		}
		b.victim.Kill()
		b.victim.Reconnect()
		if err := b.putKey(b.Context(), "a"); err == nil {
			t.Error("a dead process got an answer")
		}
		if b.hasKey("a") {
			t.Error("a request without an answer had an effect")
		}
	})
}

func TestLostAndLateEffects(t *testing.T) {
	inBubble(t, func(b *bubble) {
		broken := status.Error(codes.Unavailable, "broken")
		b.victim.Hook(func(c model.Call) error { return broken }, nil)
		if err := b.putKey(b.Context(), "before"); err == nil || b.hasKey("before") {
			t.Errorf("failed before its effect: got %v, and it is there: %t", err, b.hasKey("before"))
		}
		b.victim.Hook(nil, func(c model.Call) error { return broken })
		if err := b.putKey(b.Context(), "after"); err == nil || !b.hasKey("after") {
			t.Errorf("failed after its effect: got %v, and it is there: %t", err, b.hasKey("after"))
		}
		b.victim.Hook(nil, nil)
		b.victim.SetLate(func(model.Call) time.Duration { return time.Minute })
		if err := b.putKey(b.Context(), "late"); err == nil || b.hasKey("late") {
			t.Errorf("took effect late: got %v, and it is there at once: %t", err, b.hasKey("late"))
		}
		b.victim.Kill()
		time.Sleep(2 * time.Minute)
		if !b.hasKey("late") {
			t.Error("it did not take effect late")
		}
	})
}

func TestLeaseOfAFrozenProcessEnds(t *testing.T) {
	inBubble(t, func(b *bubble) {
		session, err := concurrency.NewSession(b.theirs, concurrency.WithTTL(5))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.theirs.Put(b.Context(), "member", "1", clientv3.WithLease(session.Lease())); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if !b.hasKey("member") {
			t.Fatal("a lease that is kept alive ended")
		}
		b.victim.Freeze()
		time.Sleep(6 * time.Second)
		if b.hasKey("member") {
			t.Error("the lease of a frozen process did not end")
		}
		b.victim.Thaw()
		time.Sleep(6 * time.Second)
		select {
		case <-session.Done():
		default:
			t.Error("the process does not know that its lease is gone")
		}
	})
}

func TestEtcdThatIsBackKeepsLeases(t *testing.T) {
	inBubble(t, func(b *bubble) {
		session, err := concurrency.NewSession(b.theirs, concurrency.WithTTL(20))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.theirs.Put(b.Context(), "member", "1", clientv3.WithLease(session.Lease())); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		b.etcd.Stop()
		if err := b.putKey(b.Context(), "a"); status.Code(err) != codes.Unavailable {
			t.Errorf("got %v while etcd is down, want Unavailable", err)
		}
		time.Sleep(10 * time.Second)
		b.etcd.Start()
		time.Sleep(time.Minute)
		if !b.hasKey("member") {
			t.Error("a lease ended because etcd was away for less than its time")
		}
		b.etcd.ExpireLeases(b.victim)
		if b.hasKey("member") {
			t.Error("a key outlived its lease")
		}
	})
}

func TestWatchesGoOnBreakAndAreCompacted(t *testing.T) {
	inBubble(t, func(b *bubble) {
		watch := func() clientv3.WatchChan { return b.theirs.Watch(b.Context(), "a", clientv3.WithPrefix()) }
		put := func(key string) {
			if _, err := b.ours.Put(b.Context(), key, "1"); err != nil {
				t.Fatal(err)
			}
		}
		next := func(w clientv3.WatchChan, want ...string) {
			t.Helper()
			synctest.Wait()
			resp := <-w
			var got []string
			for _, ev := range resp.Events {
				got = append(got, string(ev.Kv.Key))
			}
			if len(got) != len(want) || len(got) > 0 && got[0] != want[0] {
				t.Errorf("a watch received %q, want %q", got, want)
			}
		}
		w := watch()
		b.victim.Refuse()
		put("a1")
		put("a2")
		synctest.Wait()
		b.victim.Repeat(1)
		b.victim.Reconnect()
		next(w, "a1")
		next(w, "a1")
		next(w, "a2")
		b.victim.Freeze()
		b.victim.Merge(true)
		put("a3")
		put("a4")
		b.victim.Thaw()
		next(w, "a3", "a4")

		b.victim.Silence()
		put("a5")
		put("a6")
		b.etcd.Compact()
		b.victim.Reconnect()
		if resp := <-w; resp.CompactRevision != b.etcd.Revision() {
			t.Errorf("a watch behind a compaction received %+v", resp)
		}
		if _, open := <-w; open {
			t.Error("it goes on after that")
		}

		w = watch()
		b.etcd.BreakWatches(b.victim)
		if resp := <-w; !errors.Is(resp.Err(), rpctypes.ErrNoLeader) {
			t.Errorf("a broken watch received %v", resp.Err())
		}
		w = watch()
		b.etcd.CompactWatches(b.victim)
		if resp := <-w; !errors.Is(resp.Err(), rpctypes.ErrCompacted) {
			t.Errorf("a watch that was compacted received %v", resp.Err())
		}
		for range w {
			t.Error("it goes on after that")
		}
	})
}

// errorCounter counts the errors that the model reports for requests it does not implement.
type errorCounter struct {
	testing.TB
	errors int
}

func (u *errorCounter) Errorf(string, ...any) { u.errors++ }

func TestUnknownRequestsFailTheTest(t *testing.T) {
	u := &errorCounter{TB: t}
	client := connect(t, model.New(u, model.Options{}).Client("asks too much"))
	for i, ask := range []func(){
		func() { client.TimeToLive(t.Context(), 1) },
		func() { client.Leases(t.Context()) },
		func() { client.GetStream(t.Context(), "a") },
		func() { client.Watch(t.Context(), "a", clientv3.WithPrevKV()) },
		func() { client.Put(t.Context(), "a", "", clientv3.WithIgnoreValue()) },
		func() {
			client.Txn(t.Context()).Then(clientv3.OpPut("a", ""), clientv3.OpGet("b", clientv3.WithRev(1))).Commit()
		},
	} {
		if ask(); u.errors != i+1 {
			t.Errorf("request %d did not fail the test", i)
			u.errors = i + 1
		}
	}
}
