package collect

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/events/wait"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

// compactSoon looks for sealed windows all the time; each event is committed in a chunk of its own.
func compactSoon(c *Collector) { c.cfg.compactionInterval, c.cfg.BufferSize = 5*time.Millisecond, 1 }

// withoutMerges commits likewise and merges nothing.
func withoutMerges(c *Collector) { compactSoon(c); c.merger = nil }

// scrapes returns events of a host, one every 30 s.
func scrapes(host events.HostID, from, n int) []events.Event {
	var evs []events.Event
	for i := from; i < from+n; i++ {
		evs = append(evs, eventstest.Event(host, 30*i))
	}
	return evs
}

// chunks counts the chunks of each window of the active generation.
func (p *pipeline) chunks() map[windowKey]int {
	p.t.Helper()
	n := map[windowKey]int{}
	for part := range events.Partition(p.log.Facts().Partitions) {
		list, err := p.store.Chunks(p.t.Context(), p.generations().Active, part, math.MaxInt64)
		if err != nil {
			p.t.Fatal(err)
		}
		for _, c := range list {
			n[windowKey{c.Host, c.Window}]++
		}
	}
	return n
}

// merged reports whether every window that is sealed at last has one chunk only.
func (p *pipeline) merged(last events.Timestamp) bool {
	for key, n := range p.chunks() {
		if n > 1 && last-(key.window+1).Start() >= events.Timestamp(defaultLateness) {
			return false
		}
	}
	return true
}

// A steady stream makes a chunk per scrape. The chunks of a past hour become one, also by a collector that starts
// later.
func TestChunksOfAnHourBecomeOne(t *testing.T) {
	t.Parallel()
	hosts := []events.HostID{"a", "b", "c"}
	const n = 4 * 120
	last := scrapes("a", n-1, 1)[0]
	for _, restarted := range []bool{false, true} {
		p := newPipeline(t)
		for _, h := range hosts {
			p.appendEvents(scrapes(h, 0, n)...)
		}
		if restarted {
			c := p.startCollector(snapshot.ModelVersion, withoutMerges)
			awaitHead(t, p.log, p.store)
			if got := len(p.chunks()); got < 4*len(hosts) || p.merged(last.First()) {
				t.Fatalf("got %v, want many chunks in each window", p.chunks())
			}
			p.checkGeneration(p.generations().Active)
			c.stop()
		}
		p.startCollector(snapshot.ModelVersion, compactSoon)
		awaitHead(t, p.log, p.store)
		awaitCondition(t, "sealed windows are merged", func() bool { return p.merged(last.First()) })
		open := 0
		for _, n := range p.chunks() {
			if n > 1 {
				open++
			}
		}
		if open == 0 || open > 2*len(hosts) {
			t.Errorf("restarted %v: %d windows have several chunks, want those that are not sealed, at most two of a host: %v", restarted, open, p.chunks())
		}
		p.checkGeneration(p.generations().Active)
	}
}

// Late records of an hour that was merged are there at once; their chunks are merged when there are many.
func TestLateChunksOfAMergedHour(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	p.appendEvents(scrapes("a", 0, 300)...)
	p.startCollector(snapshot.ModelVersion, compactSoon)
	awaitHead(t, p.log, p.store)
	w := windowKey{"a", projections.WindowOf(scrapeAt(0))}
	awaitCondition(t, "the first hour is one chunk", func() bool { return p.chunks()[w] == 1 })
	for i := range lateChunks - 1 {
		p.appendEvents(eventstest.Event("a", 30*i+1))
		awaitHead(t, p.log, p.store)
	}
	wait.Sleep(t.Context(), 20*5*time.Millisecond) // many checks took place
	if got := p.chunks()[w]; got != lateChunks {
		t.Errorf("with %d late chunks there are %d, want one more", lateChunks-1, got)
	}
	p.checkGeneration(p.generations().Active)
	p.appendEvents(eventstest.Event("a", 7))
	awaitCondition(t, "late chunks are merged", func() bool { return p.chunks()[w] <= 2 })
	p.checkGeneration(p.generations().Active)
}

func scrapeAt(i int) events.Timestamp { ev := scrapes("a", i, 1)[0]; return ev.First() }

// saves is a store whose Saves of merges may fail.
type saves struct {
	projectionStore
	merging func() (before, after error)
}

func (s saves) Save(ctx context.Context, g projections.Generation, p events.Partition, c snapshot.Commit, guards ...clientv3.Cmp) error {
	if len(c.Merges) == 0 {
		return s.projectionStore.Save(ctx, g, p, c, guards...)
	}
	before, after := s.merging()
	if before != nil {
		return before
	}
	if err := s.projectionStore.Save(ctx, g, p, c, guards...); err != nil {
		return err
	}
	return after
}

