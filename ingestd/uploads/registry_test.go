package uploads

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
)

func TestMain(m *testing.M) { eventstest.Main(m) }

// startRegistry returns a registry for a server called name, and runs it until the test ends or stop is called.
func startRegistry(t *testing.T, client *clientv3.Client, store eventlog.Config, name string) (r *Registry, stop func()) {
	t.Helper()
	r = New(client, store, nil)
	r.server = name
	return r, runRegistry(t, r)
}

func runRegistry(t *testing.T, r *Registry) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	stop = func() {
		if cancel(); ended != nil {
			if err := <-ended; err != nil {
				t.Error(err)
			}
			ended = nil
		}
	}
	t.Cleanup(stop)
	return stop
}

var received = time.Date(2025, 7, 18, 20, 42, 34, 0, time.UTC)

// testUpload returns an upload received n seconds after upload 0.
func testUpload(n int) Upload {
	return Upload{
		ID: events.UploadID(fmt.Sprintf("id-%d", n)), Kind: Async, State: Queued, TotalBytes: 100,
		Files: []File{{"a.csv", 100}}, ReceivedAt: received.Add(time.Duration(n) * time.Second),
	}
}

// patience bounds every wait of a test; it is long because machines are busy.
const patience = 2 * time.Minute

func waitStored(t *testing.T, h *Handle) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := h.WaitStored(ctx); err != nil {
		t.Fatalf("storing: %v", err)
	}
}

