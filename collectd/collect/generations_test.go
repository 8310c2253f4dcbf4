package collect

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

// All projections are gone while uploads go on. A rebuild equals a fresh fold, with collectors killed and started
// meanwhile.
func TestProjectionsDeletedUnderUploadsAreRebuilt(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	for h := range 20 {
		p.appendEvents(eventstest.Events(events.HostID(fmt.Sprint("h", h)), 0, 40)...)
	}
	first := p.startCollector(snapshot.ModelVersion)
	second := p.startCollector(snapshot.ModelVersion)
	awaitCondition(t, "both are ready", func() bool { return first.Ready() == nil && second.Ready() == nil })
	old := p.generations().Active
	stop := p.upload()
	for _, prefix := range []string{p.cfg.Prefix("projections"), p.cfg.Prefix("offsets")} {
		if _, err := p.etcd.Delete(t.Context(), prefix, clientv3.WithPrefix()); err != nil {
			t.Fatal(err)
		}
	}
	next := p.rebuild(snapshot.ModelVersion)
	first.kill()
	third := p.startCollector(snapshot.ModelVersion)
	awaitCondition(t, "the new generation is active", func() bool { return p.generations().Active == next })
	stop()
	awaitCondition(t, "all is folded", func() bool { return second.Ready() == nil && third.Ready() == nil })
	p.checkGeneration(next)
	p.awaitOnly(next)
	if next == old {
		t.Error("the same generation again")
	}
}

func TestANewerModelVersionTakesOverByItself(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	for h := range 10 {
		p.appendEvents(eventstest.Events(events.HostID(fmt.Sprint("h", h)), 0, 40)...)
	}
	old := p.startCollector(snapshot.ModelVersion)
	awaitCondition(t, "the old one is ready", func() bool { return old.Ready() == nil })
	before := p.generations().Active
	stop := p.upload()
	var slow sync.Mutex // held: the new version cannot fold
	slow.Lock()
	newer := []*running{}
	for range 2 {
		newer = append(newer, p.startCollector(snapshot.ModelVersion+1, func(c *Collector) {
			c.apply = func(h *projections.Host, ev *events.Event, b projections.Bounds) projections.Effect {
				slow.Lock()
				defer slow.Unlock()
				return h.ApplyWithin(ev, b)
			}
		}))
	}
	awaitCondition(t, "a generation of the new version is made", func() bool { return p.generations().Successor(snapshot.ModelVersion+1) != "" })
	next := p.generations().Successor(snapshot.ModelVersion + 1)
	awaitHead(t, p.log, p.store) // the old ones continue
	if all := p.generations(); all.Active != before || len(all.All) != 2 || old.Ready() != nil || newer[0].Ready() == nil {
		t.Errorf("before the new version has folded: %+v, old collector: %v, new one: %v; want the old one served, by the old one", all, old.Ready(), newer[0].Ready())
	}
	slow.Unlock()
	awaitCondition(t, "the new version is active", func() bool { return p.generations().Active == next })
	awaitCondition(t, "the old collector is idle", func() bool { err := old.Ready(); return err != nil && strings.Contains(err.Error(), "idle") })
	stop()
	p.checkGeneration(next)
	p.awaitOnly(next)
	for _, c := range newer {
		awaitCondition(t, "the new ones are ready", func() bool { return c.Ready() == nil })
	}
	old.stop()
	p.startCollector(snapshot.ModelVersion) // an old one that is started again creates nothing
	p.appendEvents(eventstest.Events("h1", 500, 5)...)
	p.checkGeneration(next)
	if all := p.generations(); len(all.All) != 1 {
		t.Errorf("an old collector made a generation: %+v", all)
	}
}

// After a restore the stored positions belong to another log. That is logged once, with the remedy, and the remedy
// helps.
func TestProjectionsOfAnotherLogAreReportedAndARebuildReplacesThem(t *testing.T) {
	p := newPipeline(t)
	p.appendEvents(eventstest.Events("a", 0, 40)...)
	c := p.startCollector(snapshot.ModelVersion)
	awaitCondition(t, "it is folded", func() bool { return c.Ready() == nil })
	awaitHead(t, p.log, p.store)
	c.stop()
	if _, err := p.etcd.Delete(t.Context(), p.cfg.Key("config")); err != nil {
		t.Fatal(err)
	}
	p.log = eventstest.OpenLog(t, p.cfg) // with another epoch
	p.store = snapshot.New(p.etcd, p.cfg, p.log.Facts(), nil)
	c = p.startCollector(snapshot.ModelVersion)
	awaitCondition(t, "the cause is told", func() bool { return errors.Is(c.Ready(), errOtherLog) })
	if restarts := metricSum(t, c, "collect_restarts_total"); restarts > 0 {
		t.Errorf("tried again %v times, which cannot help", restarts)
	}
	next := p.rebuild(snapshot.ModelVersion)
	awaitCondition(t, "the new generation is active", func() bool { return p.generations().Active == next && c.Ready() == nil })
	p.appendEvents(eventstest.Events("b", 0, 4)...)
	p.checkGeneration(next)
	p.awaitOnly(next)
}

