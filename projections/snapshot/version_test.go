package snapshot

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/projections"
)

func TestWatchActiveRefusesOtherModelVersions(t *testing.T) {
	f := newFixture(t)
	record := func(g projections.Generation, version int) {
		value, err := packRecord(GenerationInfo{ModelVersion: version, State: Active})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.client.Put(t.Context(), f.keys.generationKey(g), value); err != nil {
			t.Fatal(err)
		}
	}
	cases := []struct {
		g       projections.Generation
		version int
		want    string
	}{
		{"g1", ModelVersion - 1, "start one if none runs"}, {"g2", ModelVersion, ""}, {"g3", ModelVersion + 1, "upgrade it"}, {"g4", 0, "without a record"},
	}
	for _, c := range cases {
		if c.version > 0 {
			record(c.g, c.version)
		}
		f.activateGeneration(c.g)
		for got, err := range f.WatchActive(timeoutContext(t, time.Minute)) {
			if err != nil {
				t.Fatal(err)
			}
			refusal, refused := errors.AsType[*VersionError](got.Refusal)
			if got.Generation != c.g || refused != (c.want != "") {
				t.Fatalf("got %s, refused with %v, want %s and %q", got.Generation, got.Refusal, c.g, c.want)
			}
			if refused && (refusal.Version != c.version || refusal.Generation != c.g || !strings.Contains(refusal.Error(), c.want)) {
				t.Errorf("refused with %+v: %v, want version %d of %s and %q", *refusal, refusal, c.version, c.g, c.want)
			}
			break
		}
	}
}

func TestUnreadableValuesAreListed(t *testing.T) {
	f := newFixture(t)
	guard := f.claimPartition(0)
	host := hostsOf(0, 1)[0]
	f.saveCommit(0, f.foldEvents(3, eventstest.Event(host, 1)), guard)
	start, err := f.Load(t.Context(), generation)
	if err != nil || len(start.Unreadable) != 0 {
		t.Fatalf("loading: %+v (%v), want nothing unreadable", start.Unreadable, err)
	}
	live, offsets := f.keys.modelKey(generation, kindLive, 0, host), f.keys.offsetKey(generation, 0)
	stored, err := f.client.Get(t.Context(), live)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]projections.Unreadable{
		live: {Key: live, Kind: kindLive, Host: host}, offsets: {Key: offsets, Kind: "offsets"},
	}
	for key := range want {
		if _, err := f.client.Put(t.Context(), key, "garbage"); err != nil {
			t.Fatal(err)
		}
	}
	seen := 0
	for b, err := range f.Watch(timeoutContext(t, time.Minute), generation, start.At) {
		if err != nil {
			t.Fatal(err)
		}
		for _, got := range b.Unreadable {
			seen++
			checkUnreadable(t, got, want[got.Key])
		}
		if len(b.Hosts)+len(b.Offsets) > 0 {
			t.Errorf("got %+v, want nothing of an unreadable value", b)
		}
		if seen == len(want) {
			break
		}
	}
	if _, err := f.Load(t.Context(), generation); err == nil {
		t.Error("loaded a generation whose offsets cannot be read")
	}
	if _, err := f.client.Delete(t.Context(), offsets); err != nil {
		t.Fatal(err)
	}
	b, err := f.Load(t.Context(), generation)
	if err != nil || len(b.Unreadable) != 1 || len(b.Hosts) != 1 || b.Hosts[0].Live != nil || b.Hosts[0].Identity == nil {
		t.Fatalf("loaded %+v (%v), want the identity alone, and the live model listed", b, err)
	}
	checkUnreadable(t, b.Unreadable[0], want[live])
	if _, err := f.client.Put(t.Context(), live, string(stored.Kvs[0].Value)); err != nil {
		t.Fatal(err)
	}
	if b, err = f.Load(t.Context(), generation); err != nil || len(b.Unreadable) != 0 || b.Hosts[0].Live == nil {
		t.Errorf("loaded %+v (%v), want all of it", b, err)
	}
}

