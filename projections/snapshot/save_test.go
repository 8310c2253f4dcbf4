package snapshot

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/projections"
)

func TestSavedIsLoaded(t *testing.T) {
	f := newFixture(t)
	guard := f.claimPartition(1)
	hosts := hostsOf(1, 5)
	for i, h := range hosts {
		f.saveCommit(1, f.foldEvents(int64(10+i), eventstest.Events(h, i, 3)...), guard)
	}
	part, err := f.LoadPartition(t.Context(), generation, 1)
	if err != nil {
		t.Fatal(err)
	}
	if d := diffOf(part.Offsets, projections.Offsets{Live: f.revisionAt(14), Series: f.revisionAt(14), HotFrom: 7}); d != "" {
		t.Errorf("offsets differ (-want +got):\n%s", d)
	}
	var names []events.HostID
	for _, got := range part.Hosts {
		names = append(names, got.ID)
		if d := diffOf(got, *f.hosts[got.ID]); d != "" {
			t.Errorf("host %q differs (-want +got):\n%s", got.ID, d)
		}
	}
	if want := slices.Sorted(slices.Values(hosts)); !slices.Equal(names, want) {
		t.Errorf("got hosts %q, want %q", names, want)
	}
	other, err := f.LoadPartition(t.Context(), generation, 2)
	if err != nil || len(other.Hosts) != 0 || other.Offsets != (projections.Offsets{}) {
		t.Errorf("got %v (%v) of a partition that was never written, want nothing", other, err)
	}
	all, err := f.Offsets(t.Context(), generation)
	if err != nil || len(all) != 1 || all[1] != part.Offsets {
		t.Errorf("got offsets %v (%v), want those of partition 1 alone", all, err)
	}
}

func TestFencedSaveWritesNothing(t *testing.T) {
	f := newFixture(t)
	host := hostsOf(0, 1)[0]
	old := f.claimPartition(0)
	f.saveCommit(0, f.foldEvents(5, eventstest.Event(host, 1)), old)
	current := f.claimPartition(0) // the key is another's now
	before := f.dumpKeys()
	late := f.foldEvents(9, eventstest.Event(host, 2))
	if err := f.Save(t.Context(), generation, 0, late, old); !errors.Is(err, ErrFenced) {
		t.Errorf("got %v, want ErrFenced", err)
	}
	if d := diffOf(f.dumpKeys(), before); d != "" {
		t.Errorf("the fenced save wrote (-before +after):\n%s", d)
	}
	f.saveCommit(0, late, current) // the fenced offsets were not counted as written
}

// dumpKeys returns all keys below the root except the owners', with their revisions.
func (f *fixture) dumpKeys() map[string]int64 {
	f.t.Helper()
	resp, err := f.client.Get(f.t.Context(), f.cfg.Root+"/", clientv3.WithPrefix())
	if err != nil {
		f.t.Fatal(err)
	}
	all := make(map[string]int64)
	for _, kv := range resp.Kvs {
		if !strings.HasPrefix(string(kv.Key), f.cfg.Prefix("owners")) {
			all[string(kv.Key)] = kv.ModRevision
		}
	}
	return all
}

