package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/events/eventstest/model"
)

// gate is a KV whose transactions wait until they are let through, each with an error or none.
type gate struct {
	clientv3.KV
	arrived chan *gatedTxn
	most    int // bytes of a transaction, as of an etcd that takes no more; 0: any number
}

type gatedTxn struct {
	clientv3.Txn
	ctx   context.Context
	g     *gate
	keys  []string
	bytes int
	pass  chan error // an error is the answer of a transaction that takes effect
}

func (g *gate) Txn(ctx context.Context) clientv3.Txn {
	return &gatedTxn{Txn: g.KV.Txn(ctx), ctx: ctx, g: g, pass: make(chan error, 1)}
}

func (t *gatedTxn) Then(ops ...clientv3.Op) clientv3.Txn {
	for _, op := range ops {
		if _, then, _ := op.Txn(); len(then) == 1 {
			t.keys = append(t.keys, string(then[0].KeyBytes()))
			t.bytes += len(then[0].ValueBytes())
		}
	}
	t.Txn = t.Txn.Then(ops...)
	return t
}

func (t *gatedTxn) Commit() (*clientv3.TxnResponse, error) {
	if t.g.most > 0 && t.bytes > t.g.most {
		return nil, rpctypes.ErrRequestTooLarge
	}
	t.g.arrived <- t
	select {
	case lost := <-t.pass:
		resp, err := t.Txn.Commit()
		if lost != nil {
			return nil, lost
		}
		return resp, err
	case <-t.ctx.Done():
		return nil, t.ctx.Err()
	}
}

// openGated returns a log on the model, behind a gate. It is for a bubble.
func openGated(t *testing.T) (*eventlog.Log, *gate) {
	l := eventstest.OpenLog(t, eventlog.Config{Partitions: 4, Connect: model.New(t, model.Options{}).Client("log").Connect})
	g := &gate{arrived: make(chan *gatedTxn, 100)}
	l.WrapKV(func(kv clientv3.KV) clientv3.KV { g.KV = kv; return g })
	return l, g
}

// outcome is the result of an Append.
type outcome struct {
	got []eventlog.Appended
	err error
}

func startAppend(ctx context.Context, l *eventlog.Log, evs ...events.Event) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		got, err := l.Append(ctx, evs)
		done <- outcome{got, err}
	}()
	return done
}

// inBubble runs a test in a bubble and closes the log in it.
func inBubble(t *testing.T, do func(t *testing.T, l *eventlog.Log, g *gate)) {
	synctest.Test(t, func(t *testing.T) {
		l, g := openGated(t)
		do(t, l, g)
	})
}

func TestAppendsShareTransactions(t *testing.T) {
	inBubble(t, func(t *testing.T, l *eventlog.Log, g *gate) {
		first := startAppend(t.Context(), l, eventstest.Event("h0", 0))
		txn := <-g.arrived
		var others []<-chan outcome
		for i := range 9 {
			others = append(others, startAppend(t.Context(), l, eventstest.Events(events.HostID(fmt.Sprint("h", i)), 1, 3)...))
		}
		synctest.Wait()
		if len(g.arrived) > 0 {
			t.Fatal("a request that is not full was sent while another was in flight")
		}
		txn.pass <- nil
		if o := <-first; o.err != nil {
			t.Fatal(o.err)
		}
		txn = <-g.arrived
		if len(txn.keys) != 27 {
			t.Errorf("the second request has %d events, want all 27 that came in the meantime", len(txn.keys))
		}
		txn.pass <- nil
		for _, done := range others {
			o := <-done
			if o.err != nil {
				t.Fatal(o.err)
			}
			for _, a := range o.got {
				if !a.Created || a.Revision != o.got[0].Revision {
					t.Errorf("got %+v, want a created event of the shared revision", a)
				}
			}
		}
	})
}

// A full request does not wait for the one in flight.
func TestFullRequestsAreSentAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, l *eventlog.Log, g *gate) {
		done := startAppend(t.Context(), l, eventstest.Events("h", 0, 64*3)...)
		synctest.Wait()
		if len(g.arrived) != 3 {
			t.Fatalf("%d requests are in flight, want 3", len(g.arrived))
		}
		for range 3 {
			(<-g.arrived).pass <- nil
		}
		if o := <-done; o.err != nil {
			t.Error(o.err)
		}
	})
}

// The rest of an Append does not wait for its beginning, and takes others along.
func TestRestOfAnAppendIsSentAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, l *eventlog.Log, g *gate) {
		first := startAppend(t.Context(), l, eventstest.Event("h0", 0))
		txn := <-g.arrived
		other := startAppend(t.Context(), l, eventstest.Event("h1", 0))
		synctest.Wait()
		done := startAppend(t.Context(), l, eventstest.Events("h", 0, 64+10)...)
		synctest.Wait()
		if len(g.arrived) != 2 {
			t.Fatalf("%d requests were sent beside the first, want 2", len(g.arrived))
		}
		for range 2 {
			(<-g.arrived).pass <- nil
		}
		for _, done := range []<-chan outcome{other, done} {
			if o := <-done; o.err != nil {
				t.Error(o.err)
			}
		}
		txn.pass <- nil
		if o := <-first; o.err != nil {
			t.Error(o.err)
		}
	})
}

