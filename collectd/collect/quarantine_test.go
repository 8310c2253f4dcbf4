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

// overwriteEvent writes a value under the key that an event would have, as a foreign writer does.
func (r *rig) overwriteEvent(ev events.Event, value string) snapshot.EntryID {
	r.t.Helper()
	key := r.log.Key(&ev)
	r.log.Put(key, []byte(value))
	head, err := r.log.Head(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return snapshot.EntryIDOf(key, head)
}

// entryID returns the ID of an event's entry in the quarantine.
func (r *rig) entryID(ev events.Event) snapshot.EntryID {
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

// entries returns the reason and the attempts of each entry of the quarantine.
func (r *rig) entries() map[snapshot.EntryID]string {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	all := map[snapshot.EntryID]string{}
	for id, q := range r.store.entries {
		all[id] = fmt.Sprintf("%s %d", q.Reason, q.Attempts)
	}
	return all
}

// awaitEntries waits until the quarantine has exactly these entries and no retry request is left.
func (r *rig) awaitEntries(want map[snapshot.EntryID]string) {
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

// gauge returns the metric of the entries.
func (r *rig) gauge() float64 {
	reg := prometheus.NewRegistry()
	reg.MustRegister(r.metrics.entries)
	families, err := reg.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	return families[0].Metric[0].GetGauge().GetValue()
}

// panicsOn returns an apply that panics on one event until mended is set.
func panicsOn(bad events.Event, mended *atomic.Bool) applyEvent {
	return func(h *projections.Host, ev *events.Event, b projections.Bounds) projections.Effect {
		if !mended.Load() && ev.Sequence == bad.Sequence {
			h.Live = projections.Live{} // changes before the panic must not show
			panic("index out of range")
		}
		return h.ApplyWithin(ev, b)
	}
}

func TestADamagedEventIsQuarantinedAndTheLogGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.appendEvents(eventstest.Events("a", 0, 5)...)
		early := r.overwriteEvent(eventstest.Event("a", 100), "garbage") // found by reading
		stop := r.startFollower(Config{})
		r.awaitStored()
		r.appendEvents(eventstest.Events("a", 5, 5)...)
		late := r.overwriteEvent(eventstest.Event("b", 0), "\x01garbage") // found by watching
		r.appendEvents(eventstest.Events("c", 0, 5)...)
		again := r.overwriteEvent(r.sent[3], "garbage")
		r.awaitStored() // the last event is damaged, and the offsets pass it nevertheless
		r.checkStored()
		r.awaitEntries(map[snapshot.EntryID]string{early: "unknown_encoding 1", late: "undecodable 1", again: "overwritten 1"})
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

func TestAFoldThatPanicsCostsThatEventOnlyAndARetryFoldsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		bad := eventstest.Event("a", 10)
		var mended atomic.Bool
		r.apply = panicsOn(bad, &mended)
		defer r.startFollower(Config{})()
		r.appendEvents(eventstest.Events("a", 0, 10)...)
		r.awaitStored()
		r.appendEvents(bad)
		r.sent = r.sent[:10]
		r.appendEvents(eventstest.Events("a", 11, 10)...)
		r.awaitStored()
		r.checkStored() // all but the bad one
		id := r.entryID(bad)
		r.awaitEntries(map[snapshot.EntryID]string{id: "unfoldable 1"})

		r.store.requestRetry(id)
		r.awaitEntries(map[snapshot.EntryID]string{id: "unfoldable 2"})
		r.checkStored()

		mended.Store(true)
		asked := time.Now()
		r.store.requestRetry(snapshot.EntryID{}) // all of the partition
		r.awaitEntries(map[snapshot.EntryID]string{})
		if took := time.Since(asked); took > 3*time.Second {
			t.Errorf("the retry took %s, want at most 3s", took)
		}
		r.sent = append(r.sent, bad)
		r.checkStored()
	})
}

func TestANewerModelRetriesOnceByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		bad, worse := eventstest.Event("a", 10), eventstest.Event("b", 10)
		var mended, never atomic.Bool
		r.apply = panicsOn(bad, &mended)
		first := r.apply
		r.apply = func(h *projections.Host, ev *events.Event, b projections.Bounds) projections.Effect {
			if ev.Host == worse.Host {
				return panicsOn(worse, &never)(h, ev, b)
			}
			return first(h, ev, b)
		}
		run := func(version int, want map[snapshot.EntryID]string) {
			t.Helper()
			r.version = version
			stop := r.startFollower(Config{})
			r.awaitStored()
			r.awaitEntries(want)
			time.Sleep(time.Minute) // not repeated
			r.awaitEntries(want)
			if err := stop(); err != nil {
				t.Error(err)
			}
		}
		r.appendEvents(bad, worse, eventstest.Event("a", 11))
		run(5, map[snapshot.EntryID]string{r.entryID(bad): "unfoldable 1", r.entryID(worse): "unfoldable 1"})
		mended.Store(true)
		run(5, map[snapshot.EntryID]string{r.entryID(bad): "unfoldable 1", r.entryID(worse): "unfoldable 1"})
		run(6, map[snapshot.EntryID]string{r.entryID(worse): "unfoldable 2"})
		run(6, map[snapshot.EntryID]string{r.entryID(worse): "unfoldable 2"})
		r.sent = []events.Event{bad, eventstest.Event("a", 11)}
		r.checkStored()
	})
}

func TestAnEventAppendedAgainResolvesTheEntryOfItsPredecessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.startFollower(Config{})()
		ev := eventstest.Event("a", 0)
		id := r.overwriteEvent(ev, "garbage")
		r.awaitStored()
		r.awaitEntries(map[snapshot.EntryID]string{id: "unknown_encoding 1"})
		r.log.Delete(r.log.Key(&ev))
		r.store.requestRetry(id)
		r.awaitEntries(map[snapshot.EntryID]string{id: "missing 2"})
		r.appendEvents(ev)
		r.awaitEntries(map[snapshot.EntryID]string{})
		r.checkStored()
	})
}

func TestAFloodOfDamagedEventsIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		want := map[snapshot.EntryID]string{}
		for i := range 500 {
			want[r.overwriteEvent(eventstest.Event("a", i), "garbage")] = "unknown_encoding 1"
		}
		most := 0
		r.store.seen = func(c snapshot.Commit) { most = max(most, len(c.Quarantine)) }
		defer r.startFollower(Config{BufferSize: 20})()
		r.awaitStored()
		r.awaitEntries(want)
		if most > 20 {
			t.Errorf("a commit holds %d entries, and the buffer 20 records", most)
		}
	})
}

// TestRandomQuarantine mixes garbage and random fold failures with events, commits that fail before, in the middle
// and after, changes of owner, and retries at any time. No offset ever passes an event that is neither folded nor in
// the quarantine, and at the end only the garbage is quarantined.
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
	roll := rand.New(rand.NewPCG(seed, 2)) // used under the store's lock
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
	r.apply = func(h *projections.Host, ev *events.Event, b projections.Bounds) projections.Effect { // called under the state's lock
		if !mended.Load() && luck.Uint64N(100) < unlucky.Load() {
			panic("bad luck")
		}
		return h.ApplyWithin(ev, b)
	}
	unlucky.Store(5)

	cfg := Config{BufferSize: 1 + rng.IntN(50), SeriesInterval: time.Duration(1+rng.IntN(3000)) * time.Millisecond}
	stop := r.startFollower(cfg)
	for i := range 60 {
		host := events.HostID(fmt.Sprintf("h%d", rng.IntN(3)))
		r.appendEvents(eventstest.Events(host, 10*i, 1+rng.IntN(9))...)
		r.store.mu.Lock()
		chance = 0.3 * rng.Float64()
		r.store.mu.Unlock()
		switch rng.IntN(8) {
		case 0:
			r.store.mu.Lock()
			garbage[r.overwriteEvent(eventstest.Event(host, 100_000+i), "garbage")] = ""
			r.store.mu.Unlock()
		case 1:
			r.log.Break(fault)
		case 2:
			r.log.Compact()
		case 3:
			_ = stop() // it may have failed: the faults continue
			r.version++
			stop = r.startFollower(cfg)
		case 4:
			r.store.requestRetry(snapshot.EntryID{})
		case 5:
			if ids := slices.Collect(maps.Keys(r.entries())); len(ids) > 0 {
				r.store.requestRetry(ids[rng.IntN(len(ids))])
			}
		case 6:
			time.Sleep(time.Duration(rng.IntN(5000)) * time.Millisecond)
		}
	}
	r.store.mu.Lock()
	chance = 0
	r.store.mu.Unlock()
	mended.Store(true)
	r.awaitStored()
	r.store.requestRetry(snapshot.EntryID{})
	for range 3000 { // requests are answered in turn, and so is this last one
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
	r.checkStored()
	if err := stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
}

func byRevision(a, b snapshot.EntryID) int { return int(a.Revision - b.Revision) }
