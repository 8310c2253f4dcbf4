package snapshot

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/projections"
)

// reader loads and follows, loading again whenever it has to, and checks each batch on the way.
type reader struct {
	state
	at    events.Revision
	loads int
}

// followUntil reads until done returns true for the state.
func (r *reader) followUntil(ctx context.Context, s *Store, done func(*reader) bool) error {
	for {
		b, err := s.Load(ctx, generation)
		if err != nil {
			return err
		}
		if b.At.Number < r.at.Number {
			return fmt.Errorf("loaded position %d after %d", b.At.Number, r.at.Number)
		}
		r.loads++
		r.state, r.at = newState(), b.At
		r.applyBatch(b)
		err = r.watchUntil(ctx, s, done)
		if !errors.Is(err, events.ErrCompacted) && !errors.Is(err, events.ErrOverflow) {
			return err
		}
	}
}

func (r *reader) watchUntil(ctx context.Context, s *Store, done func(*reader) bool) error {
	if done(r) {
		return nil
	}
	for b, err := range s.Watch(ctx, generation, r.at) {
		if err != nil {
			return err
		}
		if b.At.Number < r.at.Number || len(b.Hosts) > 0 && b.At.Number == r.at.Number {
			return fmt.Errorf("got position %d after %d", b.At.Number, r.at.Number)
		}
		r.at = b.At
		r.applyBatch(b)
		if done(r) {
			return nil
		}
	}
	return errors.New("the watch ended without an error")
}

// In spite of saves and compactions at any time, a reader ends with the complete state.
func TestLoadAndWatchMissNothing(t *testing.T) {
	f := newFixture(t)
	const rounds = 60
	var wg sync.WaitGroup
	defer wg.Wait()
	readers := make([]reader, 3)
	finished := func(r *reader) bool {
		for p := range events.Partition(partitions) {
			if r.offsets[p].Live.Number != rounds {
				return false
			}
		}
		return true
	}
	for i := range readers {
		wg.Go(func() {
			if err := readers[i].followUntil(timeoutContext(t, time.Minute), f.Store, finished); err != nil {
				t.Errorf("reader %d: %v", i, err)
			}
		})
	}
	rng := rand.New(rand.NewPCG(1, 9))
	guards := make([]clientv3.Cmp, partitions)
	hosts := make([][]events.HostID, partitions)
	for p := range events.Partition(partitions) {
		guards[p], hosts[p] = f.claimPartition(p), hostsOf(p, 6)
	}
	for n := range int64(rounds) {
		for p := range events.Partition(partitions) {
			var evs []events.Event
			for range rng.IntN(3) {
				evs = append(evs, eventstest.Event(hosts[p][rng.IntN(6)], rng.IntN(5000)))
			}
			f.saveCommit(p, f.foldEvents(n+1, evs...), guards[p])
		}
		if n%7 == 0 {
			eventstest.Shared(t).Compact(t)
		}
	}
	wg.Wait()
	for i, r := range readers {
		if d := diffOf(r.hosts, f.wantHosts()); d != "" {
			t.Errorf("reader %d, after %d loads, differs (-want +got):\n%s", i, r.loads, d)
		}
	}
}