// The events of a small Append are not behind the events of a large one.
func TestSmallAppendsPassLargeOnes(t *testing.T) {
	inBubble(t, func(t *testing.T, l *eventlog.Log, g *gate) {
		large := startAppend(t.Context(), l, eventstest.Events("large", 0, 64*60)...)
		synctest.Wait()
		small := startAppend(t.Context(), l, eventstest.Event("small", 0))
		synctest.Wait()
		for range 16 {
			(<-g.arrived).pass <- nil
		}
		synctest.Wait()
		if len(small) > 0 {
			t.Fatal("the small Append ended before its request was answered")
		}
		for range len(g.arrived) { // the requests that followed; one of them has the small Append's event
			(<-g.arrived).pass <- nil
		}
		synctest.Wait()
		if len(small) == 0 {
			t.Fatal("the small Append waits for all of the large one")
		}
		if o := <-small; o.err != nil {
			t.Error(o.err)
		}
		for synctest.Wait(); len(g.arrived) > 0; synctest.Wait() {
			(<-g.arrived).pass <- nil
		}
		if o := <-large; o.err != nil {
			t.Error(o.err)
		}
	})
}

// A request without an answer soon holds up no others.
func TestSlowRequestsHoldUpNoOthers(t *testing.T) {
	inBubble(t, func(t *testing.T, l *eventlog.Log, g *gate) {
		first := startAppend(t.Context(), l, eventstest.Event("h1", 0))
		stuck := <-g.arrived
		began := time.Now()
		second := startAppend(t.Context(), l, eventstest.Event("h2", 0))
		(<-g.arrived).pass <- nil
		if o := <-second; o.err != nil {
			t.Error(o.err)
		}
		if waited := time.Since(began); waited == 0 || waited > 100*time.Millisecond {
			t.Errorf("the second Append waited for %s", waited)
		}
		stuck.pass <- nil
		if o := <-first; o.err != nil {
			t.Error(o.err)
		}
	})
}

// An event of two Appends in one request is in the transaction once, and created by one of them.
func TestAppendsOfOneEventShareIt(t *testing.T) {
	for _, lost := range []error{nil, rpctypes.ErrTimeout} {
		inBubble(t, func(t *testing.T, l *eventlog.Log, g *gate) {
			startAppend(t.Context(), l, eventstest.Event("h", 0))
			txn := <-g.arrived
			var all []<-chan outcome
			for i := range 3 {
				all = append(all, startAppend(t.Context(), l, eventstest.Event("h", 1), eventstest.Event("h", 2+i)))
			}
			synctest.Wait()
			txn.pass <- nil
			txn = <-g.arrived
			if len(txn.keys) != 4 {
				t.Errorf("the request has %d keys, want 4", len(txn.keys))
			}
			txn.pass <- lost
			if lost != nil {
				(<-g.arrived).pass <- nil
			}
			created, at := 0, map[events.Revision]bool{}
			for _, done := range all {
				o := <-done
				if o.err != nil {
					t.Fatal(o.err)
				}
				at[o.got[0].Revision] = true
				if o.got[0].Created {
					created++
				}
				if !o.got[1].Created {
					t.Error("an event of one Append alone was not created")
				}
			}
			if created != 1 || len(at) != 1 {
				t.Errorf("lost answer %v: %d Appends created the event, at %d revisions; want one at one", lost, created, len(at))
			}
		})
	}
}

// The end of one Append ends no others that share its request, and its events are not sent again.
func TestCancelledAppendLeavesOthers(t *testing.T) {
	inBubble(t, func(t *testing.T, l *eventlog.Log, g *gate) {
		startAppend(t.Context(), l, eventstest.Event("h", 0))
		txn := <-g.arrived
		ctx, cancel := context.WithCancel(t.Context())
		shared := eventstest.Event("h", 9)
		shared.Upload = "another"
		cancelled := startAppend(ctx, l, eventstest.Event("h", 1), shared)
		synctest.Wait()
		kept := startAppend(t.Context(), l, eventstest.Event("h", 2), eventstest.Event("h", 9))
		synctest.Wait()
		txn.pass <- nil
		txn = <-g.arrived
		cancel()
		if o := <-cancelled; !errors.Is(o.err, context.Canceled) {
			t.Errorf("got %v, want %v", o.err, context.Canceled)
		}
		txn.pass <- rpctypes.ErrTimeout
		txn = <-g.arrived
		if len(txn.keys) != 2 {
			t.Errorf("%d events were sent again, want the 2 of the Append that waits", len(txn.keys))
		}
		txn.pass <- nil
		o := <-kept
		if o.err != nil {
			t.Fatal(o.err)
		}
		if !o.got[0].Created || o.got[1].Created { // the first attempt stored the other's value
			t.Errorf("got %+v, want the first created and the second by the cancelled Append", o.got)
		}
	})
}

