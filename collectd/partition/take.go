package partition

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
)

// maxTake bounds the claims of one transaction, well below etcd's 128 operations.
const maxTake = 64

// won is a partition that is ours now.
type won struct {
	partition events.Partition
	token     int64
}

// taken is what one attempt to claim gave. After an error some may have been won without our knowing; the
// next attempt finds those and adopts them.
type taken struct {
	asked   []events.Partition
	won     []won
	others  map[events.Partition]int64 // owned by others; tokens
	refused int                        // owned by nobody, and not given: what else was compared does not hold
	err     error
}

// take claims partitions in one transaction, each by a nested create-only one: all of them share its
// revision as their token, and each is won or lost alone. also is compared besides.
func (s *session) take(ctx context.Context, k keys, member string, asked []events.Partition, also []clientv3.Cmp) taken {
	t := taken{asked: asked, others: make(map[events.Partition]int64)}
	ops := make([]clientv3.Op, len(asked))
	for i, p := range asked {
		key := k.owner(p)
		ops[i] = clientv3.OpTxn(
			append([]clientv3.Cmp{clientv3.Compare(clientv3.CreateRevision(key), "=", 0)}, also...),
			[]clientv3.Op{clientv3.OpPut(key, member, clientv3.WithLease(s.Lease()))},
			[]clientv3.Op{clientv3.OpGet(key)},
		)
	}
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	resp, err := s.client.Txn(ctx).Then(ops...).Commit()
	if err != nil {
		t.err = fmt.Errorf("claiming %d partitions: %w", len(asked), err)
		return t
	}
	for i, p := range asked {
		answer := resp.Responses[i].GetResponseTxn()
		if answer.Succeeded {
			t.won = append(t.won, won{p, resp.Header.Revision})
			continue
		}
		kvs := answer.Responses[0].GetResponseRange().Kvs
		if len(kvs) == 0 {
			t.refused++
			continue
		}
		kv := kvs[0]
		if string(kv.Value) == member && clientv3.LeaseID(kv.Lease) == s.Lease() {
			t.won = append(t.won, won{p, kv.CreateRevision}) // by an attempt whose answer was lost
			continue
		}
		t.others[p] = kv.CreateRevision
	}
	return t
}