// A batch is a whole transaction: offsets never come before the models that they cover.
func TestBatchesAreWholeTransactions(t *testing.T) {
	f := newFixture(t)
	guard := f.claimPartition(0)
	start, err := f.Load(t.Context(), generation)
	if err != nil {
		t.Fatal(err)
	}
	hosts := hostsOf(0, 4)
	const rounds = 200
	go func() {
		for n := range int64(rounds) {
			c := f.foldEvents(n+1, eventstest.Event(hosts[n%4], int(n)))
			switch n % 5 {
			case 0: // in a transaction each, the offsets behind
				_ = f.Save(t.Context(), generation, 0, Commit{Live: c.Live}, guard)
				_ = f.Save(t.Context(), generation, 0, Commit{Offsets: c.Offsets}, guard)
			default:
				_ = f.Save(t.Context(), generation, 0, c, guard)
			}
		}
	}()
	seen := make(map[events.HostID]events.Timestamp)
	last := start.At.Number
	for b, err := range f.Watch(timeoutContext(t, time.Minute), generation, start.At) {
		if err != nil {
			t.Fatal(err)
		}
		if b.At.Number < last || len(b.Hosts) > 0 && b.At.Number == last {
			t.Fatalf("got position %d after %d", b.At.Number, last)
		}
		last = b.At.Number
		for _, h := range b.Hosts {
			if h.Live != nil {
				seen[h.Host] = h.Live.Entities[0].SeenAt
			}
		}
		o := b.Offsets[0]
		if o.Live.Number == 0 {
			continue
		}
		n := o.Live.Number - 1
		ev := eventstest.Event(hosts[n%4], int(n))
		if got := seen[hosts[n%4]]; got < ev.First() {
			t.Fatalf("offsets at %d came before the models that they cover (host last seen at %v, want %v)", n+1, got, ev.First())
		}
		if n+1 == rounds {
			break
		}
	}
}

// A watch may continue after any of its positions.
func TestWatchResumesAnywhere(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	guard := f.claimPartition(0)
	start, err := f.Load(t.Context(), generation)
	if err != nil {
		t.Fatal(err)
	}
	hosts := hostsOf(0, 3)
	for n := range int64(20) {
		c := f.foldEvents(n+1, eventstest.Event(hosts[n%3], int(n)))
		f.saveCommit(0, Commit{Live: c.Live, Identity: c.Identity}, guard)
		f.saveCommit(0, Commit{Offsets: c.Offsets}, guard)
	}
	s, at, resumed := newState(), start.At, 0
	for s.offsets[0].Live.Number < 20 {
		for b, err := range f.Watch(timeoutContext(t, time.Minute), generation, at) {
			if err != nil {
				t.Fatal(err)
			}
			s.applyBatch(b)
			at = b.At
			break
		}
		resumed++
	}
	if d := diffOf(s.hosts, f.wantHosts()); d != "" {
		t.Errorf("after %d resumes the state differs (-want +got):\n%s", resumed, d)
	}
}

func TestQuietWatchReportsProgress(t *testing.T) {
	f := newFixture(t)
	start, err := f.Load(t.Context(), generation)
	if err != nil {
		t.Fatal(err)
	}
	put, err := f.client.Put(t.Context(), f.cfg.Key("elsewhere"), "x")
	if err != nil {
		t.Fatal(err)
	}
	quiet := 0
	for b, err := range f.Watch(timeoutContext(t, time.Minute), generation, start.At) {
		if err != nil {
			t.Fatal(err)
		}
		if len(b.Hosts) > 0 || len(b.Offsets) > 0 {
			t.Errorf("got %v, want progress alone", b)
		}
		if b.At.Number >= put.Header.Revision {
			quiet++
		}
		if quiet == 3 { // it keeps coming though nothing is written
			return
		}
	}
}

func TestRemovedHosts(t *testing.T) {
	f := newFixture(t)
	guard := f.claimPartition(0)
	hosts := hostsOf(0, 2)
	f.saveCommit(0, f.foldEvents(1, eventstest.Event(hosts[0], 1), eventstest.Event(hosts[1], 1)), guard)
	start, err := f.Load(t.Context(), generation)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.client.Txn(t.Context()).Then(
		clientv3.OpDelete(f.keys.modelKey(generation, kindLive, 0, hosts[0])),
		clientv3.OpDelete(f.keys.modelKey(generation, kindIdentity, 0, hosts[0])),
	).Commit(); err != nil {
		t.Fatal(err)
	}
	for b, err := range f.Watch(timeoutContext(t, time.Minute), generation, start.At) {
		if err != nil {
			t.Fatal(err)
		}
		if len(b.Hosts) == 0 {
			continue
		}
		if d := diffOf(b.Hosts, []projections.Stored{{Host: hosts[0], Removed: true}}); d != "" {
			t.Errorf("batch differs (-want +got):\n%s", d)
		}
		return
	}
}