// A big commit is cut into transactions: small ones, the hosts' models first, offsets in the last. Few hosts are cut in two.
func TestBigCommitIsCut(t *testing.T) {
	f := newFixture(t)
	guard := f.claimPartition(2)
	var evs []events.Event
	for i, h := range hostsOf(2, 100) {
		evs = append(evs, eventstest.BigEvent(h, i, 5000), eventstest.Event(h, i))
	}
	f.saveCommit(2, f.foldEvents(77, evs...), guard)
	resp, err := f.client.Get(t.Context(), f.cfg.Root+"/", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	keysAt, bytesAt := make(map[int64]int), make(map[int64]int)
	first, last := make(map[string]int64), make(map[string]int64)
	identityAt, cut := make(map[string]int64), 0 // identities sort before live
	for _, kv := range resp.Kvs {
		key := string(kv.Key)
		if strings.HasPrefix(key, f.cfg.Prefix("owners")) {
			continue
		}
		keysAt[kv.ModRevision]++
		bytesAt[kv.ModRevision] += len(kv.Key) + len(kv.Value)
		switch host := path.Base(key); {
		case strings.Contains(key, "/identity/"):
			identityAt[host] = kv.ModRevision
		case strings.Contains(key, "/live/") && kv.ModRevision < identityAt[host]:
			t.Errorf("live of %s is stored before its identity", host)
		case strings.Contains(key, "/live/") && kv.ModRevision > identityAt[host]:
			cut++
		}
		for _, kind := range []string{"/identity/", "/live/", "/series/", "/offsets/"} {
			if strings.Contains(key, kind) {
				if first[kind] == 0 {
					first[kind] = kv.ModRevision
				}
				first[kind], last[kind] = min(first[kind], kv.ModRevision), max(last[kind], kv.ModRevision)
			}
		}
	}
	if len(keysAt) < 5 {
		t.Errorf("got %d transactions, want several", len(keysAt))
	}
	for rev := range keysAt {
		if keysAt[rev] > maxPuts || bytesAt[rev] > maxBytes {
			t.Errorf("got a transaction of %d keys and %d bytes, want at most %d and %d", keysAt[rev], bytesAt[rev], maxPuts, maxBytes)
		}
	}
	if max(last["/identity/"], last["/live/"]) > first["/series/"] || last["/series/"] > first["/offsets/"] {
		t.Errorf("got kinds from revisions %v to %v, want models, series, offsets", first, last)
	}
	if cut >= len(keysAt) || len(identityAt) != 100 {
		t.Errorf("%d of %d hosts have their models in two transactions, of %d in all", cut, len(identityAt), len(keysAt))
	}
	if newest := slices.Max(slices.Collect(maps.Keys(keysAt))); first["/offsets/"] != newest {
		t.Errorf("got offsets at revision %d, want them in the last transaction, %d", first["/offsets/"], newest)
	}
}

func TestOffsetsNeverGoBack(t *testing.T) {
	f := newFixture(t)
	guard := f.claimPartition(3)
	f.saveCommit(3, f.foldEvents(50), guard)
	behind := []projections.Offsets{
		{Live: f.revisionAt(49), Series: f.revisionAt(50)}, {Live: f.revisionAt(50), Series: f.revisionAt(49)}, {Live: f.revisionAt(60)}, {},
	}
	for _, o := range behind {
		if err := f.Save(t.Context(), generation, 3, Commit{Offsets: &o}, guard); !errors.Is(err, ErrBackwards) {
			t.Errorf("saving %v: got %v, want ErrBackwards", o, err)
		}
	}
	again := New(f.client, f.cfg, f.facts, nil) // learns by loading
	if _, err := again.LoadPartition(t.Context(), generation, 3); err != nil {
		t.Fatal(err)
	}
	if err := again.Save(t.Context(), generation, 3, Commit{Offsets: &behind[0]}, guard); !errors.Is(err, ErrBackwards) {
		t.Errorf("after a restart: got %v, want ErrBackwards", err)
	}
	f.saveCommit(3, f.foldEvents(50), guard)
	f.saveCommit(3, f.foldEvents(51), guard)
	foreign := projections.Offsets{Live: events.Revision{Epoch: 1, Cluster: 2, Number: 99}, Series: f.revisionAt(99)}
	if err := f.Save(t.Context(), generation, 3, Commit{Offsets: &foreign}, guard); !errors.Is(err, events.ErrForeign) {
		t.Errorf("saving offsets of another log: got %v, want ErrForeign", err)
	}
}

func TestOnlyItsOwnHosts(t *testing.T) {
	f := newFixture(t)
	guard := f.claimPartition(1)
	c := f.foldEvents(1, eventstest.Event(hostsOf(0, 1)[0], 1))
	only := []Commit{{Live: c.Live}, {Identity: c.Identity}, {Chunks: c.Chunks}}
	for _, c := range only {
		if err := f.Save(t.Context(), generation, 1, c, guard); err == nil || !strings.Contains(err.Error(), "belongs to partition 0") {
			t.Errorf("got %v, want an error about the host's partition", err)
		}
	}
}

func TestSeriesUniteChunks(t *testing.T) {
	f := newFixture(t)
	guard := f.claimPartition(0)
	host, other := hostsOf(0, 2)[0], hostsOf(0, 2)[1]
	number := int64(1)
	for _, i := range []int{0, 3600, 10, 7300, 20, 30} { // three windows, three of the events late in the first
		number++
		f.saveCommit(0, f.foldEvents(number, eventstest.Event(host, i), eventstest.Event(other, i+1)), guard)
		f.saveCommit(0, f.foldEvents(number, eventstest.Event(host, i)), guard) // again: the same records, Late now
	}
	w := slices.Sorted(maps.Keys(f.all[host]))
	if len(w) != 3 {
		t.Fatalf("got events in %d windows, want 3", len(w))
	}
	asked := []projections.Window{w[2], w[0] - 1, w[0], w[1], w[1] + 1000}
	got, err := f.Series(t.Context(), generation, 0, host, asked)
	if err != nil {
		t.Fatal(err)
	}
	want := []projections.WindowSeries{
		{Window: w[2], Series: f.all[host][w[2]]}, {Window: w[0], Series: f.all[host][w[0]]}, {Window: w[1], Series: f.all[host][w[1]]},
	}
	if d := diffOf(got, want); d != "" {
		t.Errorf("series differ (-want +got):\n%s", d)
	}
	var many []projections.Window
	for i := range 2*maxRanges + 1 {
		many = append(many, w[0]-projections.Window(2*maxRanges-i))
	}
	if got, err := f.Series(t.Context(), generation, 0, host, many); err != nil || len(got) != 1 {
		t.Errorf("got %d windows of %d asked for (%v), want 1", len(got), len(many), err)
	}
}

// Equal records have the same key, independent of the writer.
func TestChunksAreWrittenOnce(t *testing.T) {
	f := newFixture(t)
	host := hostsOf(0, 1)[0]
	c := f.foldEvents(3, eventstest.Events(host, 0, 20)...)
	f.saveCommit(0, Commit{Chunks: c.Chunks}, f.claimPartition(0))
	before := len(f.dumpKeys())
	again := New(f.client, f.cfg, f.facts, nil)
	if err := again.Save(t.Context(), generation, 0, Commit{Chunks: append(c.Chunks, c.Chunks...), Upload: "another"}, f.claimPartition(0)); err != nil {
		t.Fatal(err)
	}
	if got := len(f.dumpKeys()); got != before {
		t.Errorf("got %d keys after the same chunks came again, want %d", got, before)
	}
}

// Answers that are lost, before or after the transaction took effect, change only the duration.
func TestUnclearAnswersToSaves(t *testing.T) {
	var calls atomic.Int64
	fail := func(which int64) func(string) error {
		return func(string) error {
			if calls.Add(1)%3 == which {
				return status.Error(codes.Unavailable, "connection lost")
			}
			return nil
		}
	}
	f := newFixture(t, func(_ *eventlog.Config, c *clientv3.Client) {
		c.KV = &eventstest.KV{KV: c.KV, Before: fail(1), After: fail(2)}
	})
	guard := f.claimPartition(0)
	hosts := hostsOf(0, 3)
	for i := range 10 {
		f.saveCommit(0, f.foldEvents(int64(10+i), eventstest.Event(hosts[i%3], i)), guard)
	}
	got, err := f.Load(t.Context(), generation)
	if err != nil {
		t.Fatal(err)
	}
	s := newState()
	s.applyBatch(got)
	if d := diffOf(s.hosts, f.wantHosts()); d != "" {
		t.Errorf("stored models differ (-want +got):\n%s", d)
	}
	if got := s.offsets[0].Live; got != f.revisionAt(19) {
		t.Errorf("got offsets at %v, want %v", got, f.revisionAt(19))
	}
	for _, h := range hosts {
		for w, want := range f.all[h] {
			series, err := f.Series(t.Context(), generation, 0, h, []projections.Window{w})
			if err != nil || len(series) != 1 || diffOf(series[0].Series, want) != "" {
				t.Errorf("host %q, window %d: got %v (%v), want %v", h, w, series, err, want)
			}
		}
	}
}

func TestSaveEndsWithItsContext(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(_ *eventlog.Config, c *clientv3.Client) {
		c.KV = &eventstest.KV{KV: c.KV, Before: func(string) error { return status.Error(codes.Unavailable, "etcd away") }}
	})
	err := f.Save(timeoutContext(t, time.Second), generation, 0, f.foldEvents(1))
	if err == nil || !strings.Contains(err.Error(), "etcd away") || !strings.Contains(err.Error(), "deadline") {
		t.Errorf("got %v, want the end of the context and etcd's last word", err)
	}
}

