package collect

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/events/wait"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/projectionstest"
	"telemetry-pipeline/projections/snapshot"
)

// rig is one partition's log and store, and the events appended to the log.
type rig struct {
	t     *testing.T
	log   *eventstest.MemoryLog
	store *memoryStore
	sent  []events.Event

	apply   applyEvent // nil: projections.Host.ApplyWithin
	version int        // of the models; 0: the current one
	passed  appender   // nil: no host leaves
	metrics *metrics
}

func newRig(t *testing.T) *rig {
	facts := events.Facts{Epoch: 1, Cluster: 2, Partitions: 1, PartitionHash: "xxh3"}
	return &rig{t: t, log: eventstest.NewLog(facts), store: newMemoryStore(), metrics: newMetrics()}
}

// newCollector returns a collector that takes the partition from any earlier one.
func (r *rig) newCollector(cfg Config) *Collector {
	c := newCollector(cfg, r.log, nil, nil)
	c.metrics, c.version = r.metrics, cmp.Or(r.version, snapshot.ModelVersion)
	if c.passed = r.passed; r.apply != nil {
		c.apply = r.apply
	}
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	r.store.token++
	c.store = heldStore{r.store, r.store.token}
	return c
}

// startFollower starts a follower, as foldClaim does. The returned function stops it and returns its error.
func (r *rig) startFollower(cfg Config) (stop func() error) {
	return r.startFollowerOf(r.newRun(), cfg)
}

func (r *rig) startFollowerOf(w *generationRun, cfg Config) (stop func() error) {
	return r.startCollector(r.newCollector(cfg), w)
}

func (r *rig) startCollector(c *Collector, w *generationRun) (stop func() error) {
	ctx, cancel := context.WithCancel(r.t.Context())
	ended := make(chan error, 1)
	go func() {
		for {
			err := newFollower(c, 0, noGuard{}, w, &lagState{behind: &w.behind}, c.lg).foldPartition(ctx)
			if ctx.Err() != nil || errors.Is(err, snapshot.ErrFenced) {
				ended <- err
				return
			}
			wait.Sleep(ctx, time.Second)
		}
	}()
	return func() error { cancel(); return <-ended }
}

// newRun returns the generation that is followed.
func (r *rig) newRun() *generationRun {
	return newGenerationRun("g1", snapshot.GenerationInfo{State: snapshot.Active})
}

func (r *rig) appendEvents(evs ...events.Event) {
	r.t.Helper()
	for len(evs) > 0 {
		n := min(len(evs), 20)
		if _, err := r.log.Append(r.t.Context(), evs[:n]); err != nil {
			r.t.Fatalf("appending: %v", err)
		}
		r.sent = append(r.sent, evs[:n]...)
		evs = evs[n:]
	}
}