func TestWatchOfCompactedHistory(t *testing.T) {
	f := newFixture(t)
	guard := f.claimPartition(0)
	start, err := f.Load(t.Context(), generation)
	if err != nil {
		t.Fatal(err)
	}
	f.saveCommit(0, f.foldEvents(1, eventstest.Event(hostsOf(0, 1)[0], 1)), guard)
	f.saveCommit(0, f.foldEvents(2, eventstest.Event(hostsOf(0, 1)[0], 2)), guard)
	eventstest.Shared(t).Compact(t)
	for _, err := range f.Watch(timeoutContext(t, time.Minute), generation, start.At) {
		if !errors.Is(err, events.ErrCompacted) {
			t.Errorf("got %v, want ErrCompacted", err)
		}
		break
	}
}

func TestSlowReaderOverflows(t *testing.T) {
	f := newFixture(t, func(cfg *eventlog.Config, _ *clientv3.Client) { cfg.WatchBytes = 2000 })
	guard := f.claimPartition(0)
	start, err := f.Load(t.Context(), generation)
	if err != nil {
		t.Fatal(err)
	}
	n := int64(1)
	f.saveCommit(0, f.foldEvents(n, eventstest.Event(hostsOf(0, 1)[0], 1)), guard)
	var last error
	for _, err := range f.Watch(timeoutContext(t, time.Minute), generation, start.At) {
		if last = err; err != nil {
			break
		}
		for range 20 { // while the reader is busy
			n++
			f.saveCommit(0, f.foldEvents(n, eventstest.Event(hostsOf(0, 1)[0], int(n))), guard)
		}
	}
	if !errors.Is(last, events.ErrOverflow) {
		t.Errorf("got %v, want ErrOverflow", last)
	}
}

func TestPositionsOfAnotherLog(t *testing.T) {
	f := newFixture(t)
	head, err := f.Load(t.Context(), generation)
	if err != nil {
		t.Fatal(err)
	}
	ahead, epoch := head.At, head.At
	ahead.Number += 1000
	epoch.Epoch++
	for name, after := range map[string]events.Revision{"ahead of etcd": ahead, "another epoch": epoch} {
		for _, err := range f.Watch(timeoutContext(t, time.Minute), generation, after) {
			if !errors.Is(err, events.ErrForeign) {
				t.Errorf("%s: got %v, want ErrForeign", name, err)
			}
			break
		}
	}
}

func TestWatchSurvivesARestartOfEtcd(t *testing.T) {
	server := eventstest.NewServer(t, nil)
	client, cfg := server.Client(t), server.Config(t)
	f := &fixture{
		Store: New(client, cfg, factsOf(t, client), nil), t: t, client: client,
		hosts: make(map[events.HostID]*projections.Host), all: make(map[events.HostID]map[projections.Window]projections.HostWindow),
	}
	guard := f.claimPartition(0)
	host := hostsOf(0, 1)[0]
	f.saveCommit(0, f.foldEvents(1, eventstest.Event(host, 1)), guard)
	r := reader{}
	restarted := false
	err := r.followUntil(timeoutContext(t, time.Minute), f.Store, func(r *reader) bool {
		if !restarted {
			restarted = true
			server.Stop()
			server.Start(t)
			f.saveCommit(0, f.foldEvents(2, eventstest.Event(host, 2)), guard)
		}
		return r.offsets[0].Live.Number == 2
	})
	if err != nil {
		t.Fatal(err)
	}
	if d := diffOf(r.hosts, f.wantHosts()); d != "" {
		t.Errorf("state differs (-want +got):\n%s", d)
	}
}

func TestWatchLeavesNothingRunning(t *testing.T) {
	f := newFixture(t)
	start, err := f.Load(t.Context(), generation)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		for range f.Watch(t.Context(), generation, start.At) {
			break
		}
	}
	deadline := time.Now().Add(time.Minute)
	for {
		buf := make([]byte, 1<<20)
		stacks := strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")
		left := slices.DeleteFunc(stacks, func(s string) bool {
			return strings.Contains(s, "testing.tRunner") || !strings.Contains(s, "snapshot.(*")
		})
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still running:\n%s", strings.Join(left, "\n\n"))
		}
		time.Sleep(5 * time.Millisecond)
	}
}