func TestErrorsThatStay(t *testing.T) {
	f := newFixture(t, func(_ *eventlog.Config, c *clientv3.Client) {
		c.KV = &eventstest.KV{KV: c.KV, Before: func(string) error { return status.Error(codes.PermissionDenied, "not yours") }}
	})
	if err := f.Save(timeoutContext(t, time.Minute), generation, 0, f.foldEvents(1)); err == nil || !strings.Contains(err.Error(), "not yours") {
		t.Errorf("got %v, want etcd's refusal", err)
	}
	if _, err := f.Load(timeoutContext(t, time.Minute), generation); err == nil || !strings.Contains(err.Error(), "not yours") {
		t.Errorf("got %v, want etcd's refusal", err)
	}
}

func TestDamagedValues(t *testing.T) {
	f := newFixture(t)
	guard := f.claimPartition(0)
	hosts := hostsOf(0, 2)
	f.saveCommit(0, f.foldEvents(3, eventstest.Event(hosts[0], 1), eventstest.Event(hosts[1], 1)), guard)
	key := f.keys.modelKey(generation, kindLive, 0, hosts[0])
	if _, err := f.client.Put(t.Context(), key, "\x01\x00\x00garbage"); err != nil {
		t.Fatal(err)
	}
	_, err := f.LoadPartition(t.Context(), generation, 0)
	if damaged, ok := errors.AsType[*DamagedError](err); !ok || damaged.Key != key {
		t.Errorf("loading the partition: got %v, want a DamagedError of %s", err, key)
	}
	got, err := f.Load(t.Context(), generation)
	if err != nil {
		t.Fatal(err)
	}
	s := newState()
	s.applyBatch(got)
	if len(s.hosts) != 2 || s.hosts[hosts[0]].Live != nil || s.hosts[hosts[0]].Identity == nil || s.hosts[hosts[1]].Live == nil {
		t.Errorf("got %v, want all but the damaged model", fmt.Sprint(s.hosts))
	}
}
