package live

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live/livetest"
)

func TestSplice(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		var sorted, gone, fresh, want []int
		for n := range 40 {
			switch r.IntN(4) {
			case 0:
				sorted, want = append(sorted, n), append(want, n)
			case 1:
				sorted, gone = append(sorted, n), append(gone, n)
			case 2:
				fresh, want = append(fresh, n), append(want, n)
			}
			if len(gone) > 0 && gone[len(gone)-1] == n && r.IntN(2) == 0 { // replaced by an equal one
				fresh, want = append(fresh, n), append(want, n)
			}
		}
		before := slices.Clone(sorted)
		if got := spliceSorted(sorted, gone, fresh, cmp.Compare[int]); !slices.Equal(got, want) {
			t.Fatalf("splice(%v, %v, %v) = %v, want %v", sorted, gone, fresh, got, want)
		}
		if !slices.Equal(sorted, before) {
			t.Fatal("splice changed its argument")
		}
	}
}

// A sorted list equals a set after any changes, small and large, and the lists before them stay as they were.
func TestSortedList(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var list, before sortedList[int]
	set := map[int]bool{}
	for range 300 {
		var gone, fresh []int
		span, share := 1+r.IntN(12_000), 1+r.IntN(40)
		for n := r.IntN(12_000); span > 0; n, span = n+1, span-1 {
			switch has := set[n]; {
			case r.IntN(40) >= share:
			case has:
				gone = append(gone, n)
				delete(set, n)
			default:
				fresh = append(fresh, n)
				set[n] = true
			}
		}
		was := slices.Collect(list.all())
		before, list = list, list.splice(gone, fresh, cmp.Compare[int])
		if !slices.Equal(slices.Collect(before.all()), was) {
			t.Fatal("a change of a list changed the list before")
		}
		want := slices.Sorted(maps.Keys(set))
		if got := slices.Collect(list.all()); !slices.Equal(got, want) || !slices.Equal(list.slice(), want) || list.length != len(want) {
			t.Fatalf("got %d elements (%d), want %d", len(got), list.length, len(want))
		}
		for range 20 {
			n := r.IntN(25_000)
			if got, ok := findIn(list, n, cmp.Compare[int]); ok != set[n] || ok && got != n {
				t.Fatalf("findIn(%d) = %d, %t; want %t", n, got, ok, set[n])
			}
		}
		for _, chunk := range list.chunks {
			if len(chunk) == 0 || len(chunk) > maxChunk {
				t.Fatalf("a chunk of %d elements, want 1 to %d", len(chunk), maxChunk)
			}
		}
	}
}

func TestFilterKey(t *testing.T) {
	key := func(f Filter) string {
		c, err := f.compile()
		if err != nil {
			t.Fatal(err)
		}
		return c.filterKey()
	}
	same := [][2]Filter{
		{{Hosts: []string{"a", "b", "a"}}, {Hosts: []string{"b", "a"}}},
		{{Hosts: []string{"a", "*"}}, {}},
	}
	for _, p := range same {
		if key(p[0]) != key(p[1]) {
			t.Errorf("%+v and %+v have different keys, want one", p[0], p[1])
		}
	}
	others := []Filter{{}, {Hosts: []string{"a"}}, {GPUs: []events.GPUID{"a"}}, {Metrics: []string{"a"}}, {Hosts: []string{"a", "b"}}, {Hosts: []string{`a"1"b`}}, {Hosts: []string{"a", "b", "c"}}}
	seen := map[string]Filter{}
	for _, f := range others {
		if g, ok := seen[key(f)]; ok {
			t.Errorf("%+v and %+v have one key", f, g)
		}
		seen[key(f)] = f
	}
}

func TestRingIsBounded(t *testing.T) {
	gpu := &projections.GPU{ID: "GPU-a", Host: "h", Latest: []projections.Latest{{Metric: "m"}}}
	for name, r := range map[string]ring{"number": {max: 3, maxBytes: 1 << 20}, "bytes": {max: 1000, maxBytes: 3 * (&change{entries: []*trackedGPU{newTracked(namedGPU{gpu: gpu}, 0)}}).estimateSize()}} {
		r.resetAt(10)
		for at := int64(11); at <= 20; at++ {
			r.appendChange(&change{streamPosition: streamPosition{at: events.Revision{Number: at}}, entries: []*trackedGPU{newTracked(namedGPU{gpu: gpu}, at)}})
		}
		for from := int64(5); from <= 22; from++ {
			got, ok := r.changesAfter(from)
			if want := max(0, 20-from); ok != (len(r.changes) > 0 && from >= 20-int64(len(r.changes))) || ok && int64(len(got)) != want {
				t.Errorf("%s: changesAfter(%d) returns %d changes, %v", name, from, len(got), ok)
			}
		}
		if n := len(r.changes); n > 3 || n == 0 || r.bytes > r.maxBytes {
			t.Errorf("%s: holds %d changes and %d bytes, want at most 3 and %d", name, n, r.bytes, r.maxBytes)
		}
	}
}

