package snapshot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/cache"
	"telemetry-pipeline/events/etcd"
	"telemetry-pipeline/projections"
)

// ErrChunkGone reports a chunk that was there when it was listed: it is merged with others or has left for the archive since. List
// the chunks again, and then the archive.
var ErrChunkGone = errors.New("a chunk of history has moved since it was listed")

// KeepChunksUpTo makes the store keep the chunks that ReadChunks reads, up to a number of bytes. Call it before the first read.
func (s *Store) KeepChunksUpTo(bytes int64) {
	s.chunks = cache.New[string](bytes, (*projections.StoredWindow).Bytes)
}

// ChunkCacheStats returns the counts of the cache of KeepChunksUpTo.
func (s *Store) ChunkCacheStats() cache.Stats { return s.chunks.Stats() }

// ListChunks returns the chunks of windows, linearizably. Where few others are expected, it lists a range of all hosts and windows of a
// partition, else one of each window of a host: etcd reads the values of all keys that it lists. A generation under removal is projections.ErrRemoved, since windows that are
// gone would look like windows without records.
func (s *Store) ListChunks(ctx context.Context, g projections.Generation, q projections.ChunkQuery) (projections.ChunkList, error) {
	l := chunkLister{store: s, generation: g, wanted: make(map[events.HostID]projections.HostWindows, len(q.Of)), found: projections.ChunkList{
		Chunks: make(map[events.HostID][]projections.WindowChunks), HotFrom: make(map[events.Partition]projections.Window),
	}}
	var ranges []etcd.Range
	for _, part := range l.byPartition(q.Of) {
		ranges = append(ranges, l.rangesOf(part, q.HotFrom(part[0].Partition), q.Most)...)
	}
	for some := range slices.Chunk(ranges, maxRanges) {
		if err := l.listRanges(ctx, some); err != nil {
			return projections.ChunkList{}, fmt.Errorf("listing the history of %d hosts: %w", len(q.Of), err)
		}
	}
	for _, all := range l.found.Chunks {
		slices.SortFunc(all, func(a, b projections.WindowChunks) int { return cmp.Compare(a.Window, b.Window) })
	}
	return l.found, nil
}

// chunkLister lists chunks.
type chunkLister struct {
	store      *Store
	generation projections.Generation
	partitions []events.Partition
	wanted     map[events.HostID]projections.HostWindows
	found      projections.ChunkList
}

// byPartition notes the wanted windows and returns them by partition.
func (l *chunkLister) byPartition(of []projections.HostWindows) [][]projections.HostWindows {
	index := make(map[events.Partition]int)
	var all [][]projections.HostWindows
	for _, h := range of {
		if h.First > h.Last {
			continue
		}
		l.wanted[h.Host] = h
		i, known := index[h.Partition]
		if !known {
			i = len(all)
			index[h.Partition], all, l.partitions = i, append(all, nil), append(l.partitions, h.Partition)
		}
		all[i] = append(all[i], h)
	}
	return all
}

// rangesOf returns the ranges of keys that hold the wanted chunks of one partition.
func (l *chunkLister) rangesOf(hosts []projections.HostWindows, hotFrom projections.Window, most bool) []etcd.Range {
	p := hosts[0].Partition
	first, last := hosts[0].First, hosts[0].Last
	for _, h := range hosts {
		first, last = min(first, h.First), max(last, h.Last)
	}
	if most {
		return []etcd.Range{l.windowsRange(p, first, last)}
	}
	var all []etcd.Range
	if first < hotFrom {
		all = append(all, l.windowsRange(p, first, min(last, hotFrom-1)))
	}
	for _, h := range hosts {
		for w := max(h.First, hotFrom); w <= h.Last; w++ {
			prefix := l.store.keys.windowPrefix(l.generation, p, w, h.Host)
			all = append(all, etcd.Range{From: prefix, End: prefixEnd(prefix)})
		}
	}
	return all
}

// windowsRange returns the range of the chunks of all hosts of a partition in windows, both ends included.
func (l *chunkLister) windowsRange(p events.Partition, first, last projections.Window) etcd.Range {
	prefix := l.store.keys.partitionPrefix(l.generation, kindSeries, p)
	return etcd.Range{From: prefix + windowName(first) + "/", End: prefix + windowName(last) + "0"}
}

// maxListed is the number of keys that one range returns at a time.
const maxListed = 5000

// listRanges lists up to maxRanges ranges, all at one revision, so that a merge of chunks is seen whole or not at all.
func (l *chunkLister) listRanges(ctx context.Context, ranges []etcd.Range) error {
	s, revision := l.store, int64(0)
	var pages [][]*mvccpb.KeyValue
	for len(ranges) > 0 {
		ops := make([]clientv3.Op, len(ranges), len(ranges)+1)
		for i, r := range ranges {
			ops[i] = clientv3.OpGet(r.From, clientv3.WithRange(r.End), clientv3.WithKeysOnly(), clientv3.WithLimit(maxListed), clientv3.WithRev(revision))
		}
		ops = append(ops, clientv3.OpGet(s.keys.offsetsPrefix(l.generation), clientv3.WithPrefix(), clientv3.WithRev(revision)))
		resp, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) {
			return s.kv.Txn(ctx).Then(ops...).Commit()
		})
		if errors.Is(err, rpctypes.ErrCompacted) {
			return ErrChunkGone
		}
		if err != nil {
			return err
		}
		if err := l.addOffsets(ctx, resp.Responses[len(ranges)].GetResponseRange().Kvs); err != nil {
			return err
		}
		if revision == 0 {
			revision = resp.Header.Revision
		}
		var rest []etcd.Range
		for i, r := range ranges {
			page := resp.Responses[i].GetResponseRange()
			pages = append(pages, page.Kvs)
			if page.More {
				rest = append(rest, etcd.Range{From: string(page.Kvs[len(page.Kvs)-1].Key) + "\x00", End: r.End})
			}
		}
		ranges = rest
	}
	for _, kvs := range pages {
		if err := l.addChunks(kvs); err != nil {
			return err
		}
	}
	return nil
}