// awaitStored waits until everything appended is stored.
func (r *rig) awaitStored() {
	r.t.Helper()
	head, err := r.log.Head(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	deadline := time.Now().Add(5 * time.Minute)
	for time.Now().Before(deadline) {
		r.store.mu.Lock()
		offsets := r.store.offsets
		r.store.mu.Unlock()
		if offsets.Live.Number >= head.Number && offsets.Series.Number >= head.Number {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	r.t.Fatalf("offsets never reached the head %v: %+v", head, r.store.offsets)
}

// checkStored compares the stored projections with a plain fold of everything appended.
func (r *rig) checkStored() {
	r.t.Helper()
	hosts, series := foldAll(r.sent)
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	for id, h := range hosts {
		if got, want := storedLive(r.t, r.store.live[id]), projectionstest.LiveBytes(&h.Live); !bytes.Equal(got, want) {
			r.t.Errorf("live model of %s differs from a plain fold", id)
		}
		if got, want := r.store.identity[id], projections.AppendIdentity(nil, &h.Identity); !bytes.Equal(got, want) {
			r.t.Errorf("identity model of %s differs from a plain fold", id)
		}
	}
	for key, want := range series {
		got := projections.Merge(r.store.chunks[key]...)
		if !bytes.Equal(projections.AppendHostWindow(nil, &got), projections.AppendHostWindow(nil, want)) {
			r.t.Errorf("history of %s in window %d: %d records, want %d", key.host, key.window, got.Records(), want.Records())
		}
	}
	if len(r.store.live) != len(hosts) || len(r.store.chunks) != len(series) {
		r.t.Errorf("stored %d hosts and %d windows, want %d and %d", len(r.store.live), len(r.store.chunks), len(hosts), len(series))
	}
}

// storedOffset returns the revision up to which the stored projections are folded.
func (r *rig) storedOffset() int64 {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	return earlierRevision(r.store.offsets.Live, r.store.offsets.Series).Number
}

// A leader waits for offsets at its generation's goal, and on a quiet log nothing but the goal itself changes.
func TestAGoalBehindTheFoldedPositionIsStoredAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		w := r.newRun()
		stop := r.startFollowerOf(w, Config{})
		r.appendEvents(eventstest.Event("a", 10))
		r.awaitStored()
		for range 3 {
			r.log.Advance()
		}
		time.Sleep(5 * time.Second)
		head, err := r.log.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if at := r.storedOffset(); at >= head.Number {
			t.Fatalf("the offset is stored at %d, the head, without a reason", at)
		}
		w.setInfo(snapshot.GenerationInfo{State: snapshot.Active, Revision: head.Number})
		time.Sleep(time.Second)
		if at := r.storedOffset(); at < head.Number {
			t.Errorf("a second after the goal became %d the offset is %d", head.Number, at)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// storedLive returns a stored live model without the times of appends, which the events of a plain fold have not.
func storedLive(t *testing.T, stored []byte) []byte {
	t.Helper()
	if stored == nil {
		return nil
	}
	l, err := projections.ParseLive(stored)
	if err != nil {
		t.Fatal(err)
	}
	return projectionstest.LiveBytes(&l)
}

func foldAll(evs []events.Event) (map[events.HostID]*projections.Host, map[windowKey]*projections.HostWindow) {
	hosts, series := map[events.HostID]*projections.Host{}, map[windowKey]*projections.HostWindow{}
	for i := range evs {
		h := hosts[evs[i].Host]
		if h == nil {
			h = &projections.Host{ID: evs[i].Host}
			hosts[evs[i].Host] = h
		}
		effect := h.Apply(&evs[i])
		for _, part := range []map[projections.Window]projections.HostWindow{effect.Fresh, effect.Late} {
			for w, records := range part {
				key := windowKey{evs[i].Host, w}
				if series[key] == nil {
					series[key] = &projections.HostWindow{}
				}
				series[key].Add(records)
			}
		}
	}
	return hosts, series
}

func TestEverythingAppendedIsStoredAndStaysAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.appendEvents(eventstest.Events("a", 0, 50)...) // before the follower: caught up by reading
		stop := r.startFollower(Config{})
		r.awaitStored()
		r.appendEvents(eventstest.Events("b", 0, 50)...) // while it watches
		r.awaitStored()
		r.checkStored()
		if err := stop(); err != nil {
			t.Errorf("stopping: %v", err)
		}
		r.appendEvents(eventstest.Events("a", 50, 10)...) // while no follower runs
		stop = r.startFollower(Config{})
		r.awaitStored()
		r.checkStored()
		if err := stop(); err != nil {
			t.Errorf("stopping: %v", err)
		}
	})
}

func TestStopCommitsWhatIsFolded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		stop := r.startFollower(Config{LiveInterval: time.Minute, SeriesInterval: time.Hour})
		r.appendEvents(eventstest.Events("a", 0, 1)...)
		r.awaitStored()
		r.appendEvents(eventstest.Events("a", 1, 5)...) // folded, and not due for a minute
		synctest.Wait()
		if err := stop(); err != nil {
			t.Fatalf("stopping: %v", err)
		}
		r.checkStored()
	})
}