// A reader in latest mode that slept through more departures than are kept starts again instead of missing one.
func TestReaderBehindWhatIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		facts := livetest.Facts()
		v, fleet := newView(facts, "g", access.Everything()), livetest.NewFleet(facts)
		h, err := New(Config{}, livetest.New(facts), nil, facts, nil)
		if err != nil {
			t.Fatal(err)
		}
		at := int64(0)
		apply := func(s projections.Stored) {
			at++
			c := v.applyBatch(projections.Batch{At: events.Revision{Epoch: facts.Epoch, Cluster: facts.Cluster, Number: at}, Hosts: []projections.Stored{s}}, time.Now())
			if !v.state.isLoaded() {
				v.state.generationSwitches = []int64{0}
			}
			h.publishState(v.state, c, false)
			h.publishDueGroups(time.Now())
		}
		report := func() projections.Stored {
			var all []livetest.Reading
			for i := range 500 {
				all = append(all, livetest.Reading{Host: "h1", UUID: fmt.Sprintf("GPU-%03d", 1+i), Metric: "m", At: 1, Value: 1})
			}
			return fleet.Report(all...)
		}
		apply(report())
		sub, err := h.Subscribe(Options{Snapshot: true})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 { // one part, synced, nothing
			if _, err := sub.Poll(); err != nil {
				t.Fatal(err)
			}
		}
		for range 1 + maxDepartures/500 {
			apply(fleet.Remove("h1"))
			apply(report())
		}
		if n := len(v.state.departures); n > maxDepartures {
			t.Errorf("%d departures kept, want at most %d", n, maxDepartures)
		}
		time.Sleep(time.Second)
		h.publishDueGroups(time.Now())
		m, err := sub.Poll()
		if err != nil || m == nil || m.Kind != Reset || m.Reason != ResetSlow {
			t.Fatalf("got %+v, %v; want a reset for being slow", m, err)
		}
		if m, err = sub.Poll(); err != nil || m.Kind != Snapshot || len(m.Items) != 500 {
			t.Errorf("got %+v, %v; want the snapshot", m, err)
		}
	})
}

func TestMetricsAreRegisteredOnce(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	facts := livetest.Facts()
	h, err := New(Config{}, livetest.New(facts), nil, facts, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Metrics(reg); err != nil {
		t.Fatal(err)
	}
	if err := h.Metrics(reg); err == nil {
		t.Error("the same metrics were registered again, want an error")
	}
	families, err := reg.Gather()
	if err != nil || len(families) < 8 {
		t.Errorf("gathered %d metrics, %v", len(families), err)
	}
}

func TestConfig(t *testing.T) {
	facts := livetest.Facts()
	if _, err := New(Config{QueueBytes: -1}, livetest.New(facts), nil, facts, nil); err == nil {
		t.Error("a negative bound was taken")
	}
	h, err := New(Config{}, livetest.New(facts), nil, facts, nil)
	if err != nil || h.Heartbeat() != 5*time.Second {
		t.Errorf("heartbeat %v, %v; want 5s", h.Heartbeat(), err)
	}
}

// TestOffsetsOfAnotherLogCoverNothing: after a restore the stored offsets still belong to the earlier log; their
// numbers are no positions of this one.
func TestOffsetsOfAnotherLogCoverNothing(t *testing.T) {
	facts := events.Facts{Epoch: 2, Cluster: 7, Partitions: 2}
	offsets := func(epoch events.Epoch, number int64) map[events.Partition]projections.Offsets {
		at := events.Revision{Epoch: epoch, Cluster: 7, Number: number}
		o := projections.Offsets{Live: at, Series: at}
		return map[events.Partition]projections.Offsets{0: o, 1: o}
	}
	v := newView(facts, "g1", access.Everything())
	at := events.Revision{Epoch: 2, Cluster: 7, Number: 1500}
	v.applyBatch(projections.Batch{At: at, Offsets: offsets(1, 1000)}, time.Now())
	if got := v.state.Folded(); got.Number != 0 {
		t.Errorf("offsets of epoch 1 count as position %d of epoch %d, want 0", got.Number, got.Epoch)
	}
	if v.hasReached(offsets(2, 5)) {
		t.Error("offsets of epoch 1 count as having reached those of epoch 2")
	}
	if next := newView(facts, "g2", access.Everything()); !next.hasReached(v.offsets) {
		t.Error("a generation waits to reach offsets of a log that is gone")
	}
	v.applyBatch(projections.Batch{At: at, Offsets: offsets(2, 1000)}, time.Now())
	if got := v.state.Folded().Number; got != 1000 {
		t.Errorf("folded up to %d, want 1000", got)
	}
}
