package eventlog

import (
	"context"
	"fmt"
	"maps"
	"slices"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/etcd"
)

// maxUnreadRanges bounds the ranges of one request, below etcd's 128 operations.
const maxUnreadRanges = 100

// UnreadPartitions returns, in order, the partitions that have events after the given positions and up to upto. A partition
// without events does not save new positions, so UnreadPartitions is the way to find out that a partition misses nothing. It
// reads keys only; its cost grows with the number of events in the log.
func (l *Log) UnreadPartitions(ctx context.Context, after map[events.Partition]events.Revision, upto events.Revision) ([]events.Partition, error) {
	var unread []events.Partition
	for group := range slices.Chunk(slices.Sorted(maps.Keys(after)), maxUnreadRanges) {
		ops := make([]clientv3.Op, len(group))
		for i, p := range group {
			if err := l.checkPosition(after[p]); err != nil {
				return nil, err
			}
			ops[i] = clientv3.OpGet(l.partitionPrefix(p), clientv3.WithPrefix(), clientv3.WithKeysOnly(), clientv3.WithLimit(1),
				clientv3.WithMinModRev(after[p].Number+1), clientv3.WithMaxModRev(max(upto.Number, 1)))
		}
		resp, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) {
			return l.kv.Txn(ctx).Then(ops...).Commit()
		})
		if err != nil {
			return nil, fmt.Errorf("asking which partitions have events up to revision %d: %w", upto.Number, err)
		}
		for i, p := range group {
			if len(resp.Responses[i].GetResponseRange().Kvs) > 0 {
				unread = append(unread, p)
			}
		}
	}
	return unread, nil
}
