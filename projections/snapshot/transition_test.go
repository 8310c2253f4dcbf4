package snapshot

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/etcd"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/projections"
)

func (f *fixture) readGenerations() Generations {
	f.t.Helper()
	all, err := f.Generations(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	return all
}

// evictOwners stands in for partition.Evict: it removes every owner of a generation.
func (f *fixture) evictOwners(g projections.Generation) clientv3.Op {
	return clientv3.OpDelete(f.cfg.Prefix("owners", events.Escape(string(g))), clientv3.WithPrefix())
}

// firstGenerations creates the first generation and a second one that is to follow it.
func (f *fixture) firstGenerations() (old, next projections.Generation) {
	f.t.Helper()
	old, err := f.Begin(f.t.Context(), 1)
	if err != nil {
		f.t.Fatal(err)
	}
	if next, err = f.Create(f.t.Context(), f.readGenerations(), 2, true); err != nil {
		f.t.Fatal(err)
	}
	return old, next
}

func TestOfManyThatCreateAGenerationOneDoes(t *testing.T) {
	f := newFixture(t)
	if _, err := f.Active(t.Context()); err != nil {
		t.Fatal(err)
	}
	seen := f.readGenerations()
	made := make(chan projections.Generation, 8)
	var wg sync.WaitGroup
	for range cap(made) {
		wg.Go(func() {
			g, err := New(f.client, f.cfg, f.facts, nil).Create(t.Context(), seen, 7, false)
			switch {
			case err == nil:
				made <- g
			case !errors.Is(err, ErrChanged):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	all := f.readGenerations()
	if len(made) != 1 || len(all.All) != 2 {
		t.Fatalf("%d of 8 made a generation and there are %v, want one more", len(made), all.All)
	}
	g := <-made
	if got := all.Successor(7); got != g || all.Successor(6) != "" || all.All[g].State != Building {
		t.Errorf("next of version 7 is %q, want %q, building: %+v", got, g, all.All)
	}
}

func TestActivationIsOneTransaction(t *testing.T) {
	f := newFixture(t)
	old, next := f.firstGenerations()
	owner := f.cfg.Key("owners", string(old), "001")
	if _, err := f.client.Put(t.Context(), owner, "me"); err != nil {
		t.Fatal(err)
	}
	before := f.readGenerations()
	if err := f.Move(t.Context(), next, GenerationInfo{ModelVersion: 2, State: Complete, Revision: before.All[next].Revision}); err != nil {
		t.Fatal(err)
	}
	if err := f.Activate(t.Context(), before, next, f.evictOwners); !errors.Is(err, ErrChanged) {
		t.Errorf("activating what was seen before it was complete: got %v, want ErrChanged", err)
	}
	seen := f.readGenerations()
	if err := f.Activate(t.Context(), seen, next, f.evictOwners); err != nil {
		t.Fatal(err)
	}
	now := f.readGenerations()
	if now.Active != next || now.All[next].State != Active || now.All[old].State != Retired || now.All[next].Revision != now.All[old].Revision {
		t.Errorf("got %+v, want %s active and %s retired at one revision", now, next, old)
	}
	if resp, err := f.client.Get(t.Context(), owner); err != nil || len(resp.Kvs) != 0 {
		t.Errorf("owners of the retired generation are left: %v (%v)", resp.Kvs, err)
	}
	if err := f.Activate(t.Context(), seen, next, f.evictOwners); !errors.Is(err, ErrChanged) {
		t.Errorf("activating twice: got %v, want ErrChanged", err)
	}
	if err := f.Retire(t.Context(), next, now.All[next], f.evictOwners); !errors.Is(err, ErrChanged) {
		t.Errorf("retiring the active generation: got %v, want ErrChanged", err)
	}
}

// A transition whose answer was lost took effect, and is not reported as failed.
func TestATransitionWhoseAnswerWasLostIsMade(t *testing.T) {
	f := newFixture(t)
	lose := true // the next transaction's answer
	store := newStore(&eventstest.KV{KV: f.client, After: func(call string) error {
		if call != "txn" || !lose {
			return nil
		}
		lose = false
		return status.Error(codes.Unavailable, "answer lost")
	}}, etcd.Watchers(f.client), f.cfg, f.facts, nil)
	if _, err := f.Begin(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	g, err := store.Create(t.Context(), f.readGenerations(), 2, true)
	if err != nil {
		t.Fatal(err)
	}
	if all := f.readGenerations(); all.Successor(2) != g {
		t.Errorf("got %v, want the generation %s that Create made", all.All, g)
	}
	lose = true
	if err := store.Activate(t.Context(), f.readGenerations(), g, f.evictOwners); err != nil || f.readGenerations().Active != g {
		t.Errorf("activating: %v", err)
	}
}

func TestRemovalTakesEverythingOfARetiredGenerationOnly(t *testing.T) {
	f := newFixture(t)
	old, next := f.firstGenerations()
	for _, g := range []projections.Generation{old, next} {
		for i := range 30 {
			host := hostsOf(0, 30)[i]
			c := f.foldEvents(int64(i+1), eventstest.Events(host, 0, 4)...)
			c.Quarantine = []Quarantined{f.newEntry(0, int64(i+1), host)}
			if err := f.Save(t.Context(), g, 0, c); err != nil {
				t.Fatal(err)
			}
		}
	}
	count := func(g projections.Generation) int {
		t.Helper()
		n, err := f.Keys(t.Context(), g)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	was := count(next)
	if was == 0 || was != count(old) {
		t.Fatalf("%d keys of one generation and %d of the other, want as many", was, count(old))
	}
	info := f.readGenerations().All[old]
	if err := f.Remove(t.Context(), old, info, func(int) {}); err == nil || count(old) != was {
		t.Errorf("removing the active generation: got %v and %d keys left of %d", err, count(old), was)
	}
	info.State = Retired
	if err := f.Remove(t.Context(), old, info, func(int) {}); !errors.Is(err, ErrChanged) || count(old) != was {
		t.Errorf("removing the active generation as if it were retired: got %v and %d keys left of %d, want ErrChanged", err, count(old), was)
	}
	if err := f.Activate(t.Context(), f.readGenerations(), next, f.evictOwners); err != nil {
		t.Fatal(err)
	}
	progress := 0
	if err := f.Remove(t.Context(), old, f.readGenerations().All[old], func(n int) { progress = n }); err != nil {
		t.Fatal(err)
	}
	if count(old) != 0 || count(next) != was || progress != was {
		t.Errorf("%d keys of the removed generation are left, %d of %d of the active one; %d reported as gone", count(old), count(next), was, progress)
	}
	for key := range f.dumpKeys() {
		if strings.Contains(key, string(old)) {
			t.Errorf("%s is left", key)
		}
	}
}

func TestWatchGenerationsReportsEveryTransition(t *testing.T) {
	f := newFixture(t)
	ctx := timeoutContext(t, time.Minute)
	got := make(chan Generations)
	go func() {
		defer close(got)
		for all, err := range f.WatchGenerations(ctx) {
			if err != nil {
				return
			}
			got <- all
		}
	}()
	if all := <-got; all.Active != "" || len(all.All) != 0 {
		t.Errorf("got %+v, want nothing", all)
	}
	old, next := f.firstGenerations()
	until := func(what string, is func(Generations) bool) {
		t.Helper()
		for all := range got {
			if is(all) {
				return
			}
		}
		t.Errorf("never progress: %s", what)
	}
	until("the second generation is made", func(all Generations) bool { return all.Active == old && all.All[next].State == Building })
	eventstest.Shared(t).Compact(t)
	if err := f.Activate(t.Context(), f.readGenerations(), next, f.evictOwners); err != nil {
		t.Fatal(err)
	}
	until("it is active", func(all Generations) bool { return all.Active == next && all.All[old].State == Retired })
	if err := f.Remove(t.Context(), old, f.readGenerations().All[old], func(int) {}); err != nil {
		t.Fatal(err)
	}
	until("the first one is gone", func(all Generations) bool { return len(all.All) == 1 })
}

func TestAPartitionIsReadAsItWas(t *testing.T) {
	f := newFixture(t)
	host := hostsOf(1, 3)
	f.saveCommit(1, f.foldEvents(5, append(eventstest.Events(host[0], 0, 3), eventstest.Events(host[1], 3590, 20)...)...))
	then, err := f.client.Get(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	rev := then.Header.Revision
	want := map[string]string{}
	for id, windows := range f.all {
		for w, series := range windows {
			want[fmt.Sprint(id, w)] = string(projections.AppendHostWindow(nil, &series))
		}
	}
	models := f.wantHosts()
	live := string(projections.AppendLive(nil, models[host[0]].Live))
	f.saveCommit(1, f.foldEvents(9, append(eventstest.Events(host[0], 3, 5000), eventstest.Event(host[2], 1))...))

	part, err := f.PartitionAt(t.Context(), generation, 1, rev)
	if err != nil || len(part.Hosts) != 2 || part.Offsets.Live != f.revisionAt(5) {
		t.Fatalf("got %d hosts, offsets %+v (%v), want 2 at 5", len(part.Hosts), part.Offsets, err)
	}
	at := slices.IndexFunc(part.Hosts, func(h projections.Host) bool { return h.ID == host[0] })
	if got := string(projections.AppendLive(nil, &part.Hosts[at].Live)); got != live {
		t.Error("live is not as it was")
	}
	got := map[string]string{}
	for hs, err := range f.HistoryAt(t.Context(), generation, 1, rev) {
		if err != nil {
			t.Fatal(err)
		}
		got[fmt.Sprint(hs.Host, hs.Window)] = string(projections.AppendHostWindow(nil, &hs.Series))
	}
	if !maps.Equal(got, want) {
		t.Errorf("history of %d hosts and windows, want the %d as they were", len(got), len(want))
	}
	eventstest.Shared(t).Compact(t)
	if _, err := f.PartitionAt(t.Context(), generation, 1, rev); !errors.Is(err, events.ErrCompacted) {
		t.Errorf("got %v after a compaction, want ErrCompacted", err)
	}
}

// A transition that etcd could not report, because a watch was lost just then, is found by the next list: although
// nothing else was written, and although the generation's name sorts before the known ones.
func TestWatchGenerationsFindsMissedTransitions(t *testing.T) {
	f := newFixture(t)
	if _, err := f.Begin(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	ctx := timeoutContext(t, time.Minute)
	broken := make(chan clientv3.WatchResponse)
	var n atomic.Int64
	f.newWatcher = func() clientv3.Watcher {
		return &stalledWatcher{Watcher: clientv3.NewWatcher(f.client), first: broken, n: &n}
	}
	got := make(chan Generations)
	go func() {
		defer close(got)
		for all, err := range f.WatchGenerations(ctx) {
			if err != nil {
				return
			}
			got <- all
		}
	}()
	<-got
	if _, err := f.client.Put(t.Context(), f.keys.generationKey("a first one"), `{"state":"building"}`); err != nil {
		t.Fatal(err)
	}
	close(broken)
	if all, open := <-got; !open || len(all.All) != 2 {
		t.Errorf("got %+v, want both generations", all)
	}
}

// stalledWatcher hears nothing on its first watch.
type stalledWatcher struct {
	clientv3.Watcher
	first chan clientv3.WatchResponse
	n     *atomic.Int64
}

func (w *stalledWatcher) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	if w.n.Add(1) == 1 {
		return w.first
	}
	return w.Watcher.Watch(ctx, key, opts...)
}
