package collect

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

// listed returns the quarantine's entries by key, as reason and attempts.
func (p *pipeline) listed() map[string]string {
	p.t.Helper()
	list, _, err := p.store.QuarantineList(p.t.Context(), snapshot.QuarantineFilter{Limit: 100})
	if err != nil {
		p.t.Fatal(err)
	}
	all := map[string]string{}
	for _, q := range list {
		key := q.Key
		for n := 2; all[key] != ""; n++ {
			key = fmt.Sprint(q.Key, "#", n)
		}
		if all[key] = fmt.Sprintf("%s %d", q.Reason, q.Attempts); q.RetryRequested {
			all[key] += " asked"
		}
	}
	return all
}

func (p *pipeline) awaitListed(want map[string]string) {
	p.t.Helper()
	awaitCondition(p.t, fmt.Sprintf("the quarantine becomes %v", want), func() bool { return maps.Equal(p.listed(), want) })
}

func (p *pipeline) requestRetry(want int) {
	p.t.Helper()
	if n, err := p.store.RequestRetry(p.t.Context(), snapshot.RetryFilter{}); n != want || err != nil {
		p.t.Fatalf("asking for a retry: %d events (%v), want %d", n, err, want)
	}
}

// keyOf returns the key of an event in the log.
func (p *pipeline) keyOf(ev events.Event) string {
	below := events.EventKey("", p.log.Facts().Partitions, &ev).String()
	return p.cfg.Prefix("queue") + strings.TrimPrefix(below, events.QueuePrefix(""))
}

func (p *pipeline) put(key, value string) {
	p.t.Helper()
	if _, err := p.etcd.Put(p.t.Context(), key, value); err != nil {
		p.t.Fatal(err)
	}
}

// Events of every kind that cannot be folded leave etcd for the archive. Their entries stay, a retry reads the archive,
// and a rebuild meets them again.
func TestQuarantinedEventsLeaveForTheArchiveAndAreRetriedFromThere(t *testing.T) {
	t.Parallel()
	p := newArchived(t, archiveDir(t))
	bad, good := eventstest.Event("a", 10), eventstest.Events("a", 0, 10)
	var mended atomic.Bool
	p.appendEvents(append(good, bad)...)
	unfoldable, overwritten := p.keyOf(bad), p.keyOf(good[3])
	undecodable := p.cfg.Prefix("queue", events.PartitionOf("a", p.log.Facts().Partitions).String()) + "nonsense"
	p.put(undecodable, "\x07garbage")
	p.put(overwritten, "\x07garbage")
	p.put(overwritten, "oops") // several values, of which the log has the last
	c := p.collect(func(c *Collector) { c.apply = panicsOn(bad, &mended) })
	want := map[string]string{unfoldable: "unfoldable 1", undecodable: "undecodable 1", overwritten: "overwritten 1"}
	p.awaitListed(want)
	p.awaitEmpty()
	p.awaitListed(want)
	awaitCondition(t, "the collector is degraded", func() bool {
		err := c.Degraded()
		return err != nil && strings.HasPrefix(err.Error(), "quarantined events: 3; their records, as far as they are known: 2;")
	})

	p.requestRetry(3)
	p.awaitListed(map[string]string{unfoldable: "unfoldable 2", undecodable: "undecodable 2", overwritten: "overwritten 2"})
	mended.Store(true)
	p.requestRetry(3)
	left := map[string]string{undecodable: "undecodable 3", overwritten: "overwritten 3"}
	p.awaitListed(left)
	p.checkSame(slices.Concat(good[:3], good[4:], []events.Event{bad}))

	next := p.rebuild(snapshot.ModelVersion)
	awaitCondition(t, "the new generation is active", func() bool { return p.generations().Active == next })
	p.awaitListed(map[string]string{undecodable: "undecodable 1", overwritten: "overwritten 1"})

	p.appendEvents(good[3]) // the repair: its file again, since its key is free
	p.awaitListed(map[string]string{undecodable: "undecodable 1"})
	p.awaitEmpty()
	p.checkSame(append(good, bad))
	awaitCondition(t, "one event is left", func() bool {
		err := c.Degraded()
		return err != nil && strings.HasPrefix(err.Error(), "quarantined events: 1; their records, as far as they are known: 0;")
	})
	c.stop()
	if err := c.Degraded(); err != nil {
		t.Errorf("a collector without partitions is degraded: %v", err)
	}
}

