package retain

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/archive/manifest"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

func TestMain(m *testing.M) { eventstest.Main(m) }

var errKilled = errors.New("killed")

// faults cut a process off from everything: before or after the n-th call that changes something.
type faults struct {
	mu     sync.Mutex
	calls  int
	at     int  // number of the call; 0: never
	after  bool // the call takes effect, its answer is lost
	killed bool
}

// beforeCall runs at the start of a call, afterCall once it has taken effect.
func (f *faults) beforeCall() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.killed {
		return errKilled
	}
	if f.calls++; f.calls == f.at && !f.after {
		f.killed = true
		return errKilled
	}
	return nil
}

func (f *faults) afterCall() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.calls == f.at && f.after {
		f.killed = true
	}
	if f.killed {
		return errKilled
	}
	return nil
}

func (f *faults) arm(at int, after bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls, f.at, f.after, f.killed = 0, at, after, false
}

func (f *faults) isKilled() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.killed
}

// faultyObjects is an archive with injected faults.
type faultyObjects struct {
	objectStore
	faults *faults
}

func withFaults[T any](f *faults, do func() (T, error)) (v T, err error) {
	if err := f.beforeCall(); err != nil {
		return v, err
	}
	if v, err = do(); err == nil {
		err = f.afterCall()
	}
	return v, err
}

func (o faultyObjects) Write(ctx context.Context, r archive.Range, evs iter.Seq2[events.Event, error]) (archive.Entry, error) {
	return withFaults(o.faults, func() (archive.Entry, error) { return o.objectStore.Write(ctx, r, evs) })
}

func (o faultyObjects) Merge(ctx context.Context, entries []archive.Entry) (archive.Entry, error) {
	return withFaults(o.faults, func() (archive.Entry, error) { return o.objectStore.Merge(ctx, entries) })
}

func (o faultyObjects) Remove(ctx context.Context, name string) error {
	_, err := withFaults(o.faults, func() (struct{}, error) { return struct{}{}, o.objectStore.Remove(ctx, name) })
	return err
}

// rig is a log, an archive and a keeper of one partition; the test folds.
type rig struct {
	t      *testing.T
	cfg    eventlog.Config
	log    *eventlog.Log // without faults
	saved  *snapshot.Store
	store  *archive.Store
	url    string
	faults faults
	keeper *Keeper
	part   Partition
	host   events.HostID
	read   *manifest.Reader
	look   *manifest.Manifest
	model  projections.Host

	hotFrom projections.Window
	records int64
}

const rigPartitions = 4

func newRig(t *testing.T, settings Config, archived bool) *rig {
	cfg := eventstest.Config(t)
	cfg.Partitions = rigPartitions
	r := &rig{t: t, cfg: cfg, log: eventstest.OpenLog(t, cfg)}
	r.part.ID = 1
	r.host = eventstest.HostsOf(r.part.ID, rigPartitions, 1)[0]
	plain := eventstest.Etcd(t)
	owner := cfg.Key("owners", "g", "001")
	put, err := plain.Put(t.Context(), owner, "me")
	if err != nil {
		t.Fatal(err)
	}
	r.saved = snapshot.New(plain, cfg, r.log.Facts(), nil)
	if r.part.Generation, err = r.saved.Active(t.Context()); err != nil {
		t.Fatal(err)
	}
	if archived {
		r.url = (&url.URL{Scheme: "file", Path: t.TempDir()}).String()
		if r.store, err = archive.Open(t.Context(), r.url); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.store.Close() })
	}
	r.look = manifest.New(plain, cfg, r.log.Facts())
	r.read = manifest.NewReader(r.log, r.store, r.look)

	failing := cfg
	failing.Connect = func(lg *slog.Logger) (*clientv3.Client, error) {
		client, err := cfg.Dial(lg)
		if err == nil {
			kv := &eventstest.KV{KV: client.KV}
			kv.Before = func(call string) error { return r.hookChange(call, r.faults.beforeCall) }
			kv.After = func(call string) error { return r.hookChange(call, r.faults.afterCall) }
			client.KV = kv
		}
		return client, err
	}
	client, err := failing.Dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	log := eventstest.OpenLog(t, failing)
	settings.Grace, settings.Pace, settings.Look = time.Nanosecond, time.Nanosecond, time.Nanosecond
	r.keeper = New(settings, cfg, log, snapshot.New(client, cfg, r.log.Facts(), nil), r.store, client, nil)
	r.keeper.turns.rest = 0 // due work is done at once
	if archived {
		r.keeper.store = faultyObjects{r.store, &r.faults}
	}
	r.part.Guard = func() clientv3.Cmp {
		return clientv3.Compare(clientv3.CreateRevision(owner), "=", put.Header.Revision)
	}
	r.part.Folded = func() Folded {
		head, err := r.log.Head(context.Background())
		if err != nil {
			t.Error(err)
		}
		return Folded{Upto: head, Records: r.records, HotFrom: r.hotFrom}
	}
	r.part.Cool = func(_ context.Context, w projections.Window) error {
		_, err := withFaults(&r.faults, func() (struct{}, error) { r.hotFrom = max(r.hotFrom, w); return struct{}{}, nil })
		return err
	}
	return r
}

