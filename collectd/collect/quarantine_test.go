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

// quarantineCount returns the numbers of listed events and of summarised ones, and the summaries.
func (r *rig) quarantineCount() (listed, summarised int, summaries []snapshot.Quarantined) {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	for id, q := range r.store.entries {
		if id.IsSummary() {
			summarised += q.Events
			summaries = append(summaries, q)
		} else {
			listed++
		}
	}
	return listed, summarised, summaries
}

// awaitCounts waits until that many events are listed and summarised, and no retry request is left.
func (r *rig) awaitCounts(listed, summarised int) {
	r.t.Helper()
	var l, s int
	for range 3000 {
		r.store.mu.Lock()
		marks := len(r.store.marks)
		r.store.mu.Unlock()
		if l, s, _ = r.quarantineCount(); marks == 0 && l == listed && s == summarised {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	r.t.Fatalf("%d events are listed and %d summarised, want %d and %d", l, s, listed, summarised)
}

// Entries are bounded in number, and events beyond the bound are counted by reason, with the first and the last of them.
// A retry tries them all, across restarts, and corrects the counts.
func TestEntriesBeyondTheBoundAreSummarisedAndRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var mended atomic.Bool
		good := eventstest.Events("good", 0, 30)
		r.apply = func(h *projections.Host, ev *events.Event, b projections.Bounds) projections.Effect {
			if !mended.Load() && ev.Host == "bad" {
				panic("index out of range")
			}
			return h.ApplyWithin(ev, b)
		}
		cfg := Config{quarantineEntries: 5}
		stop := r.startFollower(cfg)
		var garbage []snapshot.EntryID
		bad := eventstest.Events("bad", 0, 30)
		for i := range 30 {
			r.appendEvents(good[i], bad[i])
			garbage = append(garbage, r.overwriteEvent(eventstest.Event("g", i), "garbage"))
		}
		r.awaitStored()
		r.awaitCounts(5, 55)
		_, _, summaries := r.quarantineCount()
		for _, sum := range summaries {
			want := map[string]int{panicked: 0, unknownEncoding: 0}
			switch sum.Reason {
			case panicked:
				want[panicked] = 2 * sum.Events // records of each
			case unknownEncoding:
				if last := garbage[len(garbage)-1]; sum.LastRevision.Number != last.Revision {
					t.Errorf("the summary ends at revision %d, want %d", sum.LastRevision.Number, last.Revision)
				}
			default:
				t.Errorf("a summary of %q", sum.Reason)
			}
			if sum.Records != want[sum.Reason] || sum.Key == "" || sum.LastKey == "" || sum.Revision.Number == 0 || sum.Text == "" {
				t.Errorf("summary %+v, want %d records and where its events are", sum, want[sum.Reason])
			}
		}
		if got := r.gauge(); got != 7 {
			t.Errorf("metric counts %v entries, want 5 and 2 summaries", got)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		stop = r.startFollower(cfg) // the stored entries count
		r.awaitCounts(5, 55)
		mended.Store(true)
		r.store.requestRetry(snapshot.EntryID{})
		r.awaitCounts(5, 25) // the garbage
		r.checkStored()
		r.store.requestRetry(snapshot.SummaryID(unknownEncoding))
		r.awaitCounts(5, 25)
		for i := range garbage {
			ev := eventstest.Event("g", i)
			r.log.Delete(r.log.Key(&ev))
		}
		r.store.requestRetry(snapshot.EntryID{})
		r.awaitCounts(5, 0) // removed events are not counted any longer, and the listed ones are missing
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestTheBytesOfEntriesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.startFollower(Config{quarantineBytes: 4000})()
		for i := range 40 {
			r.overwriteEvent(eventstest.Event("g", i), "garbage")
		}
		r.awaitStored()
		listed, summarised, _ := r.quarantineCount()
		size := 0
		r.store.mu.Lock()
		for id, q := range r.store.entries {
			if !id.IsSummary() {
				size += q.StoredSize()
			}
		}
		r.store.mu.Unlock()
		if listed+summarised != 40 || size > 4000 || size < 3000 {
			t.Errorf("%d events are listed, in %d bytes, and %d summarised; want 40 in all and at most 4000 bytes", listed, size, summarised)
		}
	})
}

