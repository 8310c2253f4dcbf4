package collect

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

// put writes bytes under the key that an event would have, as something else than ingestd does.
func (r *rig) put(ev events.Event, value string) snapshot.EntryID {
	r.t.Helper()
	key := r.log.Key(&ev)
	r.log.Put(key, []byte(value))
	head, err := r.log.Head(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return snapshot.EntryIDOf(key, head)
}

// id is the entry that an event of the log has when it cannot be folded.
func (r *rig) id(ev events.Event) snapshot.EntryID {
	r.t.Helper()
	for got, err := range r.log.Read(r.t.Context(), 0, events.Revision{}, r.head()) {
		if err != nil {
			r.t.Fatal(err)
		}
		if got.Key == r.log.Key(&ev) {
			return snapshot.EntryIDOf(got.Key, got.Revision)
		}
	}
	r.t.Fatalf("the log has no event of %s", ev.Host)
	return snapshot.EntryID{}
}

func (r *rig) head() events.Revision {
	r.t.Helper()
	head, err := r.log.Head(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return head
}

// entries are what the quarantine holds, the reason and the attempts of each.
func (r *rig) entries() map[snapshot.EntryID]string {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	all := map[snapshot.EntryID]string{}
	for id, q := range r.store.entries {
		all[id] = fmt.Sprintf("%s %d", q.Reason, q.Attempts)
	}
	return all
}

// becomes waits until the quarantine holds this and no mark is left.
func (r *rig) becomes(want map[snapshot.EntryID]string) {
	r.t.Helper()
	for range 1000 {
		r.store.mu.Lock()
		marks := len(r.store.marks)
		r.store.mu.Unlock()
		if marks == 0 && maps.Equal(r.entries(), want) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	r.t.Fatalf("quarantine differs after 10s (-want +got), %d marks left:\n%s", len(r.store.marks), cmp.Diff(want, r.entries()))
}

// gauge is the metric of the entries.
func (r *rig) gauge() float64 {
	reg := prometheus.NewRegistry()
	reg.MustRegister(r.metrics.entries)
	families, err := reg.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	return families[0].Metric[0].GetGauge().GetValue()
}

// panicsOn makes an apply that panics on one event until it is mended.
func panicsOn(bad events.Event, mended *atomic.Bool) func(*projections.Host, *events.Event) projections.Effect {
	return func(h *projections.Host, ev *events.Event) projections.Effect {
		if !mended.Load() && ev.Sequence == bad.Sequence {
			h.Live = projections.Live{} // what it did before it panicked must not show
			panic("index out of range")
		}
		return h.Apply(ev)
	}
}

func TestADamagedEventIsQuarantinedAndTheLogGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.append(eventstest.Events("a", 0, 5)...)
		early := r.put(eventstest.Event("a", 100), "garbage") // found by reading
		stop := r.follow(Config{})
		r.settle()
		r.append(eventstest.Events("a", 5, 5)...)
		late := r.put(eventstest.Event("b", 0), "\x01garbage") // found by watching
		r.append(eventstest.Events("c", 0, 5)...)
		again := r.put(r.sent[3], "garbage")
		r.settle() // the last event is damaged, and the offsets go past it all the same
		r.check()
		r.becomes(map[snapshot.EntryID]string{early: "unknown_encoding 1", late: "undecodable 1", again: "overwritten 1"})
		r.store.mu.Lock()
		q := r.store.entries[late]
		r.store.mu.Unlock()
		if q.Host != "b" || q.Key == "" || q.Text == "" || q.Revision.Number != late.Revision || q.Version != snapshot.ModelVersion || q.At.IsZero() {
			t.Errorf("entry %+v lacks what an operator needs", q)
		}
		if got := r.gauge(); got != 3 {
			t.Errorf("metric counts %v entries, want 3", got)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		if got := r.gauge(); got != 0 {
			t.Errorf("metric counts %v entries without a partition, want 0", got)
		}
	})
}

func TestAFoldThatPanicsCostsThatEventOnlyAndARetryGivesItBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		bad := eventstest.Event("a", 10)
		var mended atomic.Bool
		r.apply = panicsOn(bad, &mended)
		defer r.follow(Config{})()
		r.append(eventstest.Events("a", 0, 10)...)
		r.settle()
		r.append(bad)
		r.sent = r.sent[:10]
		r.append(eventstest.Events("a", 11, 10)...)
		r.settle()
		r.check() // all but the bad one
		id := r.id(bad)
		r.becomes(map[snapshot.EntryID]string{id: "unfoldable 1"})

		r.store.ask(id)
		r.becomes(map[snapshot.EntryID]string{id: "unfoldable 2"})
		r.check()

		mended.Store(true)
		asked := time.Now()
		r.store.ask(snapshot.EntryID{}) // all of the partition
		r.becomes(map[snapshot.EntryID]string{})
		if took := time.Since(asked); took > 3*time.Second {
			t.Errorf("the retry took %s, want at most 3s", took)
		}
		r.sent = append(r.sent, bad)
		r.check()
	})
}

func TestANewerModelRetriesOnceByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		bad, worse := eventstest.Event("a", 10), eventstest.Event("b", 10)
		var mended, never atomic.Bool
		r.apply = panicsOn(bad, &mended)
		first := r.apply
		r.apply = func(h *projections.Host, ev *events.Event) projections.Effect {
			if ev.Host == worse.Host {
				return panicsOn(worse, &never)(h, ev)
			}
			return first(h, ev)
		}
		run := func(version int, want map[snapshot.EntryID]string) {
			t.Helper()
			r.version = version
			stop := r.follow(Config{})
			r.settle()
			r.becomes(want)
			time.Sleep(time.Minute) // not again and again
			r.becomes(want)
			if err := stop(); err != nil {
				t.Error(err)
			}
		}
		r.append(bad, worse, eventstest.Event("a", 11))
		run(5, map[snapshot.EntryID]string{r.id(bad): "unfoldable 1", r.id(worse): "unfoldable 1"})
		mended.Store(true)
		run(5, map[snapshot.EntryID]string{r.id(bad): "unfoldable 1", r.id(worse): "unfoldable 1"})
		run(6, map[snapshot.EntryID]string{r.id(worse): "unfoldable 2"})
		run(6, map[snapshot.EntryID]string{r.id(worse): "unfoldable 2"})
		r.sent = []events.Event{bad, eventstest.Event("a", 11)}
		r.check()
	})
}

func TestAnEventAppendedAnewEndsTheEntryOfWhatStoodUnderItsKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.follow(Config{})()
		ev := eventstest.Event("a", 0)
		id := r.put(ev, "garbage")
		r.settle()
		r.becomes(map[snapshot.EntryID]string{id: "unknown_encoding 1"})
		r.log.Delete(r.log.Key(&ev))
		r.store.ask(id)
		r.becomes(map[snapshot.EntryID]string{id: "missing 2"})
		r.append(ev)
		r.becomes(map[snapshot.EntryID]string{})
		r.check()
	})
}

func TestAFloodOfDamagedEventsIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		want := map[snapshot.EntryID]string{}
		for i := range 500 {
			want[r.put(eventstest.Event("a", i), "garbage")] = "unknown_encoding 1"
		}
		most := 0
		r.store.seen = func(c snapshot.Commit) { most = max(most, len(c.Quarantine)) }
		defer r.follow(Config{BufferSize: 20})()
		r.settle()
		r.becomes(want)
		if most > 20 {
			t.Errorf("a commit holds %d entries, and the buffer 20 records", most)
		}
	})
}

// TestRandomQuarantine: garbage and folds that fail now and then among events, commits that fail before, in
// the middle and after, owners that come and go, retries at any time. No offset ever passes an event that is
// neither folded nor in the quarantine, and at the end nothing is there but the garbage.
func TestRandomQuarantine(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { randomQuarantine(t, seed) })
		})
	}
}

func randomQuarantine(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	r := newRig(t)
	var chance float64
	fault := errors.New("etcd is away")
	roll := rand.New(rand.NewPCG(seed, 2)) // these under the store's lock
	failing := func() error {
		if roll.Float64() < chance {
			return fault
		}
		return nil
	}
	garbage := map[snapshot.EntryID]string{}
	r.store.fail = func() (before, after error) { return failing(), failing() }
	r.store.cut = failing
	r.store.passed = func(to events.Revision) error {
		for id := range garbage {
			if _, there := r.store.entries[id]; id.Revision <= to.Number && !there {
				t.Errorf("an offset passes revision %d, which has no entry", id.Revision)
			}
		}
		return nil
	}
	var unlucky atomic.Uint64 // of 100 folds
	luck := rand.New(rand.NewPCG(seed, 3))
	var mended atomic.Bool
	r.apply = func(h *projections.Host, ev *events.Event) projections.Effect { // under the state's lock
		if !mended.Load() && luck.Uint64N(100) < unlucky.Load() {
			panic("bad luck")
		}
		return h.Apply(ev)
	}
	unlucky.Store(5)

	cfg := Config{BufferSize: 1 + rng.IntN(50), SeriesInterval: time.Duration(1+rng.IntN(3000)) * time.Millisecond}
	stop := r.follow(cfg)
	for i := range 60 {
		host := events.HostID(fmt.Sprintf("h%d", rng.IntN(3)))
		r.append(eventstest.Events(host, 10*i, 1+rng.IntN(9))...)
		r.store.mu.Lock()
		chance = 0.3 * rng.Float64()
		r.store.mu.Unlock()
		switch rng.IntN(8) {
		case 0:
			r.store.mu.Lock()
			garbage[r.put(eventstest.Event(host, 100_000+i), "garbage")] = ""
			r.store.mu.Unlock()
		case 1:
			r.log.Break(fault)
		case 2:
			r.log.Compact()
		case 3:
			_ = stop() // may have failed: the faults go on
			r.version++
			stop = r.follow(cfg)
		case 4:
			r.store.ask(snapshot.EntryID{})
		case 5:
			if ids := slices.Collect(maps.Keys(r.entries())); len(ids) > 0 {
				r.store.ask(ids[rng.IntN(len(ids))])
			}
		case 6:
			time.Sleep(time.Duration(rng.IntN(5000)) * time.Millisecond)
		}
	}
	r.store.mu.Lock()
	chance = 0
	r.store.mu.Unlock()
	mended.Store(true)
	r.settle()
	r.store.ask(snapshot.EntryID{})
	for range 3000 { // marks are answered in turn, and so is this last one
		r.store.mu.Lock()
		left := len(r.store.marks)
		r.store.mu.Unlock()
		if left == 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if got, want := slices.SortedFunc(maps.Keys(r.entries()), byRevision), slices.SortedFunc(maps.Keys(garbage), byRevision); !slices.Equal(got, want) {
		t.Errorf("the quarantine ends with %v, want the garbage %v", got, want)
	}
	r.check()
	if err := stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
}

func byRevision(a, b snapshot.EntryID) int { return int(a.Revision - b.Revision) }