func eventually(t *testing.T, what string, right func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !right(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

func mustGet(t *testing.T, r *Registry, id events.UploadID) Upload {
	t.Helper()
	u, err := r.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func anyUpload(*Upload) bool { return true }

func TestOthersSeeAnUploadFromItsBeginningToItsEnd(t *testing.T) {
	client, store := eventstest.Etcd(t), eventstest.Config(t)
	one, _ := startRegistry(t, client, store, "one")
	two, _ := startRegistry(t, client, store, "two")

	h := one.Begin(testUpload(1))
	waitStored(t, h)
	if got := mustGet(t, two, "id-1"); got.State != Queued || got.Server != "one" || got.TotalBytes != 100 {
		t.Errorf("after the beginning others see %+v", got)
	}
	h.Change(func(u *Upload) { u.State, u.StartedAt = Processing, time.Now().UTC() })
	h.Change(func(u *Upload) { u.Bytes, u.Rows = 50, 7 })
	eventually(t, "progress without a change of state", func() bool { return mustGet(t, two, "id-1").Rows == 7 })

	h.Change(func(u *Upload) { u.State, u.Receipt = Done, []byte(`{"accepted":7}`) })
	waitStored(t, h)
	want := h.Upload()
	if want.EndedAt.IsZero() || h.Context().Err() == nil {
		t.Errorf("an upload that has ended is %+v, its context %v", want, h.Context().Err())
	}
	h.Change(func(u *Upload) { u.State = Failed })
	for _, r := range []*Registry{one, two} {
		if diff := cmp.Diff(want, mustGet(t, r, "id-1")); diff != "" {
			t.Errorf("after the end (-is +seen by %s):\n%s", r.server, diff)
		}
	}
	if one.ownHandle("id-1") != nil {
		t.Error("an upload that has ended and is in etcd is still kept in memory")
	}
	ttl, err := client.TimeToLive(t.Context(), leaseOf(t, one, "id-1"))
	if err != nil || time.Duration(ttl.TTL)*time.Second < retainFor-time.Minute {
		t.Errorf("the state is kept for %+v (%v), want %s", ttl, err, retainFor)
	}
	if _, err := two.Get(t.Context(), "id-2"); !errors.Is(err, ErrUnknown) {
		t.Errorf("an upload that never was: %v", err)
	}
}

func leaseOf(t *testing.T, r *Registry, id events.UploadID) clientv3.LeaseID {
	t.Helper()
	answer, err := r.client.Get(t.Context(), r.uploadKey(id))
	if err != nil || len(answer.Kvs) != 1 {
		t.Fatalf("reading %s: %v, %v", id, answer, err)
	}
	return clientv3.LeaseID(answer.Kvs[0].Lease)
}

func TestCancelReachesTheProcessThatHasTheUpload(t *testing.T) {
	t.Parallel()
	client, store := eventstest.Etcd(t), eventstest.Config(t)
	one, _ := startRegistry(t, client, store, "one")
	two, _ := startRegistry(t, client, store, "two")
	for name, asked := range map[string]*Registry{"the same": one, "another": two} {
		t.Run(name, func(t *testing.T) {
			u := testUpload(1)
			u.ID = events.UploadID("cancel " + name)
			h := one.Begin(u)
			waitStored(t, h)
			// Progress of every kind continues meanwhile, and must not overwrite the cancel request.
			going := make(chan struct{})
			go func() {
				defer close(going)
				for h.Context().Err() == nil {
					h.Change(func(u *Upload) { u.Rows++ })
					time.Sleep(time.Millisecond)
				}
			}()
			got, err := asked.Cancel(t.Context(), u.ID)
			if err != nil || !got.CancelRequested || got.State != Queued {
				t.Errorf("cancel returned %+v, %v", got, err)
			}
			select {
			case <-h.Context().Done():
			case <-time.After(patience):
				t.Fatal("the wish did not arrive")
			}
			<-going
			if cause := context.Cause(h.Context()); !errors.Is(cause, ErrCancelled) {
				t.Errorf("the context ended with %v", cause)
			}
			h.Change(func(u *Upload) { u.State = Cancelled })
			waitStored(t, h)
			if got, err := two.Cancel(t.Context(), u.ID); err != nil || got.State != Cancelled || !got.CancelRequested {
				t.Errorf("cancel after the end returned %+v, %v", got, err)
			}
			if ttl, err := client.TimeToLive(t.Context(), leaseOf(t, one, u.ID)); err != nil || ttl.TTL < 1 {
				t.Errorf("a cancelled upload's state has no lease: %+v, %v", ttl, err)
			}
		})
	}
	if _, err := two.Cancel(t.Context(), "never"); !errors.Is(err, ErrUnknown) {
		t.Errorf("cancelling an unknown upload: %v", err)
	}
}

func TestTheNextProcessGoesOnWithAnUpload(t *testing.T) {
	t.Parallel()
	client, store := eventstest.Etcd(t), eventstest.Config(t)
	one, stop := startRegistry(t, client, store, "one")
	waitStored(t, one.Begin(testUpload(1)))
	stop()
	two, _ := startRegistry(t, client, store, "two")
	if _, err := two.Cancel(t.Context(), "id-1"); err != nil {
		t.Fatal(err)
	}
	lease := leaseOf(t, two, "id-1")
	three, _ := startRegistry(t, client, store, "three")
	h := three.Begin(testUpload(1))
	eventually(t, "the wish of the time in between", func() bool { return h.Context().Err() != nil })
	waitStored(t, h)
	if got := mustGet(t, two, "id-1"); got.Server != "three" || !got.CancelRequested {
		t.Errorf("continued as %+v", got)
	}
	if got := leaseOf(t, two, "id-1"); got != lease {
		t.Errorf("the lease is %x, want that of before, %x", got, lease)
	}
}

func TestStatesAreBoundedInNumber(t *testing.T) {
	client, store := eventstest.Etcd(t), eventstest.Config(t)
	before, err := client.Leases(t.Context()) // by other tests
	if err != nil {
		t.Fatal(err)
	}
	r, _ := startRegistry(t, client, store, "one")
	r.maxStates = 20
	open := r.Begin(testUpload(0)) // the oldest, but it has not ended
	for i := 1; i <= 40; i++ {
		h := r.Begin(testUpload(i))
		h.Change(func(u *Upload) { u.State = Done })
		waitStored(t, h)
	}
	list, err := r.List(t.Context(), anyUpload)
	if err != nil || len(list) > 20 || len(list) < 18 {
		t.Fatalf("%d states are kept (%v), want about 20", len(list), err)
	}
	for i, u := range list[:len(list)-1] {
		if want := testUpload(40 - i).ID; u.ID != want {
			t.Errorf("place %d has %s, want %s: the newest, in order", i, u.ID, want)
		}
	}
	if last := list[len(list)-1].ID; last != open.Upload().ID {
		t.Errorf("the last is %s, want the one that has not ended", last)
	}
	leases, err := client.Leases(t.Context())
	if err != nil || len(leases.Leases)-len(before.Leases) > 20 {
		t.Errorf("%d leases are left (%v), want one for each state", len(leases.Leases)-len(before.Leases), err)
	}
	done, err := r.List(t.Context(), func(u *Upload) bool { return u.State == Queued })
	if err != nil || len(done) != 1 {
		t.Errorf("%d states are queued (%v), want 1", len(done), err)
	}
}

func TestWithoutEtcdStatesAreKnownHereAndWrittenLater(t *testing.T) {
	t.Parallel()
	server := eventstest.NewServer(t, nil)
	client, store := server.Client(t), server.Config(t)
	r, _ := startRegistry(t, client, store, "one")
	first := r.Begin(testUpload(1))
	waitStored(t, first)
	server.Stop()
	second := r.Begin(testUpload(2)) // does not wait
	first.Change(func(u *Upload) { u.State = Done })
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := second.WaitStored(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("stored without etcd: %v", err)
	}
	list, err := r.List(short, anyUpload)
	if err == nil || len(list) != 2 || list[0].ID != "id-2" || list[1].State != Done {
		t.Errorf("the list without etcd is %+v, %v", list, err)
	}
	if got := mustGet(t, r, "id-1"); got.State != Done {
		t.Errorf("without etcd the state is %s", got.State)
	}
	server.Start(t)
	waitStored(t, first)
	waitStored(t, second)
	other := New(client, store, nil)
	if got := mustGet(t, other, "id-1"); got.State != Done {
		t.Errorf("later the state is %s", got.State)
	}
}

// A lease may expire early: etcd was restored, or the upload waited for longer than a day.
func TestLostLeasesAndKeysAreMadeAgain(t *testing.T) {
	client, store := eventstest.Etcd(t), eventstest.Config(t)
	r, _ := startRegistry(t, client, store, "one")
	h := r.Begin(testUpload(1))
	waitStored(t, h)
	if _, err := client.Revoke(t.Context(), leaseOf(t, r, "id-1")); err != nil {
		t.Fatal(err)
	}
	h.Change(func(u *Upload) { u.State = Processing })
	waitStored(t, h)
	other := New(client, store, nil)
	if got := mustGet(t, other, "id-1"); got.State != Processing {
		t.Errorf("the state is %s", got.State)
	}
}

func TestAnswersThatAreLostDoNotMatter(t *testing.T) {
	t.Parallel()
	client, store := eventstest.Etcd(t), eventstest.Config(t)
	var faults atomic.Int32
	fail := func(call string) error {
		if call == "txn" && faults.Add(1)%3 == 1 {
			return errors.New("made on purpose")
		}
		return nil
	}
	client.KV = &eventstest.KV{KV: client.KV, After: fail}
	r, stop := startRegistry(t, client, store, "one")
	h := r.Begin(testUpload(1))
	for _, s := range []State{Processing, Queued, Processing, Done} {
		h.Change(func(u *Upload) { u.State = s })
		waitStored(t, h)
	}
	stop()
	if got := mustGet(t, New(client, store, nil), "id-1"); got.State != Done {
		t.Errorf("the state is %s", got.State)
	}
	if faults.Load() < 9 {
		t.Errorf("only %d transactions", faults.Load())
	}
}

func TestTheLastStatesAreWrittenWhenTheProcessStops(t *testing.T) {
	client, store := eventstest.Etcd(t), eventstest.Config(t)
	r := New(client, store, nil)
	h := r.Begin(testUpload(1))
	h.Change(func(u *Upload) { u.Rows = 5 })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if got := mustGet(t, New(client, store, nil), "id-1"); got.Rows != 5 {
		t.Errorf("the last state has %d rows, want 5", got.Rows)
	}
}

func TestWithoutClientStatesStayInMemoryAndBounded(t *testing.T) {
	r, _ := startRegistry(t, nil, eventlog.Config{}, "one")
	r.maxStates = 3
	open := r.Begin(testUpload(0))
	waitStored(t, open)
	for i := 1; i <= 6; i++ {
		h := r.Begin(testUpload(i))
		h.Change(func(u *Upload) { u.State = Done })
		waitStored(t, h)
	}
	eventually(t, "few enough", func() bool {
		list, err := r.List(t.Context(), anyUpload)
		return err == nil && len(list) == 3
	})
	for _, id := range []events.UploadID{"id-0", "id-5", "id-6"} {
		mustGet(t, r, id)
	}
	if _, err := r.Get(t.Context(), "id-1"); !errors.Is(err, ErrUnknown) {
		t.Errorf("the oldest: %v", err)
	}
	if got, err := r.Cancel(t.Context(), "id-0"); err != nil || !got.CancelRequested || open.Context().Err() == nil {
		t.Errorf("cancelled: %+v, %v", got, err)
	}
}
