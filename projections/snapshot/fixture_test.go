package snapshot

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/projections"
)

// The tests share an etcd, so a test that compacts it must not be parallel: it would compact the history that others read.
func TestMain(m *testing.M) { eventstest.Main(m) }

const (
	partitions = 4
	generation = projections.Generation("g_1/x") // a name that must be escaped
)

// fixture is a test's own store, with the state that a collector would have.
type fixture struct {
	*Store
	t      testing.TB
	client *clientv3.Client
	hosts  map[events.HostID]*projections.Host
	all    map[events.HostID]map[projections.Window]projections.HostWindow // everything that was put into chunks
}

func newFixture(t testing.TB, adjust ...func(*eventlog.Config, *clientv3.Client)) *fixture {
	t.Helper()
	cfg, client := eventstest.Config(t), eventstest.Etcd(t)
	facts := factsOf(t, client)
	for _, f := range adjust {
		f(&cfg, client)
	}
	return &fixture{
		Store: New(client, cfg, facts, nil), t: t, client: eventstest.Etcd(t),
		hosts: make(map[events.HostID]*projections.Host),
		all:   make(map[events.HostID]map[projections.Window]projections.HostWindow),
	}
}

func factsOf(t testing.TB, client *clientv3.Client) events.Facts {
	t.Helper()
	resp, err := client.Get(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	return events.Facts{Epoch: 0xe0c, Cluster: resp.Header.ClusterId, Partitions: partitions}
}

// claimPartition creates an owner key, as a collector would, and returns its guard.
func (f *fixture) claimPartition(p events.Partition) clientv3.Cmp {
	f.t.Helper()
	key := f.cfg.Key("owners", fmt.Sprint(p))
	if _, err := f.client.Delete(f.t.Context(), key); err != nil {
		f.t.Fatal(err)
	}
	resp, err := f.client.Put(f.t.Context(), key, "me")
	if err != nil {
		f.t.Fatal(err)
	}
	return clientv3.Compare(clientv3.CreateRevision(key), "=", resp.Header.Revision)
}

// activateGeneration makes a generation the active one, as no part of the product would.
func (f *fixture) activateGeneration(g projections.Generation) {
	f.t.Helper()
	if _, err := f.client.Put(f.t.Context(), f.keys.activeKey(), string(g)); err != nil {
		f.t.Fatal(err)
	}
}

// foldEvents applies events and returns their commit. Offsets are at number.
func (f *fixture) foldEvents(number int64, evs ...events.Event) Commit {
	c := Commit{
		Live: make(map[events.HostID]*projections.Live), Identity: make(map[events.HostID]*projections.Identity),
		Offsets: &projections.Offsets{Live: f.revisionAt(number), Series: f.revisionAt(number), HotFrom: 7}, Upload: "upload-1",
	}
	for _, ev := range evs {
		host := f.hosts[ev.Host]
		if host == nil {
			host = &projections.Host{ID: ev.Host}
			f.hosts[ev.Host], f.all[ev.Host] = host, make(map[projections.Window]projections.HostWindow)
		}
		effect := host.Apply(&ev)
		live, identity := cloneHost(host)
		c.Live[ev.Host], c.Identity[ev.Host] = live, identity
		for _, series := range []map[projections.Window]projections.HostWindow{effect.Fresh, effect.Late} {
			for _, w := range slices.Sorted(maps.Keys(series)) {
				c.Chunks = append(c.Chunks, Chunk{Host: ev.Host, Window: w, Series: series[w]})
				f.all[ev.Host][w] = projections.Merge(f.all[ev.Host][w], series[w])
			}
		}
	}
	return c
}

// cloneHost copies the parts that a later fold may change, by their stored bytes.
func cloneHost(h *projections.Host) (*projections.Live, *projections.Identity) {
	live, err := projections.ParseLive(projections.AppendLive(nil, &h.Live))
	identity, err2 := projections.ParseIdentity(projections.AppendIdentity(nil, &h.Identity))
	if err != nil || err2 != nil {
		panic(fmt.Sprint(err, err2))
	}
	return &live, &identity
}

func (f *fixture) saveCommit(p events.Partition, c Commit, guards ...clientv3.Cmp) {
	f.t.Helper()
	if err := f.Save(f.t.Context(), generation, p, c, guards...); err != nil {
		f.t.Fatal(err)
	}
}

// hostsOf returns host names of a partition, among them some that need escaping.
func hostsOf(p events.Partition, n int) []events.HostID {
	var hosts []events.HostID
	for i := 0; len(hosts) < n; i++ {
		for _, h := range []events.HostID{events.HostID(fmt.Sprintf("host_%d/ü%%", i)), events.HostID(fmt.Sprintf("node-%d", i))} {
			if events.PartitionOf(h, partitions) == p && len(hosts) < n {
				hosts = append(hosts, h)
			}
		}
	}
	return hosts
}

// state is the state of a reader of batches.
type state struct {
	hosts   map[events.HostID]projections.Stored
	offsets map[events.Partition]projections.Offsets
}

func newState() state {
	return state{make(map[events.HostID]projections.Stored), make(map[events.Partition]projections.Offsets)}
}

func (s state) applyBatch(b projections.Batch) {
	for _, h := range b.Hosts {
		known := s.hosts[h.Host]
		if h.Removed {
			delete(s.hosts, h.Host)
			continue
		}
		if h.Live == nil {
			h.Live = known.Live
		}
		if h.Identity == nil {
			h.Identity = known.Identity
		}
		s.hosts[h.Host] = h
	}
	maps.Copy(s.offsets, b.Offsets)
}

// wantHosts returns the state after everything that the fixture folded.
func (f *fixture) wantHosts() map[events.HostID]projections.Stored {
	want := make(map[events.HostID]projections.Stored)
	for id, h := range f.hosts {
		want[id] = projections.Stored{
			Host: id, Partition: events.PartitionOf(id, partitions), Live: &h.Live, Identity: &h.Identity,
		}
	}
	return want
}

func diffOf(got, want any) string { return gocmp.Diff(want, got) }

// timeoutContext returns a context that ends after d, or with the test.
func timeoutContext(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