func TestRecordsThatAreThereAlreadyWriteOnlyTheOffset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.startFollower(Config{})()
		whole := eventstest.Events("a", 0, 40)
		r.appendEvents(whole...)
		r.awaitStored()
		chunks := len(r.store.chunks[windowKey{"a", firstWindow(whole)}])
		// The same records in other events, as of a file cut in another way.
		again := whole[7]
		again.Sequence[0]++
		r.appendEvents(again)
		r.awaitStored()
		r.checkStored()
		if got := len(r.store.chunks[windowKey{"a", firstWindow(whole)}]); got != chunks {
			t.Errorf("repeated records made %d new chunks, want none", got-chunks)
		}
	})
}

func firstWindow(evs []events.Event) projections.Window {
	return projections.WindowOf(evs[0].First())
}

func TestSlowReaderAndCompactionLoseNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.log.SetWatchBytes(2000)
		defer r.startFollower(Config{BufferSize: 10})()
		for i := range 20 {
			r.appendEvents(eventstest.Events(events.HostID(fmt.Sprintf("h%d", i%3)), 100*i, 30)...)
			switch i % 3 {
			case 0:
				r.log.Compact()
			case 1:
				r.log.Break(events.ErrCompacted)
			case 2:
				time.Sleep(time.Second)
			}
		}
		r.awaitStored()
		r.checkStored()
	})
}

func TestOldOwnerIsFencedAndTheNewOneGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		old := r.startFollower(Config{})
		r.appendEvents(eventstest.Events("a", 0, 20)...)
		r.awaitStored()
		next := r.startFollower(Config{}) // takes the token while the old one still runs
		r.appendEvents(eventstest.Events("a", 20, 20)...)
		r.awaitStored()
		r.checkStored()
		if err := old(); !errors.Is(err, snapshot.ErrFenced) {
			t.Errorf("old owner ended with %v, want ErrFenced", err)
		}
		if err := next(); err != nil {
			t.Errorf("new owner: %v", err)
		}
	})
}

// TestRandomFaults appends events in any order and with repeats while the store and the log fail before
// and after taking effect and followers come and go.
func TestRandomFaults(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { randomFaults(t, seed) })
		})
	}
}

func randomFaults(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	r := newRig(t)
	var chance float64
	fault := errors.New("etcd is away")
	roll := rand.New(rand.NewPCG(seed, 2)) // used under the store's lock
	r.store.fail = func() (before, after error) {
		if roll.Float64() < chance {
			return fault, nil
		}
		if roll.Float64() < chance {
			return nil, fault
		}
		return nil, nil
	}
	evs := slices.Concat(eventstest.Events("a", 0, 60), eventstest.Events("b", 3000, 60), eventstest.Events("c", 0, 9))
	for range 20 {
		repeat := evs[rng.IntN(len(evs))]
		repeat.Sequence[rng.IntN(16)]++
		evs = append(evs, repeat)
	}
	rng.Shuffle(len(evs), func(i, j int) { evs[i], evs[j] = evs[j], evs[i] })
	cfg := Config{BufferSize: 1 + rng.IntN(50), SeriesInterval: time.Duration(1+rng.IntN(3000)) * time.Millisecond}
	stop := r.startFollower(cfg)
	for len(evs) > 0 {
		n := min(len(evs), 1+rng.IntN(10))
		r.appendEvents(evs[:n]...)
		evs = evs[n:]
		r.store.mu.Lock()
		chance = 0.3 * rng.Float64()
		r.store.mu.Unlock()
		switch rng.IntN(6) {
		case 0:
			r.log.Compact()
		case 1:
			r.log.Break(fault)
		case 2:
			_ = stop() // it may have failed: the faults continue
			stop = r.startFollower(cfg)
		case 3:
			time.Sleep(time.Duration(rng.IntN(5000)) * time.Millisecond)
		}
	}
	r.store.mu.Lock()
	chance = 0
	r.store.mu.Unlock()
	r.awaitStored()
	r.checkStored()
	if err := stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
}