// A generation being built has entries of its own, which are not visible before it is active, and does not touch
// others.
func TestEntriesOfTheQuarantineBelongToAGeneration(t *testing.T) {
	p := newPipeline(t)
	bad, worse := eventstest.Event("a", 10), eventstest.Event("b", 10)
	fails := func(on ...events.Event) func(*Collector) {
		return func(c *Collector) {
			c.apply = func(h *projections.Host, ev *events.Event, b projections.Bounds) projections.Effect {
				if slices.ContainsFunc(on, func(e events.Event) bool { return e.Sequence == ev.Sequence }) {
					panic("no")
				}
				return h.ApplyWithin(ev, b)
			}
		}
	}
	p.appendEvents(append(eventstest.Events("a", 0, 20), eventstest.Events("b", 0, 20)...)...)
	c := p.startCollector(snapshot.ModelVersion, fails(bad))
	awaitCondition(t, "the old version is ready", func() bool { return c.Ready() == nil })
	list := func() string {
		t.Helper()
		entries, total, err := p.store.QuarantineList(t.Context(), snapshot.QuarantineFilter{Limit: 9})
		if err != nil || total != len(entries) {
			t.Fatalf("%d of %d entries (%v)", len(entries), total, err)
		}
		var hosts []string
		for _, q := range entries {
			hosts = append(hosts, string(q.Host))
		}
		return strings.Join(hosts, " ")
	}
	awaitCondition(t, "what the old version cannot fold is listed", func() bool { return list() == "a" })
	newer := p.startCollector(snapshot.ModelVersion+1, fails(worse), func(c *Collector) { c.cfg.UpgradeGrace = time.Hour })
	awaitCondition(t, "the new version is active", func() bool {
		return newer.Ready() == nil && p.generations().All[p.generations().Active].ModelVersion == snapshot.ModelVersion+1
	})
	if got := list(); got != "b" {
		t.Errorf("the quarantine lists %q, want what the new version cannot fold", got)
	}
	if n, err := p.store.RequestRetry(t.Context(), snapshot.RetryFilter{}); n != 1 || err != nil {
		t.Fatalf("asked for %d retries (%v)", n, err)
	}
	awaitCondition(t, "a retry is answered", func() bool {
		entries, _, err := p.store.QuarantineList(t.Context(), snapshot.QuarantineFilter{Limit: 9})
		return err == nil && len(entries) == 1 && entries[0].Attempts == 2 && !entries[0].RetryRequested
	})
	awaitCondition(t, "the metric counts it", func() bool { return metricSum(t, newer, "collect_quarantine_entries") == 1 })
}

// Query servers of another model version cannot go over to the active generation: what they serve and read stays for
// longer than a retired generation of the same version.
func TestAGenerationOfAnotherModelVersionStaysForLonger(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	p.appendEvents(eventstest.Events("a", 0, 40)...)
	old := p.startCollector(snapshot.ModelVersion)
	awaitCondition(t, "the old one is ready", func() bool { return old.Ready() == nil })
	before := p.generations().Active
	newer := p.startCollector(snapshot.ModelVersion+1, func(c *Collector) { c.cfg.UpgradeGrace = time.Hour })
	awaitCondition(t, "the new version is active", func() bool { return newer.Ready() == nil })
	first := p.generations().Active
	g := p.rebuild(snapshot.ModelVersion + 1)
	awaitCondition(t, "the first generation of the new version is removed", func() bool {
		_, there := p.generations().All[first]
		return p.generations().Active == g && !there
	})
	keys, err := p.store.Keys(t.Context(), before)
	if all := p.generations(); err != nil || all.All[before].State != snapshot.Retired || keys == 0 {
		t.Errorf("the generation of the old version is %+v with %d keys (%v), want it retired and whole", all.All[before], keys, err)
	}
	newer.stop()
	p.startCollector(snapshot.ModelVersion + 1) // with a grace of a millisecond
	p.awaitOnly(g)
}

// A generation that is given up while it is built leaves nothing, and does not change the active one.
func TestAGenerationThatIsGivenUpIsRemoved(t *testing.T) {
	p := newPipeline(t)
	p.appendEvents(eventstest.Events("a", 0, 100)...)
	c := p.startCollector(snapshot.ModelVersion)
	awaitCondition(t, "it is ready", func() bool { return c.Ready() == nil })
	active := p.generations().Active
	g := p.rebuild(snapshot.ModelVersion)
	for {
		all := p.generations()
		if all.Active == g {
			active = g // it was faster
			break
		}
		err := p.store.Retire(t.Context(), g, all.All[g], evictOf(p.cfg))
		if err == nil {
			break
		}
		if !errors.Is(err, snapshot.ErrChanged) {
			t.Fatal(err)
		}
	}
	p.awaitOnly(active)
	p.appendEvents(eventstest.Events("a", 100, 3)...)
	p.checkGeneration(active)
}