// hookChange runs hook for changes only: a lost answer of a read changes nothing.
func (r *rig) hookChange(call string, hook func() error) error {
	if call == "get" {
		if r.faults.isKilled() {
			return errKilled
		}
		return nil
	}
	return hook()
}

// appendEvents appends events, folds them, and stores their history.
func (r *rig) appendEvents(evs ...events.Event) {
	r.t.Helper()
	for some := range slices.Chunk(evs, 7) {
		if _, err := r.log.Append(r.t.Context(), some); err != nil {
			r.t.Fatal(err)
		}
		var commit snapshot.Commit
		for _, ev := range some {
			r.records += int64(ev.Records())
			effect := r.model.Apply(&ev)
			for w, series := range effect.Fresh {
				commit.Chunks = append(commit.Chunks, snapshot.Chunk{Host: r.host, Window: w, Series: series})
			}
		}
		if err := r.saved.Save(r.t.Context(), r.part.Generation, r.part.ID, commit); err != nil {
			r.t.Fatal(err)
		}
	}
}

// allRecords returns every record of archive and log, as a set.
func (r *rig) allRecords() map[string]bool {
	r.t.Helper()
	head, err := r.log.Head(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return r.recordSet(r.read.Read(r.t.Context(), r.part.ID, events.Revision{}, head))
}

// inLog returns every record of the log.
func (r *rig) inLog() map[string]bool {
	r.t.Helper()
	head, err := r.log.Head(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return r.recordSet(r.log.Read(r.t.Context(), r.part.ID, events.Revision{}, head))
}

func (r *rig) recordSet(evs iter.Seq2[events.Event, error]) map[string]bool {
	r.t.Helper()
	set := map[string]bool{}
	for ev, err := range evs {
		if err != nil {
			r.t.Fatal(err)
		}
		for i := range ev.Columns {
			c := &ev.Columns[i]
			for at, v := range c.All() {
				set[ev.Identities[c.Identity].UUID+c.Metric+c.Source+at.String()+v.Number.String()+v.Raw] = true
			}
		}
	}
	return set
}

func (r *rig) chunkCount() int {
	r.t.Helper()
	list, err := r.saved.Chunks(r.t.Context(), r.part.Generation, r.part.ID, 1<<60)
	if err != nil {
		r.t.Fatal(err)
	}
	return len(list)
}

func (r *rig) loadManifest() manifest.Partition {
	r.t.Helper()
	p, err := r.look.Load(r.t.Context(), r.part.ID)
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

// runToIdle works as a new owner until nothing is left to do, or it is killed.
func (r *rig) runToIdle() {
	r.t.Helper()
	t := newPartitionKeeper(r.keeper, r.part)
	for rest := 6; rest > 0; {
		again, err := t.runOnce(r.t.Context())
		if r.faults.isKilled() {
			return
		}
		if err != nil {
			r.t.Fatal(err)
		}
		if !again {
			rest--
		}
	}
}
