package snapshot

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/projections"
)

// lateKV is a path to etcd that holds some transactions back: their sender gets no answer in time, and etcd gets them
// when deliverHeld is called. It is used by one goroutine.
type lateKV struct {
	clientv3.KV
	hold func() bool // called for every transaction that writes
	held []func() (*clientv3.TxnResponse, error)
}

type lateTxn struct {
	clientv3.Txn
	kv *lateKV
}

func (k *lateKV) Txn(ctx context.Context) clientv3.Txn {
	return &lateTxn{k.KV.Txn(context.WithoutCancel(ctx)), k}
}

func (t *lateTxn) If(cs ...clientv3.Cmp) clientv3.Txn   { t.Txn = t.Txn.If(cs...); return t }
func (t *lateTxn) Then(ops ...clientv3.Op) clientv3.Txn { t.Txn = t.Txn.Then(ops...); return t }
func (t *lateTxn) Else(ops ...clientv3.Op) clientv3.Txn { t.Txn = t.Txn.Else(ops...); return t }

func (t *lateTxn) Commit() (*clientv3.TxnResponse, error) {
	if t.kv.hold == nil || !t.kv.hold() {
		return t.Txn.Commit()
	}
	t.kv.held = append(t.kv.held, t.Txn.Commit)
	return nil, rpctypes.ErrTimeout
}

// holdNext holds back the next n transactions.
func (k *lateKV) holdNext(n int) {
	k.hold = func() bool { n--; return n >= 0 }
}

// deliverHeld sends a held transaction to etcd, and reports whether it wrote.
func (k *lateKV) deliverHeld(t *testing.T, i int) bool {
	t.Helper()
	resp, err := k.held[i]()
	if err != nil {
		t.Fatal(err)
	}
	k.held = append(k.held[:i], k.held[i+1:]...)
	return resp.Succeeded
}

func newLateFixture(t *testing.T) (*fixture, *lateKV) {
	f := newFixture(t)
	late := &lateKV{KV: f.client}
	f.kv = late
	return f, late
}

// commitOf returns a commit of one event for each of the first n hosts of partition 0, the i-th event of each.
func (f *fixture) commitOf(n int, i int, offset int64) Commit {
	var evs []events.Event
	for _, h := range hostsOf(0, n) {
		evs = append(evs, eventstest.Event(h, i))
	}
	return f.foldEvents(offset, evs...)
}

// An attempt that etcd applies after newer commits of the same claim takes no reading and no offset back, for every
// part of a commit.
func TestLateAttemptTakesNothingBack(t *testing.T) {
	cases := []struct {
		name   string
		hosts  int
		change func(*Commit)
	}{
		{"the only transaction", 1, func(*Commit) {}},
		{"one without offsets", 1, func(c *Commit) { c.Offsets = nil }},
		{"offsets alone", 1, func(c *Commit) { *c = Commit{Offsets: c.Offsets} }},
		{"the first of several", 70, func(*Commit) {}},
		{"the first of several without offsets", 70, func(c *Commit) { c.Offsets = nil }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f, late := newLateFixture(t)
			guard := f.claimPartition(0)
			first := f.commitOf(c.hosts, 0, 10)
			c.change(&first)
			late.holdNext(1)
			f.saveCommit(0, first, guard) // one attempt is under way, the next is stored
			f.saveCommit(0, f.commitOf(c.hosts, 5000, 20), guard)
			before := f.dumpKeys()
			if late.deliverHeld(t, 0) {
				t.Error("the late attempt wrote")
			}
			if d := diffOf(f.dumpKeys(), before); d != "" {
				t.Errorf("the late attempt changed the stored state (-before +after):\n%s", d)
			}
		})
	}
}

