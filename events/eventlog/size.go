package eventlog

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/etcd"
)

// sizeSample is the number of values that one Size reads.
const sizeSample = 16

// Size is the number of events in etcd, and the stored bytes of a few of them.
type Size struct {
	Events  int64 // of all partitions
	Sampled int64 // the first events of one partition, by their keys
	Bytes   int64 // of the sampled events, keys and values
}

// Size counts the events in etcd and measures the first few of a partition, at one revision. etcd counts in its index and reads
// no other value, so the cost hardly grows with the log.
func (l *Log) Size(ctx context.Context, sample events.Partition) (Size, error) {
	all := l.cfg.Root + "/" + events.QueuePrefix(l.cfg.ClusterID)
	resp, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) {
		return l.kv.Txn(ctx).Then(
			clientv3.OpGet(all, clientv3.WithPrefix(), clientv3.WithCountOnly()),
			clientv3.OpGet(l.partitionPrefix(sample), clientv3.WithPrefix(), clientv3.WithLimit(sizeSample)),
		).Commit()
	})
	if err != nil {
		return Size{}, fmt.Errorf("asking etcd for the size of the log: %w", err)
	}
	if err := l.checkHeader(resp.Header); err != nil {
		return Size{}, err
	}
	s := Size{Events: resp.Responses[0].GetResponseRange().Count}
	for _, kv := range resp.Responses[1].GetResponseRange().Kvs {
		s.Sampled++
		s.Bytes += int64(len(kv.Key) + len(kv.Value))
	}
	return s, nil
}