// The same file, uploaded again after its event has left etcd, cannot be folded either. A merge of the archive finds the
// second one's records in the first; a retry ends both entries.
func TestARepeatedQuarantinedEventIsRetriedAfterAMerge(t *testing.T) {
	t.Parallel()
	p := newArchived(t, archiveDir(t))
	bad := eventstest.Event("a", 10)
	var mended atomic.Bool
	p.collect(func(c *Collector) { c.apply = panicsOn(bad, &mended) })
	key := p.keyOf(bad)
	p.appendEvents(bad)
	p.awaitListed(map[string]string{key: "unfoldable 1"})
	p.awaitEmpty()
	p.appendEvents(bad)
	both := map[string]string{key: "unfoldable 1", key + "#2": "unfoldable 1"}
	p.awaitListed(both)
	p.awaitEmpty()
	part := events.PartitionOf("a", p.log.Facts().Partitions)
	var evs []events.Event
	for i := 0; len(p.events()) != 1+len(evs); i++ { // others come until the two are merged
		ev := eventstest.Event("a", 1000+i)
		p.appendEvents(ev)
		evs = append(evs, ev)
		awaitHead(t, p.log, p.store)
		if i > 200 {
			m, _ := p.manifest.Load(t.Context(), part)
			t.Fatalf("the archive's %d entries were not merged", len(m.Entries))
		}
	}
	mended.Store(true)
	p.requestRetry(2)
	p.awaitListed(map[string]string{})
	p.checkSame(append(evs, bad))
}

// A lost object of the archive costs the events in it, and no other is left untried.
func TestALostObjectCostsItsOwnEventsOnly(t *testing.T) {
	t.Parallel()
	p := newArchived(t, archiveDir(t))
	p.mergeEntries = 1000 // two entries would be merged before the collector stops
	first, second := eventstest.Event("a", 10), eventstest.Event("a", 500)
	var mended atomic.Bool
	c := p.collect(func(c *Collector) {
		c.apply = func(h *projections.Host, ev *events.Event, b projections.Bounds) projections.Effect {
			if ev.Sequence == second.Sequence {
				return panicsOn(second, &mended)(h, ev, b)
			}
			return panicsOn(first, &mended)(h, ev, b)
		}
	})
	one, two := p.keyOf(first), p.keyOf(second)
	p.appendEvents(first)
	p.awaitListed(map[string]string{one: "unfoldable 1"})
	p.awaitEmpty()
	p.appendEvents(second)
	p.awaitListed(map[string]string{one: "unfoldable 1", two: "unfoldable 1"})
	p.awaitEmpty()
	c.stop()
	m, err := p.manifest.Load(t.Context(), events.PartitionOf("a", p.log.Facts().Partitions))
	if err != nil || len(m.Entries) < 2 {
		t.Fatalf("the archive has %d entries (%v), want two", len(m.Entries), err)
	}
	object, found := m.Entries[0].Object(archive.Records)
	if !found {
		t.Fatal("the first entry has no records")
	}
	if err := p.cold.Remove(t.Context(), object.Name); err != nil {
		t.Fatal(err)
	}
	mended.Store(true)
	p.collect()
	p.requestRetry(2)
	p.awaitListed(map[string]string{one: "missing 2"})
	for _, err := range p.reader.ReadAt(t.Context(), events.PartitionOf("a", p.log.Facts().Partitions), []int64{m.Entries[0].First.Number}) {
		if !errors.Is(err, archive.ErrMissing) {
			t.Errorf("reading the lost event: %v, want ErrMissing", err)
		}
	}
}