func checkUnreadable(t *testing.T, got, want projections.Unreadable) {
	t.Helper()
	damaged, ok := errors.AsType[*DamagedError](got.Err)
	if !ok || damaged.Key != want.Key {
		t.Errorf("the error of %s is %v, want one that names the key", got.Key, got.Err)
	}
	if got.Err = nil; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// A generation under removal must not look like a fleet that becomes smaller, for readers of any kind.
func TestAGenerationUnderRemovalIsNotRead(t *testing.T) {
	f := newFixture(t)
	old, next := f.firstGenerations()
	host := hostsOf(0, 1)[0]
	c := f.foldEvents(3, eventstest.Event(host, 1))
	window := c.Chunks[0].Window
	if err := f.Save(t.Context(), old, 0, c, f.claimPartition(0)); err != nil {
		t.Fatal(err)
	}
	series := func() (int, error) {
		found, err := f.Series(t.Context(), old, 0, host, []projections.Window{window})
		listed, err2 := f.ListChunks(t.Context(), old, windowsOf(host, window))
		if errors.Is(err2, projections.ErrRemoved) != errors.Is(err, projections.ErrRemoved) || len(listed.Chunks[host]) != len(found) {
			t.Errorf("ListChunks: %d windows (%v); Series: %d (%v)", len(listed.Chunks[host]), err2, len(found), err)
		}
		return len(found), err
	}
	start, err := f.Load(t.Context(), old)
	if n, err2 := series(); err != nil || err2 != nil || n != 1 || len(start.Hosts) != 1 {
		t.Fatalf("before the switch: %d hosts, %d windows (%v, %v)", len(start.Hosts), n, err, err2)
	}
	if err := f.Activate(t.Context(), f.readGenerations(), next, f.evictOwners); err != nil {
		t.Fatal(err)
	}
	if b, err := f.Load(t.Context(), old); !errors.Is(err, projections.ErrRemoved) {
		t.Errorf("loading a retired generation with offsets of one partition: %+v, %v; want ErrRemoved, since the others may be gone", b.Hosts, err)
	}
	if n, err := series(); n != 1 || err != nil {
		t.Errorf("before the removal: %d windows (%v), want 1", n, err)
	}
	if err := f.Remove(t.Context(), old, f.readGenerations().All[old], func(int) {}); err != nil {
		t.Fatal(err)
	}
	for b, err := range f.Watch(timeoutContext(t, time.Minute), old, start.At) {
		if errors.Is(err, projections.ErrRemoved) {
			break
		}
		if err != nil || len(b.Hosts) > 0 {
			t.Fatalf("watching over the removal: %+v, %v; want ErrRemoved before any host is gone", b.Hosts, err)
		}
	}
	if _, err := f.Load(t.Context(), old); !errors.Is(err, projections.ErrRemoved) {
		t.Errorf("loading: %v, want ErrRemoved", err)
	}
	if n, err := series(); !errors.Is(err, projections.ErrRemoved) {
		t.Errorf("reading history: %d windows, %v; want ErrRemoved", n, err)
	}
	if b, err := f.Load(t.Context(), next); err != nil || len(b.Hosts) > 0 {
		t.Errorf("loading the active one, which is empty: %v (%v)", b.Hosts, err)
	}
}

// Programs of the older version read the offsets of their generation after a restore, so those keep their form.
func TestAdoptedOffsetsKeepTheirForm(t *testing.T) {
	f := newFixture(t)
	log := fmt.Sprintf(`"%x","cluster":"%x"`, f.facts.Epoch, f.facts.Cluster)
	const members = `"live":6,"series":5,"hot_from":4,"records":3,"mark":"m-1"}`
	forms := map[events.Partition][2]string{
		0: {`{"epoch":"77","cluster":"99",` + members, `{"epoch":` + log + `,` + members},
		1: {`{"version":2,"epoch":{"id":"77","cluster":"99"},` + members, `{"version":2,"epoch":{"id":` + log + `},` + members},
		2: {`{"epoch":"78","cluster":"99",` + members, `{"epoch":"78","cluster":"99",` + members},
	}
	var puts []clientv3.Op
	for p, form := range forms {
		puts = append(puts, clientv3.OpPut(f.keys.offsetKey(generation, p), form[0]))
	}
	if _, err := f.client.Txn(t.Context()).Then(puts...).Commit(); err != nil {
		t.Fatal(err)
	}
	if n, err := f.AdoptOffsets(t.Context(), 0x77); n != 2 || err != nil {
		t.Errorf("%d offsets were adopted (%v), want 2", n, err)
	}
	for p, form := range forms {
		if now, err := f.client.Get(t.Context(), f.keys.offsetKey(generation, p)); err != nil || string(now.Kvs[0].Value) != form[1] {
			t.Errorf("the offset of partition %d is now %v (%v), want %s", p, now.Kvs, err, form[1])
		}
	}
}
