package snapshot

import (
	"errors"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/projections"
)

// Compaction between the pages of a load makes it start again.
func TestLoadSurvivesCompaction(t *testing.T) {
	var f *fixture
	gets := 0
	f = newFixture(t, func(_ *eventlog.Config, c *clientv3.Client) {
		var mu sync.Mutex
		c.KV = &eventstest.KV{KV: c.KV, After: func(call string) error {
			mu.Lock()
			defer mu.Unlock()
			if gets++; call == "get" && gets < 4 {
				if _, err := f.client.Put(t.Context(), f.cfg.Key("elsewhere"), "x"); err != nil {
					return err
				}
				eventstest.Shared(t).Compact(t)
			}
			return nil
		}}
	})
	direct := New(f.client, f.cfg, f.facts, nil)
	if err := direct.Save(t.Context(), generation, 0, f.foldEvents(3, eventstest.Event(hostsOf(0, 1)[0], 1)), f.claimPartition(0)); err != nil {
		t.Fatal(err)
	}
	b, err := f.Load(t.Context(), generation)
	if err != nil {
		t.Fatal(err)
	}
	if gets < 1+2*partitions+1 {
		t.Errorf("got %d reads, want a load that started again", gets)
	}
	s := newState()
	s.applyBatch(b)
	if d := diffOf(s.hosts, f.wantHosts()); d != "" {
		t.Errorf("loaded state differs (-want +got):\n%s", d)
	}
}

// Host reads one host of the active generation, and nothing where there is none.
func TestHost(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	read := func(host events.HostID) projections.Host {
		t.Helper()
		h, err := f.Host(t.Context(), host)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	if h := read("n1"); len(h.Identity.GPUs) > 0 {
		t.Errorf("without a generation: got %v", h)
	}
	f.activateGeneration(generation)
	p := events.PartitionOf("n1", partitions)
	f.saveCommit(p, f.foldEvents(3, eventstest.Event("n1", 1)), f.claimPartition(p))
	if d := gocmp.Diff(*f.hosts["n1"], read("n1")); d != "" {
		t.Errorf("the host differs (-want +got):\n%s", d)
	}
	if h := read("n2"); len(h.Identity.GPUs) > 0 {
		t.Errorf("an unknown host: got %v", h)
	}
	if _, err := f.client.Put(t.Context(), f.keys.modelKey(generation, kindLive, p, "n1"), "damaged"); err != nil {
		t.Fatal(err)
	}
	var damaged *DamagedError
	if _, err := f.Host(t.Context(), "n1"); !errors.As(err, &damaged) {
		t.Errorf("a damaged model: got %v, want a DamagedError", err)
	}
}

func TestLoadIsPaged(t *testing.T) {
	f := newFixture(t)
	guard := f.claimPartition(1)
	var evs []events.Event
	for _, h := range hostsOf(1, 2*pageHosts+3) {
		evs = append(evs, eventstest.Event(h, 1))
	}
	f.saveCommit(1, f.foldEvents(3, evs...), guard)
	b, err := f.Load(t.Context(), generation)
	if err != nil {
		t.Fatal(err)
	}
	s := newState()
	s.applyBatch(b)
	if len(b.Hosts) != len(evs) || diffOf(s.hosts, f.wantHosts()) != "" {
		t.Errorf("got %d hosts, want %d", len(b.Hosts), len(evs))
	}
}