// addOffsets notes from which window on partitions are in etcd, and checks that the generation is not under removal if a partition has
// no offsets, which are removed first.
func (l *chunkLister) addOffsets(ctx context.Context, offsets []*mvccpb.KeyValue) error {
	for _, p := range l.partitions {
		key := l.store.keys.offsetKey(l.generation, p)
		at := slices.IndexFunc(offsets, func(kv *mvccpb.KeyValue) bool { return string(kv.Key) == key })
		if at < 0 {
			return l.store.checkNotRemoved(ctx, l.generation, 0)
		}
		o, err := unpackOffsets(offsets[at])
		if err != nil {
			return err
		}
		l.found.HotFrom[p] = max(l.found.HotFrom[p], o.HotFrom) // of several reads the latest
	}
	return nil
}

// addChunks adds the wanted ones of chunks, in the order of their keys.
func (l *chunkLister) addChunks(kvs []*mvccpb.KeyValue) error {
	var prefix string // of the last window and host
	var window projections.Window
	var host events.HostID
	wanted := false
	for _, kv := range kvs {
		key := string(kv.Key)
		if prefix == "" || !strings.HasPrefix(key, prefix) {
			p, err := l.partitionOf(key)
			if err == nil {
				window, host, err = l.store.keys.parseChunk(l.generation, p, key)
			}
			if err != nil {
				return &DamagedError{Key: key, Err: err}
			}
			prefix = key[:strings.LastIndexByte(key, '/')+1]
			h, asked := l.wanted[host]
			wanted = asked && h.First <= window && window <= h.Last
		}
		if !wanted {
			continue
		}
		all := l.found.Chunks[host]
		at := slices.IndexFunc(all, func(w projections.WindowChunks) bool { return w.Window == window })
		if at < 0 {
			at = len(all)
			all = append(all, projections.WindowChunks{Window: window})
			l.found.Chunks[host] = all
		}
		all[at].Keys = append(all[at].Keys, key)
	}
	return nil
}

// partitionOf returns the partition in a chunk's key.
func (l *chunkLister) partitionOf(key string) (events.Partition, error) {
	name, _, _ := strings.Cut(strings.TrimPrefix(key, l.store.keys.kindPrefix(l.generation, kindSeries)), "/")
	return events.ParsePartition(name)
}

// ReadChunks returns the series of windows, of the columns that keep selects; a window that has none of them is empty. It
// returns ErrChunkGone for a chunk that is not there any more. Series of several calls may share memory.
func (s *Store) ReadChunks(ctx context.Context, windows []projections.WindowChunks, keep func(e events.Entity, metric string) bool) ([]projections.WindowSeries, error) {
	stored, err := s.loadChunks(ctx, windows)
	if err != nil {
		return nil, fmt.Errorf("reading chunks of history: %w", err)
	}
	list := make([]projections.WindowSeries, len(windows))
	for i, w := range windows {
		chunks := make([]projections.HostWindow, len(w.Keys))
		for j, key := range w.Keys {
			if chunks[j], err = stored[key].Columns(keep); err != nil {
				s.metrics.damaged.Inc()
				return nil, &DamagedError{Key: key, Err: err}
			}
		}
		list[i] = projections.WindowSeries{Window: w.Window, Series: projections.Merge(chunks...)}
	}
	return list, nil
}

// maxGets is the number of chunks in one read; some have 64 KiB.
const maxGets = 64

// loadChunks returns chunks by their keys, from memory where it has them.
func (s *Store) loadChunks(ctx context.Context, windows []projections.WindowChunks) (map[string]*projections.StoredWindow, error) {
	all := make(map[string]*projections.StoredWindow)
	var missing []string
	for _, w := range windows {
		for _, key := range w.Keys {
			one, found := s.chunks.Find(key)
			if all[key] = one; !found {
				missing = append(missing, key)
			}
		}
	}
	for some := range slices.Chunk(missing, maxGets) {
		ops := make([]clientv3.Op, len(some))
		for i, key := range some {
			ops[i] = clientv3.OpGet(key)
		}
		resp, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) {
			return s.kv.Txn(ctx).Then(ops...).Commit()
		})
		if err != nil {
			return nil, err
		}
		for i, key := range some {
			kvs := resp.Responses[i].GetResponseRange().Kvs
			if len(kvs) == 0 {
				return nil, ErrChunkGone
			}
			one, err := unpackModel(s, kvs[0], projections.OpenHostWindow)
			if err != nil {
				return nil, err
			}
			all[key] = *one
			s.chunks.Put(key, *one)
		}
	}
	return all, nil
}
