package snapshot

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/projections"
)

// storeChunks stores n chunks of one event each, all in one window, and returns that window's host.
func (f *fixture) storeChunks(from, n int, guard clientv3.Cmp) (events.HostID, projections.Window) {
	host := hostsOf(0, 1)[0]
	for i := range n {
		f.saveCommit(0, f.foldEvents(int64(from+i+1), eventstest.Event(host, from+i)), guard)
	}
	return host, windowOf(eventstest.Event(host, from))
}

func windowOf(ev events.Event) projections.Window { return projections.WindowOf(ev.First()) }

// storedChunks returns the stored chunks of partition 0.
func (f *fixture) storedChunks() []StoredChunk {
	f.t.Helper()
	list, err := f.Chunks(f.t.Context(), generation, 0, 1<<62)
	if err != nil {
		f.t.Fatal(err)
	}
	return list
}

// mergeAll saves all merges of a window until there are none, and returns the number of rounds.
func (f *fixture) mergeAll(host events.HostID, w projections.Window, guard clientv3.Cmp) (saved int) {
	f.t.Helper()
	for {
		merges, err := f.Merges(f.t.Context(), generation, 0, host, w)
		if err != nil {
			f.t.Fatal(err)
		}
		if len(merges) == 0 {
			return saved
		}
		for _, m := range merges {
			f.saveCommit(0, Commit{Merges: []Merge{m}}, guard)
			saved++
		}
	}
}

// checkHistory compares every reader's view of a window with the folded events, byte for byte.
func (f *fixture) checkHistory(host events.HostID, w projections.Window) {
	f.t.Helper()
	all := f.all[host][w]
	want := projections.AppendHostWindow(nil, &all)
	got, err := f.Series(f.t.Context(), generation, 0, host, []projections.Window{w})
	if err != nil || len(got) != 1 || !bytes.Equal(projections.AppendHostWindow(nil, &got[0].Series), want) {
		f.t.Errorf("series of %d windows differ from the folded ones (%v)", len(got), err)
	}
	n := 0
	for h, err := range f.HistoryAt(f.t.Context(), generation, 0, 0) {
		if n++; err != nil || !bytes.Equal(projections.AppendHostWindow(nil, &h.Series), want) {
			f.t.Errorf("history of %s differs from the folded one (%v)", h.Host, err)
		}
	}
	if n != 1 {
		f.t.Errorf("got history of %d windows, want one", n)
	}
}