// An Append whose context has ended sends nothing, however many events it has.
func TestEndedAppendSendsNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, l *eventlog.Log, g *gate) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := l.Append(ctx, eventstest.Events("h", 0, 1000)); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
		synctest.Wait()
		if n := len(g.arrived); n > 0 {
			t.Errorf("%d requests were sent", n)
		}
	})
}

// A request for which nobody waits any more is ended, and events that are in none are dropped. The Append that waits ends first: an
// end of both at once may send its event before it has noticed.
func TestAbandonedRequestsEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, l *eventlog.Log, g *gate) {
		ctx, cancel := context.WithCancel(t.Context())
		waiting, drop := context.WithCancel(t.Context())
		first := startAppend(ctx, l, eventstest.Event("h", 0))
		txn := <-g.arrived
		second := startAppend(waiting, l, eventstest.Event("h", 1))
		synctest.Wait()
		for _, end := range []struct {
			cancel context.CancelFunc
			done   <-chan outcome
		}{{drop, second}, {cancel, first}} {
			end.cancel()
			if o := <-end.done; !errors.Is(o.err, context.Canceled) {
				t.Errorf("got %v, want %v", o.err, context.Canceled)
			}
		}
		<-txn.ctx.Done()
		synctest.Wait()
		if len(g.arrived) > 0 {
			t.Error("an event was sent that nobody waits for")
		}
		third := startAppend(t.Context(), l, eventstest.Event("h", 2))
		(<-g.arrived).pass <- nil
		if o := <-third; o.err != nil {
			t.Error(o.err)
		}
	})
}

// Without answers, Appends wait in a bounded number of bytes, and what ends makes room.
func TestWaitingBytesAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, l *eventlog.Log, g *gate) {
		ctx, cancel := context.WithCancel(t.Context())
		var all []<-chan outcome
		for i := range 40 {
			all = append(all, startAppend(ctx, l, eventstest.BigEvent(events.HostID(fmt.Sprint("h", i)), 0, 1200<<10)))
		}
		synctest.Wait()
		if bytes := l.HeldBytes(); bytes > 8<<20 || bytes < 4<<20 {
			t.Errorf("%d bytes wait or are in flight, want at most 8 MiB and most of it", bytes)
		}
		cancel()
		for _, done := range all {
			if o := <-done; !errors.Is(o.err, context.Canceled) {
				t.Errorf("got %v, want %v", o.err, context.Canceled)
			}
		}
		synctest.Wait()
		if bytes := l.HeldBytes(); bytes != 0 {
			t.Errorf("%d bytes are held after all has ended", bytes)
		}
	})
}

func TestCloseEndsAppends(t *testing.T) {
	inBubble(t, func(t *testing.T, l *eventlog.Log, g *gate) {
		inFlight := startAppend(t.Context(), l, eventstest.Event("h", 0))
		<-g.arrived
		waiting := startAppend(t.Context(), l, eventstest.Event("h", 1))
		synctest.Wait()
		l.Close()
		for _, done := range []<-chan outcome{inFlight, waiting, startAppend(t.Context(), l, eventstest.Event("h", 2))} {
			if o := <-done; o.err == nil {
				t.Error("an Append succeeded on a closed log")
			}
		}
	})
}

// An event that this etcd finds too large fails only its own Append.
func TestTooLargeEventLeavesOthers(t *testing.T) {
	inBubble(t, func(t *testing.T, l *eventlog.Log, g *gate) {
		g.most = 32 << 10
		first := startAppend(t.Context(), l, eventstest.Event("h", 0))
		txn := <-g.arrived
		large := startAppend(t.Context(), l, eventstest.BigEvent("large", 0, 60<<10))
		small := startAppend(t.Context(), l, eventstest.Events("small", 0, 20)...)
		synctest.Wait()
		txn.pass <- nil
		for synctest.Wait(); len(g.arrived) > 0; synctest.Wait() {
			(<-g.arrived).pass <- nil
		}
		if o := <-first; o.err != nil {
			t.Error(o.err)
		}
		if o := <-large; !isTooLarge(o.err) {
			t.Errorf("got %v, want a TooLargeError", o.err)
		}
		o := <-small
		if o.err != nil {
			t.Fatal(o.err)
		}
		for i, a := range o.got {
			if !a.Created {
				t.Errorf("event %d was not created", i)
			}
		}
	})
}

