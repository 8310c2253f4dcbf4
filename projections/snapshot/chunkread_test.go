package snapshot

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/projections"
)

// windowsOf returns windows, from the first to the last of these, of a host of partition 0.
func windowsOf(host events.HostID, windows ...projections.Window) projections.ChunkQuery {
	return projections.ChunkQuery{
		Of:      []projections.HostWindows{{Host: host, First: windows[0], Last: windows[len(windows)-1]}},
		HotFrom: func(events.Partition) projections.Window { return 0 },
	}
}

func between(first, last projections.Window) (all []projections.Window) {
	for w := first; w <= last; w++ {
		all = append(all, w)
	}
	return all
}

func keepAll(events.Entity, string) bool { return true }

// TestListedChunksAreTheSeries lists and reads chunks of many hosts and windows, with any first window that is taken for wholly
// in etcd, and compares them with Series.
func TestListedChunksAreTheSeries(t *testing.T) {
	f := newFixture(t)
	f.KeepChunksUpTo(1 << 20)
	guards := map[events.Partition]clientv3.Cmp{0: f.claimPartition(0), 1: f.claimPartition(1)}
	var of []projections.HostWindows
	var windows []projections.Window
	number := int64(1)
	for p, guard := range guards {
		for _, host := range hostsOf(p, 3) {
			for _, i := range []int{0, 10, 3600, 20, 7300, 40_000} {
				number++
				f.saveCommit(p, f.foldEvents(number, eventstest.Event(host, i)), guard)
			}
			windows = slices.Sorted(maps.Keys(f.all[host]))
			of = append(of, projections.HostWindows{Host: host, Partition: p, First: windows[0], Last: windows[len(windows)-1]})
		}
	}
	for _, hotFrom := range []projections.Window{0, windows[1], windows[len(windows)-1] + 1} {
		for _, some := range [][]projections.HostWindows{of[:1], of[2:4], of, {{Host: of[1].Host, Partition: of[1].Partition, First: windows[1], Last: windows[1]}}, windowsOf("nobody", windows...).Of} {
			listed, err := f.ListChunks(t.Context(), generation, projections.ChunkQuery{
				Of: some, HotFrom: func(events.Partition) projections.Window { return hotFrom }, Most: len(some) > 2,
			})
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // from etcd, then from memory
				for _, h := range some {
					got, err := f.ReadChunks(t.Context(), listed.Chunks[h.Host], keepAll)
					if err != nil {
						t.Fatal(err)
					}
					want, err := f.Series(t.Context(), generation, h.Partition, h.Host, between(h.First, h.Last))
					if err != nil {
						t.Fatal(err)
					}
					if len(got)+len(want) == 0 {
						continue // nobody
					}
					if d := diffOf(got, want); d != "" {
						t.Errorf("windows from %d on are in etcd, %s differs (-want +got):\n%s", hotFrom, h.Host, d)
					}
				}
			}
		}
	}
	if s := f.ChunkCacheStats(); s.Hits == 0 || s.Bytes == 0 {
		t.Errorf("the cache was not used: %+v", s)
	}
}

func TestAColumnOfAChunkIsReadAlone(t *testing.T) {
	f := newFixture(t)
	host := hostsOf(0, 1)[0]
	f.saveCommit(0, f.foldEvents(1, eventstest.Event(host, 1)), f.claimPartition(0))
	windows := slices.Sorted(maps.Keys(f.all[host]))
	listed, err := f.ListChunks(t.Context(), generation, windowsOf(host, windows...))
	if err != nil {
		t.Fatal(err)
	}
	whole := f.all[host][windows[0]]
	metric := whole.Columns[0].Metric
	got, err := f.ReadChunks(t.Context(), listed.Chunks[host], func(_ events.Entity, name string) bool { return name == metric })
	if err != nil {
		t.Fatal(err)
	}
	var want []projections.Column
	for _, c := range whole.Columns {
		if c.Metric == metric {
			want = append(want, c)
		}
	}
	if d := diffOf(got, []projections.WindowSeries{{Window: windows[0], Series: whole.With(want)}}); d != "" {
		t.Errorf("one metric differs (-want +got):\n%s", d)
	}
	none, err := f.ReadChunks(t.Context(), listed.Chunks[host], func(events.Entity, string) bool { return false })
	if err != nil || len(none) != 1 || len(none[0].Series.Columns) != 0 {
		t.Errorf("no column: %d windows, %v; want the window without columns", len(none), err)
	}
}

func TestAChunkThatMovedIsNotMissing(t *testing.T) {
	f := newFixture(t)
	host, guard := hostsOf(0, 1)[0], f.claimPartition(0)
	f.saveCommit(0, f.foldEvents(1, eventstest.Event(host, 1)), guard)
	windows := slices.Sorted(maps.Keys(f.all[host]))
	listed, err := f.ListChunks(t.Context(), generation, windowsOf(host, windows...))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.kv.Delete(t.Context(), listed.Chunks[host][0].Keys[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := f.ReadChunks(t.Context(), listed.Chunks[host], keepAll); !errors.Is(err, ErrChunkGone) {
		t.Errorf("got %v, want ErrChunkGone", err)
	}
}

// TestMoreChunksThanOneAnswerHolds lists a window of more chunks than maxListed.
func TestMoreChunksThanOneAnswerHolds(t *testing.T) {
	f := newFixture(t)
	host, window := hostsOf(0, 1)[0], projections.Window(480_000)
	want := maxListed + 10
	for some := range slices.Chunk(slices.Collect(seq(want)), maxRanges) {
		var ops []clientv3.Op
		for _, i := range some {
			ops = append(ops, clientv3.OpPut(f.keys.windowPrefix(generation, 0, window, host)+fmt.Sprintf("%011x-%032x", i, i), "x"))
		}
		if _, err := f.kv.Txn(t.Context()).Then(ops...).Commit(); err != nil {
			t.Fatal(err)
		}
	}
	listed, err := f.ListChunks(t.Context(), generation, windowsOf(host, window))
	if err != nil || len(listed.Chunks[host]) != 1 || len(listed.Chunks[host][0].Keys) != want || !slices.IsSorted(listed.Chunks[host][0].Keys) {
		t.Errorf("%d windows, %v; want one of %d chunks", len(listed.Chunks[host]), err, want)
	}
}

func seq(n int) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}
