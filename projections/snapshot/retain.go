package snapshot

import (
	"context"
	"fmt"
	"slices"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/etcd"
	"telemetry-pipeline/projections"
)

// StoredChunk is the position of a chunk of history.
type StoredChunk struct {
	Window   projections.Window
	Host     events.HostID
	Revision int64 // etcd's revision of its write; the chunk holds only records of earlier events

	key string
}

// Chunks lists the chunks of a partition that were written up to a revision of etcd, by window and host. It reads
// keys only; etcd's work grows with the number of chunks in the partition.
func (s *Store) Chunks(ctx context.Context, g projections.Generation, p events.Partition, upto int64) ([]StoredChunk, error) {
	prefix := s.keys.partitionPrefix(g, kindSeries, p)
	resp, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return s.kv.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly(), clientv3.WithMaxModRev(upto))
	})
	if err != nil {
		return nil, fmt.Errorf("listing chunks of partition %d of generation %s: %w", p, g, err)
	}
	list := make([]StoredChunk, len(resp.Kvs))
	for i, kv := range resp.Kvs {
		c := StoredChunk{Revision: kv.ModRevision, key: string(kv.Key)}
		if c.Window, c.Host, err = s.keys.parseChunk(g, p, c.key); err != nil {
			return nil, &DamagedError{Key: c.key, Err: err}
		}
		list[i] = c
	}
	return list, nil
}

// ChunkCount returns the number of chunks of the active generation.
func (s *Store) ChunkCount(ctx context.Context) (int64, error) {
	resp, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) { return s.kv.Get(ctx, s.keys.activeKey()) })
	if err != nil {
		return 0, fmt.Errorf("reading the active generation: %w", err)
	}
	if len(resp.Kvs) == 0 {
		return 0, nil
	}
	prefix := s.keys.kindPrefix(projections.Generation(resp.Kvs[0].Value), kindSeries)
	resp, err = etcd.Read(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return s.kv.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	})
	if err != nil {
		return 0, fmt.Errorf("counting the chunks of the active generation: %w", err)
	}
	return resp.Count, nil
}

// RemoveChunks deletes chunks, key by key in small transactions under guards. It calls throttle between two
// transactions and stops when that returns false. A chunk that was written again meanwhile stays. It returns the
// number of chunks that it deleted.
//
// The caller has made sure that their records are kept elsewhere, or are not kept any longer, and has stored that in
// Offsets.HotFrom.
func (s *Store) RemoveChunks(ctx context.Context, chunks []StoredChunk, throttle func(ctx context.Context) bool, guards ...clientv3.Cmp) (int, error) {
	removed := 0
	for some := range slices.Chunk(chunks, maxPuts) {
		if removed > 0 && !throttle(ctx) {
			return removed, context.Cause(ctx)
		}
		ops := make([]clientv3.Op, len(some))
		for i, c := range some {
			ops[i] = put{key: c.key, remove: true, seen: c.Revision}.txnOp()
		}
		resp, err := retryWrite(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) {
			return s.kv.Txn(ctx).If(guards...).Then(ops...).Commit()
		})
		if err != nil {
			return removed, fmt.Errorf("removing %d chunks: %w", len(chunks), err)
		}
		if !resp.Succeeded {
			return removed, fmt.Errorf("removing %d chunks: %w", len(chunks), ErrFenced)
		}
		for _, one := range resp.Responses {
			if one.GetResponseTxn().GetSucceeded() {
				removed++
			}
		}
	}
	return removed, nil
}