func isTooLarge(err error) bool {
	_, ok := errors.AsType[*eventlog.TooLargeError](err)
	return ok
}

// faults loses requests and answers, delays them and refuses them for want of space, at random.
type faults struct {
	mu   sync.Mutex
	r    *rand.Rand
	over bool
}

func (f *faults) roll(n int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over {
		return n
	}
	return f.r.IntN(n)
}

func (f *faults) before(call string) error {
	switch f.roll(20) {
	case 0, 1:
		return rpctypes.ErrLeaderChanged
	case 2:
		return rpctypes.ErrNoSpace
	case 3, 4, 5:
		time.Sleep(time.Duration(f.roll(100)) * time.Millisecond)
	}
	return nil
}

func (f *faults) after(call string) error {
	switch f.roll(20) {
	case 0, 1, 2:
		return rpctypes.ErrTimeout
	case 3:
		time.Sleep(time.Duration(f.roll(100)) * time.Millisecond)
	}
	return nil
}

// appendRandomly has many senders append events, some of which others append too, and ends some of them early. It returns the
// outcomes by key: by how many Appends an event was created, and the revisions that were reported.
func appendRandomly(t *testing.T, l *eventlog.Log, f *faults, seed uint64) (created map[string]int, reported map[string]map[events.Revision]bool, failed int) {
	created, reported = map[string]int{}, map[string]map[events.Revision]bool{}
	var mu sync.Mutex
	var senders sync.WaitGroup
	for sender := range 12 {
		senders.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(sender)))
			for round := range 6 {
				evs := eventstest.Events(events.HostID(fmt.Sprint("h", r.IntN(3))), r.IntN(60), 1+r.IntN(4))
				if r.IntN(6) == 0 {
					evs = append(evs, eventstest.Events("large", r.IntN(100), 100)...)
				}
				for i := range evs {
					evs[i].Upload = events.UploadID(fmt.Sprint("upload ", sender, " ", round))
				}
				ctx, cancel := context.WithCancel(t.Context())
				if r.IntN(5) == 0 {
					ctx, cancel = context.WithTimeout(ctx, time.Duration(r.IntN(200))*time.Millisecond)
				}
				got, err := l.Append(ctx, evs)
				cancel()
				mu.Lock()
				if err != nil {
					failed++
				}
				for _, a := range got {
					if a.Created {
						created[a.Key]++
					}
					if reported[a.Key] == nil {
						reported[a.Key] = map[events.Revision]bool{}
					}
					reported[a.Key][a.Revision] = true
				}
				mu.Unlock()
			}
		})
	}
	senders.Wait()
	f.mu.Lock()
	f.over = true
	f.mu.Unlock()
	return created, reported, failed
}

// checkRandom appends at random and compares the outcomes with the log.
func checkRandom(t *testing.T, l *eventlog.Log, seed uint64) {
	t.Helper()
	f := &faults{r: rand.New(rand.NewPCG(seed, 1000))}
	l.WrapKV(func(kv clientv3.KV) clientv3.KV { return &eventstest.KV{KV: kv, Before: f.before, After: f.after} })
	created, reported, failed := appendRandomly(t, l, f, seed)
	stored := map[string]events.Revision{}
	for p := range l.Facts().Partitions {
		head, err := l.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for e, err := range l.Read(t.Context(), events.Partition(p), events.Revision{}, head) {
			if err != nil {
				t.Fatal(err)
			}
			if _, twice := stored[e.Key]; twice || e.Damage != nil {
				t.Errorf("seed %d: %s is in the log twice, or damaged (%v)", seed, e.Key, e.Damage)
			}
			stored[e.Key] = e.Revision
		}
	}
	for key, at := range reported {
		if len(at) != 1 || !at[stored[key]] {
			t.Errorf("seed %d: %s is at %v, and Appends reported %v", seed, key, stored[key], at)
		}
		if created[key] > 1 {
			t.Errorf("seed %d: %s counts as created %d times", seed, key, created[key])
		}
		if failed == 0 && created[key] != 1 {
			t.Errorf("seed %d: %s counts as created %d times, want once", seed, key, created[key])
		}
	}
	l.Close() // waits for requests that were abandoned
	if bytes := l.HeldBytes(); bytes != 0 {
		t.Errorf("seed %d: %d bytes are held after all has ended", seed, bytes)
	}
}

func TestRandomAppendsOnTheModel(t *testing.T) {
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			etcd := model.New(t, model.Options{})
			checkRandom(t, eventstest.OpenLog(t, eventlog.Config{Partitions: 4, Connect: etcd.Client("log").Connect}), seed)
		})
	}
}

func TestRandomAppendsOnEtcd(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		checkRandom(t, eventstest.OpenLog(t, eventstest.Config(t)), seed)
	}
}
