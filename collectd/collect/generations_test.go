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

// What people fear most: all projections are gone while uploads go on. A rebuild gives what a fresh fold gives, with
// collectors killed and started on the way.
func TestProjectionsDeletedUnderUploadsAreRebuilt(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	for h := range 20 {
		p.append(eventstest.Events(events.HostID(fmt.Sprint("h", h)), 0, 40)...)
	}
	first := p.collector(1)
	second := p.collector(1)
	until(t, "both are ready", func() bool { return first.Ready() == nil && second.Ready() == nil })
	old := p.generations().Active
	stop := p.upload()
	for _, prefix := range []string{p.cfg.Prefix("projections"), p.cfg.Prefix("offsets")} {
		if _, err := p.etcd.Delete(t.Context(), prefix, clientv3.WithPrefix()); err != nil {
			t.Fatal(err)
		}
	}
	next := p.rebuild(1)
	first.kill()
	third := p.collector(1)
	until(t, "the new generation is active", func() bool { return p.generations().Active == next })
	stop()
	until(t, "all is folded", func() bool { return second.Ready() == nil && third.Ready() == nil })
	p.check(next)
	p.awaitOnly(next)
	if next == old {
		t.Error("the same generation again")
	}
}

func TestANewerModelVersionTakesOverByItself(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	for h := range 10 {
		p.append(eventstest.Events(events.HostID(fmt.Sprint("h", h)), 0, 40)...)
	}
	old := p.collector(1)
	until(t, "the old one is ready", func() bool { return old.Ready() == nil })
	before := p.generations().Active
	stop := p.upload()
	var slow sync.Mutex // held: the new version cannot fold
	slow.Lock()
	newer := []*running{}
	for range 2 {
		newer = append(newer, p.collector(2, func(c *Collector) {
			c.apply = func(h *projections.Host, ev *events.Event) projections.Effect {
				slow.Lock()
				defer slow.Unlock()
				return h.Apply(ev)
			}
		}))
	}
	until(t, "a generation of the new version is made", func() bool { return p.generations().Next(2) != "" })
	next := p.generations().Next(2)
	awaitHead(t, p.log, p.store) // the old ones go on
	if all := p.generations(); all.Active != before || len(all.All) != 2 || old.Ready() != nil || newer[0].Ready() == nil {
		t.Errorf("before the new version has folded: %+v, old collector: %v, new one: %v; want the old one served, by the old one", all, old.Ready(), newer[0].Ready())
	}
	slow.Unlock()
	until(t, "the new version is active", func() bool { return p.generations().Active == next })
	until(t, "the old collector is idle", func() bool { err := old.Ready(); return err != nil && strings.Contains(err.Error(), "idle") })
	stop()
	p.check(next)
	p.awaitOnly(next)
	for _, c := range newer {
		until(t, "the new ones are ready", func() bool { return c.Ready() == nil })
	}
	old.stop()
	p.collector(1) // an old one that is started again makes nothing
	p.append(eventstest.Events("h1", 500, 5)...)
	p.check(next)
	if all := p.generations(); len(all.All) != 1 {
		t.Errorf("an old collector made a generation: %+v", all)
	}
}

// After a restore the stored positions are another log's. That is said once, with what to do, and doing it helps.
func TestWhatWasFoldedFromAnotherLogIsToldAndMendedByARebuild(t *testing.T) {
	p := newPipeline(t)
	p.append(eventstest.Events("a", 0, 40)...)
	c := p.collector(1)
	until(t, "it is folded", func() bool { return c.Ready() == nil })
	awaitHead(t, p.log, p.store)
	c.stop()
	if _, err := p.etcd.Delete(t.Context(), p.cfg.Key("config")); err != nil {
		t.Fatal(err)
	}
	p.log = eventstest.OpenLog(t, p.cfg) // with another epoch
	p.store = snapshot.New(p.etcd, p.cfg, p.log.Facts(), nil)
	c = p.collector(1)
	until(t, "the cause is told", func() bool { return errors.Is(c.Ready(), errOfAnother) })
	if restarts := counted(t, c, "collect_restarts_total"); restarts > 0 {
		t.Errorf("tried again %v times, which cannot help", restarts)
	}
	next := p.rebuild(1)
	until(t, "the new generation is active", func() bool { return p.generations().Active == next && c.Ready() == nil })
	p.append(eventstest.Events("b", 0, 4)...)
	p.check(next)
	p.awaitOnly(next)
}

// A generation being built has entries of its own, which nobody sees before it is active, and touches no others.
func TestEntriesOfTheQuarantineBelongToAGeneration(t *testing.T) {
	p := newPipeline(t)
	bad, worse := eventstest.Event("a", 10), eventstest.Event("b", 10)
	fails := func(on ...events.Event) func(*Collector) {
		return func(c *Collector) {
			c.apply = func(h *projections.Host, ev *events.Event) projections.Effect {
				if slices.ContainsFunc(on, func(e events.Event) bool { return e.Sequence == ev.Sequence }) {
					panic("no")
				}
				return h.Apply(ev)
			}
		}
	}
	p.append(append(eventstest.Events("a", 0, 20), eventstest.Events("b", 0, 20)...)...)
	c := p.collector(1, fails(bad))
	until(t, "the old version is ready", func() bool { return c.Ready() == nil })
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
	until(t, "what the old version cannot fold is listed", func() bool { return list() == "a" })
	newer := p.collector(2, fails(worse), func(c *Collector) { c.cfg.RemovalGrace = time.Hour })
	until(t, "the new version is active", func() bool {
		return newer.Ready() == nil && p.generations().All[p.generations().Active].ModelVersion == 2
	})
	if got := list(); got != "b" {
		t.Errorf("the quarantine lists %q, want what the new version cannot fold", got)
	}
	if n, err := p.store.AskRetry(t.Context(), snapshot.RetryFilter{}); n != 1 || err != nil {
		t.Fatalf("asked for %d retries (%v)", n, err)
	}
	until(t, "a retry is answered", func() bool {
		entries, _, err := p.store.QuarantineList(t.Context(), snapshot.QuarantineFilter{Limit: 9})
		return err == nil && len(entries) == 1 && entries[0].Attempts == 2 && !entries[0].Asked
	})
	until(t, "the metric counts it", func() bool { return counted(t, newer, "collect_quarantine_entries") == 1 })
}

// A generation that is given up while it is built leaves nothing, and the active one alone.
func TestAGenerationThatIsGivenUpIsRemoved(t *testing.T) {
	p := newPipeline(t)
	p.append(eventstest.Events("a", 0, 100)...)
	c := p.collector(1)
	until(t, "it is ready", func() bool { return c.Ready() == nil })
	active := p.generations().Active
	g := p.rebuild(1)
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
	p.append(eventstest.Events("a", 100, 3)...)
	p.check(active)
}