// Collectors are killed before each merge and after it, while the stream continues; the next one finishes the work.
func TestKilledWhileMerging(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	hosts := []events.HostID{"a", "b", "c"}
	for _, h := range hosts {
		p.appendEvents(scrapes(h, 0, 300)...)
	}
	first := p.startCollector(snapshot.ModelVersion, withoutMerges)
	awaitHead(t, p.log, p.store)
	first.stop()
	for round := range 2 {
		killed := make(chan struct{})
		var once atomic.Bool
		c := p.startCollector(snapshot.ModelVersion, compactSoon, func(of *Collector) {
			of.store = saves{of.store, func() (before, after error) {
				if !once.Swap(true) {
					close(killed)
				}
				if round%2 == 0 {
					return errKilled, nil
				}
				return nil, errKilled
			}}
		})
		<-killed
		c.kill()
		for _, h := range hosts {
			p.appendEvents(scrapes(h, 300+round, 1)...)
		}
	}
	p.startCollector(snapshot.ModelVersion, compactSoon)
	awaitHead(t, p.log, p.store)
	awaitCondition(t, "sealed windows are merged", func() bool { return p.merged(scrapeAt(301)) })
	p.checkGeneration(p.generations().Active)
}

var errKilled = errors.New("killed here")

// Only the records decide whether a window is sealed.
func TestIsSealed(t *testing.T) {
	s := newState(Config{}.withDefaults(), snapshot.Partition{}, func() int64 { return 0 })
	fold := func(i int) {
		ev := eventstest.Event("a", i)
		if _, _, failed := s.applyEvent(&ev, 1, (*projections.Host).ApplyWithin); failed != nil {
			t.Fatal(failed)
		}
	}
	first := eventstest.Event("a", 0)
	key := windowKey{"a", projections.WindowOf(first.First())}
	end := int((key.window+1).Start()-first.First()) / int(time.Second)
	for _, c := range []struct {
		second int
		want   bool
	}{{0, false}, {end, false}, {end + 899, false}, {end + 900, true}, {3, true}} {
		fold(c.second)
		if got, _ := s.isSealed(key); got != c.want {
			t.Errorf("with a record of second %d, %d after the hour: sealed is %v, want %v", c.second, c.second-end, got, c.want)
		}
	}
	fresh := (&projections.Host{}).Apply(&first).Fresh
	s.addPending("a", key.window, fresh[key.window], 1)
	if got, _ := s.isSealed(key); got {
		t.Error("sealed although records of it wait for their chunk")
	}
}

func TestDueWindowsAreReturnedOnce(t *testing.T) {
	s := newCompaction()
	yes := func(windowKey) (bool, bool) { return true, false }
	chunk := func(host events.HostID, w projections.Window) snapshot.Chunk {
		return snapshot.Chunk{Host: host, Window: w}
	}
	s.countStored([]snapshot.StoredChunk{{Host: "a", Window: -1}, {Host: "a", Window: -1}, {Host: "a", Window: 63}, {Host: "b", Window: -70}})
	s.countCommitted([]snapshot.Chunk{chunk("b", -70), chunk("b", 64)})
	if got := s.dueWindows(func(windowKey) (bool, bool) { return false, false }); len(got) > 0 {
		t.Errorf("took %v that are not sealed", got)
	}
	if got, want := s.dueWindows(yes), []windowKey{{"b", -70}, {"a", -1}}; !slices.Equal(got, want) {
		t.Errorf("took %v, want %v: those with two chunks, the oldest first", got, want)
	}
	for i := range 2 * lateChunks {
		s.countCommitted([]snapshot.Chunk{chunk("a", -1)})
		got := s.dueWindows(yes)
		if want := i%lateChunks == lateChunks-1; (len(got) == 1) != want {
			t.Errorf("with %d late chunks took %v", i+1, got)
		}
	}
	s.countCommitted([]snapshot.Chunk{chunk("c", 5), chunk("c", 5)})
	if got := s.dueWindows(func(windowKey) (bool, bool) { return true, true }); len(got) > 0 {
		t.Errorf("took %v that is about to leave", got)
	}
}

// Merged chunks are newer than their events, also in an idle partition: they leave for the archive like others.
func TestMergedChunksLeaveForTheArchive(t *testing.T) {
	t.Parallel()
	p := newArchived(t, archiveDir(t))
	p.appendEvents(scrapes("a", 0, 300)...)
	c := p.startCollector(snapshot.ModelVersion, compactSoon)
	awaitHead(t, p.log, p.store)
	awaitCondition(t, "sealed windows are merged", func() bool { return p.merged(scrapeAt(299)) })
	p.checkGeneration(p.generations().Active)
	c.stop()
	p.collect()
	awaitCondition(t, "all history has left etcd", func() bool { return len(p.chunks()) == 0 })
	head, err := p.log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	records := 0
	for ev, err := range p.reader.Read(t.Context(), events.PartitionOf("a", p.log.Facts().Partitions), events.Revision{}, head) {
		if err != nil {
			t.Fatal(err)
		}
		records += ev.Records()
	}
	if records != 600 {
		t.Errorf("%d records are left in log and archive, want 600", records)
	}
}