// Events that fail while the summaries are retried are counted beside the result of the retry, which waits until the
// folds of the events are stored.
func TestARetryOfSummariesKeepsWhatComesMeanwhile(t *testing.T) {
	s := newState(Config{quarantineEntries: 1}.withDefaults(), snapshot.Partition{}, func() int64 { return 0 })
	failing := func(number int64) snapshot.Quarantined {
		ev := eventstest.Event("a", int(number))
		ev.Key, ev.Revision.Number = fmt.Sprint("k", number), number
		return entryOf(&ev, &failure{reason: panicked, text: "no"}, 1)
	}
	s.advanceTo(events.Revision{Number: 9})
	for number := range int64(5) {
		s.quarantineEvent(failing(number+1), false) // 1 is listed, 2 to 5 are counted
	}
	s.takeDue(time.Now(), new(commitPace), false)
	if after, upto, some := s.beginSummaryRetry(7); after.Number != 1 || upto.Number != 5 || !some {
		t.Errorf("the retry is of events after %d up to %d, want those of 2 to 5", after.Number, upto.Number)
	}
	again := failing(3)
	s.addRetried("a", &again)
	s.addRetried("a", nil)
	s.quarantineEvent(failing(9), false)
	s.finishSummaryRetry()
	s.dirty["a"] = &hostState{savedAt: time.Now().Add(time.Hour)}
	if c, _ := s.takeDue(time.Now(), new(commitPace), false); len(c.Quarantine) != 1 || c.Quarantine[0].Events != 5 {
		t.Errorf("before the fold is stored the summaries become %+v, want the five events", c.Quarantine)
	}
	delete(s.dirty, "a")
	c, _ := s.takeDue(time.Now(), new(commitPace), false)
	if len(c.Quarantine) != 1 {
		t.Fatalf("the commit has %d entries, want the summary", len(c.Quarantine))
	}
	sum := c.Quarantine[0]
	if sum.Events != 2 || sum.Records != 4 || sum.Revision.Number != 3 || sum.LastRevision.Number != 9 || sum.LastKey != "k9" || sum.Attempts != 2 || sum.TriedVersion != 7 {
		t.Errorf("the summary is %+v, want events 3 and 9", sum)
	}
	if n := s.quarantineSize(); n != (quarantineSize{entries: 2, events: 3, records: 6}) {
		t.Errorf("the quarantine has %+v, want the listed event and two more", n)
	}
}

// An event that is folded in part has an entry that says so, until a retry folds all of it.
func TestAnEventFoldedInPartHasAnEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.appendEvents(eventstest.Event("a", 1))
		s := newState(Config{}.withDefaults(), snapshot.Partition{}, func() int64 { return 0 })
		var got events.Event
		for got = range r.log.Read(t.Context(), 0, events.Revision{}, r.head()) {
		}
		entry := entryOf(&got, partialFailure(oversized, "two GPUs too many", 1), snapshot.ModelVersion)
		s.quarantineEvent(entry, false)
		if entry.Records != 1 || !entry.Partial || entry.Host != "a" {
			t.Errorf("entry %+v, want one record of the event", entry)
		}
		if n := s.quarantineSize(); n != (quarantineSize{1, 1, 1}) {
			t.Errorf("the quarantine has %+v, want one record", n)
		}
		s.replaceEntry(entry, "a") // a retry, again in part
		c, _ := s.takeDue(time.Now(), new(commitPace), false)
		if len(c.Quarantine) != 1 || c.Quarantine[0].ID != entry.ID || len(c.Resolved) != 0 {
			t.Errorf("the commit has entries %+v, want the same one", c.Quarantine)
		}
		s.resolveEntry(entry.ID, "a")
		if c, _ = s.takeDue(time.Now(), new(commitPace), false); len(c.Resolved) != 1 || s.quarantineSize() != (quarantineSize{}) {
			t.Errorf("the commit resolves %v, want the entry", c.Resolved)
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
			if id.Revision <= to.Number && !r.store.accountsForLocked(id) {
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

	cfg := Config{quarantineEntries: 1 + rng.IntN(30), BufferSize: 1 + rng.IntN(50), SeriesInterval: time.Duration(1+rng.IntN(3000)) * time.Millisecond}
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
	listed, summarised, _ := r.quarantineCount()
	if listed+summarised != len(garbage) {
		t.Errorf("the quarantine ends with %d listed events and %d summarised ones, want the %d of the garbage", listed, summarised, len(garbage))
	}
	r.store.mu.Lock()
	for id := range r.store.entries {
		if _, wanted := garbage[id]; !wanted && !id.IsSummary() {
			t.Errorf("the quarantine ends with %v, which is no garbage", id)
		}
	}
	r.store.mu.Unlock()
	r.checkStored()
	if err := stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
}

// accountsForLocked reports whether an event has an entry, or is in the range of a summary.
func (s *memoryStore) accountsForLocked(id snapshot.EntryID) bool {
	if _, there := s.entries[id]; there {
		return true
	}
	for other, sum := range s.entries {
		if other.IsSummary() && sum.Revision.Number <= id.Revision && id.Revision <= sum.LastRevision.Number {
			return true
		}
	}
	return false
}
