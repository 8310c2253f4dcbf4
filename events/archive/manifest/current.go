package manifest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/etcd"
)

// Current keeps the manifest's partitions in memory, and checks at each use that they have the stored head. Safe for
// concurrent use.
type Current struct {
	manifest *Manifest

	mu   sync.Mutex
	kept map[events.Partition]keptPartition
}

type keptPartition struct {
	*Partition
	loadedAt time.Time
}

// maxKept is the age from which a kept partition is loaded again although its head is the stored one: entries may have been
// merged since, which are faster to read.
const maxKept = 5 * time.Minute

// NewCurrent returns a Current of a manifest.
func NewCurrent(m *Manifest) *Current {
	return &Current{manifest: m, kept: make(map[events.Partition]keptPartition)}
}

// Load returns partitions whose entries hold every event that was archived when it was called. Entries that have been merged
// since may still be listed one by one. Their objects stay in the store for a while; after ErrMissing, load with afresh. The
// partitions are shared, and must not be changed.
func (c *Current) Load(ctx context.Context, of []events.Partition, afresh bool) (map[events.Partition]*Partition, error) {
	heads := make(map[events.Partition]int64)
	if !afresh {
		var err error
		if heads, err = c.manifest.headRevisions(ctx, of); err != nil {
			return nil, err
		}
	}
	all := make(map[events.Partition]*Partition, len(of))
	for _, p := range of {
		c.mu.Lock()
		one := c.kept[p]
		c.mu.Unlock()
		if one.Partition == nil || afresh || one.headRevision != heads[p] || time.Since(one.loadedAt) > maxKept {
			part, err := c.manifest.Load(ctx, p)
			if err != nil {
				return nil, err
			}
			one = keptPartition{&part, time.Now()}
			c.mu.Lock()
			c.kept[p] = one
			c.mu.Unlock()
		}
		all[p] = one.Partition
	}
	return all, nil
}

// maxGets bounds the reads of one transaction; etcd allows 128 by default.
const maxGets = 100

// headRevisions returns the etcd revision of each partition's head; 0 for one that has none.
func (m *Manifest) headRevisions(ctx context.Context, of []events.Partition) (map[events.Partition]int64, error) {
	all := make(map[events.Partition]int64, len(of))
	for some := range slices.Chunk(of, maxGets) {
		ops := make([]clientv3.Op, len(some))
		for i, p := range some {
			ops[i] = clientv3.OpGet(m.keys.head(p), clientv3.WithKeysOnly())
		}
		resp, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) {
			return m.kv.Txn(ctx).Then(ops...).Commit()
		})
		if err != nil {
			return nil, fmt.Errorf("reading how far %d partitions are archived: %w", len(some), err)
		}
		for i, p := range some {
			for _, kv := range resp.Responses[i].GetResponseRange().Kvs {
				all[p] = kv.ModRevision
			}
		}
	}
	return all, nil
}