func TestManyChunksBecomeOne(t *testing.T) {
	for _, n := range []int{1, 2, 62, 63, 130} {
		f := newFixture(t)
		guard := f.claimPartition(0)
		host, w := f.storeChunks(0, n, guard)
		before, err := f.LoadPartition(t.Context(), generation, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(f.storedChunks()); got != n {
			t.Fatalf("got %d chunks before the merge, want %d", got, n)
		}
		f.mergeAll(host, w, guard)
		if got := len(f.storedChunks()); got != 1 {
			t.Errorf("%d chunks became %d, want one", n, got)
		}
		f.checkHistory(host, w)
		after, err := f.LoadPartition(t.Context(), generation, 0)
		if d := diffOf(after, before); d != "" || err != nil {
			t.Errorf("a merge changed models or offsets (%v; -want +got):\n%s", err, d)
		}
		if again := f.mergeAll(host, w, guard); again > 0 {
			t.Errorf("merged again %d times, want none", again)
		}
	}
}

// A few late chunks do not cause a large one to be written again; they become one beside it.
func TestLateChunksAreMergedAmongThemselves(t *testing.T) {
	f := newFixture(t)
	guard := f.claimPartition(0)
	host := hostsOf(0, 1)[0]
	f.saveCommit(0, f.foldEvents(1, eventstest.Events(host, 0, 1000)...), guard)
	w := windowOf(eventstest.Event(host, 0))
	f.mergeAll(host, w, guard)
	if got := len(f.storedChunks()); got != 1 {
		t.Fatalf("got %d chunks, want one", got)
	}
	large := f.storedChunks()[0]
	f.storeChunks(1000, 8, guard)
	f.mergeAll(host, w, guard)
	if left := f.storedChunks(); len(left) != 2 || !slices.Contains(left, large) {
		t.Errorf("got %v, want %v as it was and one more", left, large)
	}
	f.checkHistory(host, w)
}

// Chunks whose records another chunk holds are removed; the other one stays.
func TestChunksHeldByAnotherGo(t *testing.T) {
	f := newFixture(t)
	guard := f.claimPartition(0)
	host, w := f.storeChunks(0, 3, guard)
	all := f.all[host][w]
	f.saveCommit(0, Commit{Chunks: []Chunk{{Host: host, Window: w, Series: all}}}, guard)
	if n := f.mergeAll(host, w, guard); n != 1 || len(f.storedChunks()) != 1 {
		t.Errorf("after %d merges %d chunks are left, want one after one", n, len(f.storedChunks()))
	}
	f.checkHistory(host, w)
}

// Windows that are large already, or become so, stay in pieces of bounded size.
func TestLargeChunksStay(t *testing.T) {
	f := newFixture(t)
	guard := f.claimPartition(0)
	host := hostsOf(0, 1)[0]
	w := windowOf(eventstest.Event(host, 0))
	for i := range 6 { // of about 64 KiB each
		f.saveCommit(0, f.foldEvents(int64(i+1), eventstest.BigEvent(host, i, 48<<10)), guard)
	}
	f.mergeAll(host, w, guard)
	resp, err := f.client.Get(t.Context(), f.keys.windowPrefix(generation, 0, w, host), clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range resp.Kvs {
		if len(kv.Value) > maxBytes {
			t.Errorf("a chunk takes %d bytes", len(kv.Value))
		}
	}
	if n := len(resp.Kvs); n < 2 || n > 6 {
		t.Errorf("got %d chunks, want two to six", n)
	}
	f.checkHistory(host, w)
}

// A merge whose claim is lost, whose chunks were removed meanwhile, or that comes twice does nothing.
func TestMergeThatCameTooLate(t *testing.T) {
	f := newFixture(t)
	guard := f.claimPartition(0)
	host, w := f.storeChunks(0, 5, guard)
	merges, err := f.Merges(t.Context(), generation, 0, host, w)
	if err != nil || len(merges) != 1 || merges[0].Replaced != 5 || merges[0].Made != 1 {
		t.Fatalf("got %+v (%v), want one merge of five chunks", merges, err)
	}
	before := f.storedChunks()
	newer := f.claimPartition(0)
	if err := f.Save(t.Context(), generation, 0, Commit{Merges: merges}, guard); !errors.Is(err, ErrFenced) {
		t.Errorf("got %v, want ErrFenced", err)
	}
	if got := f.storedChunks(); !slices.Equal(got, before) {
		t.Errorf("a fenced merge left %v, want %v", got, before)
	}
	if n, err := f.RemoveChunks(t.Context(), before[:1], nil, newer); n != 1 || err != nil {
		t.Fatalf("removed %d chunks: %v", n, err)
	}
	f.saveCommit(0, Commit{Merges: merges}, newer)
	if got := f.storedChunks(); !slices.Equal(got, before[1:]) {
		t.Errorf("a merge of a chunk that is gone left %v, want %v", got, before[1:])
	}
	merges, err = f.Merges(t.Context(), generation, 0, host, w)
	if err != nil {
		t.Fatal(err)
	}
	f.saveCommit(0, Commit{Merges: merges}, newer)
	once := f.storedChunks()
	f.saveCommit(0, Commit{Merges: merges}, newer)
	if got := f.storedChunks(); len(once) != 1 || !slices.Equal(got, once) {
		t.Errorf("got %v, and %v after the same merge again; want one chunk, the same", once, got)
	}
}

// Whether a request or an answer is lost, history stays whole and the end is the same.
func TestMergeSurvivesLostAnswers(t *testing.T) {
	for _, after := range []bool{false, true} {
		f := newFixture(t)
		guard := f.claimPartition(0)
		host, w := f.storeChunks(0, 130, guard)
		kv := &eventstest.KV{KV: f.client}
		calls := 0
		lose := func(call string) error {
			if calls++; call == "txn" && calls%2 == 1 {
				return status.Error(codes.Unavailable, "lost")
			}
			return nil
		}
		if kv.Before = lose; after {
			kv.Before, kv.After = nil, lose
		}
		f.kv = kv
		f.mergeAll(host, w, guard)
		f.kv = f.client
		if got := len(f.storedChunks()); got != 1 {
			t.Errorf("lost after etcd had it: %v: got %d chunks, want one", after, got)
		}
		f.checkHistory(host, w)
	}
}