// A transaction that an abandoned run of a follower left in flight is either applied before the next run of the same
// claim first saves, and then that run has to load it, or it is never applied.
func TestLeftoverOfAnAbandonedCommit(t *testing.T) {
	for name, hosts := range map[string]int{"in one transaction": 1, "in several": 70} {
		for _, arrives := range []string{"before", "after"} {
			t.Run(name+" "+arrives, func(t *testing.T) {
				f, late := newLateFixture(t)
				guard := f.claimPartition(0)
				f.saveCommit(0, f.commitOf(hosts, 0, 10), guard)
				ctx, giveUp := context.WithCancel(t.Context())
				late.hold = func() bool { giveUp(); return true }
				if err := f.Save(ctx, generation, 0, f.commitOf(hosts, 100, 20), guard); !errors.Is(err, context.Canceled) {
					t.Fatalf("got %v, want the end of the context", err)
				}
				late.hold = nil
				if _, err := f.LoadPartition(t.Context(), generation, 0); err != nil {
					t.Fatal(err)
				}
				if arrives == "before" && !late.deliverHeld(t, 0) {
					t.Fatal("the leftover came first and did not write")
				}
				next := f.commitOf(hosts, 5000, 30)
				err := f.Save(t.Context(), generation, 0, next, guard)
				if arrives == "before" {
					if !errors.Is(err, ErrStale) {
						t.Fatalf("got %v, want ErrStale", err)
					}
					if err := f.Save(t.Context(), generation, 0, next, guard); !errors.Is(err, ErrStale) {
						t.Fatalf("again without loading: got %v, want ErrStale", err)
					}
					if _, err := f.LoadPartition(t.Context(), generation, 0); err != nil {
						t.Fatal(err)
					}
					f.saveCommit(0, next, guard)
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if late.deliverHeld(t, 0) {
					t.Error("the leftover wrote after a newer commit")
				}
			})
		}
	}
}

// A collector that lost its claim gets ErrFenced, although the new owner's writes have moved the offsets too.
func TestLostClaimIsFencedNotStale(t *testing.T) {
	f := newFixture(t)
	old := f.claimPartition(0)
	f.saveCommit(0, f.commitOf(1, 0, 10), old)
	current, owner := f.claimPartition(0), New(f.client, f.cfg, f.facts, nil)
	if _, err := owner.LoadPartition(t.Context(), generation, 0); err != nil {
		t.Fatal(err)
	}
	if err := owner.Save(t.Context(), generation, 0, f.commitOf(1, 1, 20), current); err != nil {
		t.Fatal(err)
	}
	if err := f.Save(t.Context(), generation, 0, f.commitOf(1, 2, 30), old); !errors.Is(err, ErrFenced) {
		t.Errorf("got %v, want ErrFenced", err)
	}
}

// The path to etcd loses answers and holds attempts back for any time, and a follower restarts from the stored state
// at random: the stored state never loses anything, and never lacks a record that its offset covers.
func TestAnyLateArrivalsLeaveAFold(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		f, late := newLateFixture(t)
		run := &lateRun{fixture: f, late: late, rng: rand.New(rand.NewPCG(seed, 1)), hosts: hostsOf(0, 40), guard: f.claimPartition(0)}
		run.runSteps(t)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// lateRun is a follower of a log whose n-th event is the n-th of its host, in turn, with a check of its stored state.
type lateRun struct {
	*fixture
	late   *lateKV
	rng    *rand.Rand
	hosts  []events.HostID
	guard  clientv3.Cmp
	offset int64 // as known to the follower
	stored map[events.HostID]events.Timestamp
	wrote  int64 // last offset read from etcd
}

const lateEvents = 400

func (r *lateRun) nthEvent(n int64) events.Event {
	return eventstest.Event(r.hosts[n%int64(len(r.hosts))], int(n))
}

func (r *lateRun) runSteps(t *testing.T) {
	r.stored = make(map[events.HostID]events.Timestamp)
	r.late.hold = func() bool { return r.rng.IntN(4) == 0 }
	r.loadStored(t)
	for r.offset < lateEvents && !t.Failed() {
		r.commitSome(t)
		for len(r.late.held) > 0 && r.rng.IntN(3) == 0 {
			r.late.deliverHeld(t, r.rng.IntN(len(r.late.held)))
		}
		r.checkStored(t)
	}
	for len(r.late.held) > 0 {
		r.late.deliverHeld(t, r.rng.IntN(len(r.late.held)))
	}
	r.checkStored(t)
	if r.wrote != lateEvents {
		t.Errorf("got an offset of %d at the end, want %d", r.wrote, lateEvents)
	}
}

// loadStored makes the follower start from the stored state.
func (r *lateRun) loadStored(t *testing.T) {
	part, err := r.LoadPartition(t.Context(), generation, 0)
	if err != nil {
		t.Fatal(err)
	}
	r.offset = part.Offsets.Live.Number
	r.fixture.hosts = make(map[events.HostID]*projections.Host)
	for _, h := range part.Hosts {
		r.fixture.hosts[h.ID] = &h
		r.all[h.ID] = make(map[projections.Window]projections.HostWindow)
	}
}

// commitSome folds some events and saves them, and sometimes abandons the commit.
func (r *lateRun) commitSome(t *testing.T) {
	upto := min(lateEvents, r.offset+1+r.rng.Int64N(50))
	var evs []events.Event
	for n := r.offset + 1; n <= upto; n++ {
		evs = append(evs, r.nthEvent(n))
	}
	c := r.foldEvents(upto, evs...)
	if r.rng.IntN(5) == 0 {
		if err := r.Save(t.Context(), generation, 0, Commit{Live: c.Live, Identity: c.Identity}, r.guard); err != nil {
			r.restartAfter(t, err)
			return
		}
	}
	ctx, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	if r.rng.IntN(3) == 0 {
		hold := r.late.hold
		r.late.hold = func() bool {
			held := hold()
			if held {
				giveUp()
			}
			return held
		}
		defer func() { r.late.hold = hold }()
	}
	if err := r.Save(ctx, generation, 0, c, r.guard); err != nil {
		r.restartAfter(t, err)
		return
	}
	r.offset = upto
}

func (r *lateRun) restartAfter(t *testing.T, err error) {
	if !errors.Is(err, ErrStale) && !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want ErrStale or the end of the context", err)
	}
	r.loadStored(t)
}

// checkStored reads the stored state, as another process would.
func (r *lateRun) checkStored(t *testing.T) {
	part, err := New(r.client, r.cfg, r.facts, nil).LoadPartition(t.Context(), generation, 0)
	if err != nil {
		t.Fatal(err)
	}
	now := part.Offsets.Live.Number
	if now < r.wrote {
		t.Errorf("the stored offset went from %d back to %d", r.wrote, now)
	}
	r.wrote = now
	seen := make(map[events.HostID]events.Timestamp)
	for _, h := range part.Hosts {
		seen[h.ID], _ = h.LastSeen()
	}
	for id, at := range r.stored {
		if seen[id] < at {
			t.Errorf("host %s went from %v back to %v", id, at, seen[id])
		}
	}
	r.stored = seen
	for n := max(1, now-int64(len(r.hosts))+1); n <= now; n++ {
		if ev := r.nthEvent(n); seen[ev.Host] < ev.First() {
			t.Errorf("offset %d covers an event of host %s at %v; the stored state ends at %v", now, ev.Host, ev.First(), seen[ev.Host])
		}
	}
}
