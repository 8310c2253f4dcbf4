package partition

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
)

// maxClaims bounds the claims of one transaction, well below etcd's 128 operations.
const maxClaims = 64

// wonClaim is a partition that this member owns now.
type wonClaim struct {
	partition events.Partition
	token     int64
}

// claimResult is the result of one attempt to claim. After an error some partitions may have been won without our
// knowledge; the next attempt finds and adopts them.
type claimResult struct {
	requested []events.Partition
	won       []wonClaim
	others    map[events.Partition]int64 // tokens of partitions owned by others
	refused   int                        // partitions without an owner that were refused: another condition does not hold
	err       error
}

// claimPartitions claims partitions in one transaction, each by a nested create-only one: all of them share its
// revision as their token, and each is won or lost alone. conditions are compared as well.
func (s *session) claimPartitions(ctx context.Context, k keys, member string, requested []events.Partition, conditions []clientv3.Cmp) claimResult {
	t := claimResult{requested: requested, others: make(map[events.Partition]int64)}
	ops := make([]clientv3.Op, len(requested))
	for i, p := range requested {
		key := k.ownerOf(p)
		ops[i] = clientv3.OpTxn(
			append([]clientv3.Cmp{clientv3.Compare(clientv3.CreateRevision(key), "=", 0)}, conditions...),
			[]clientv3.Op{clientv3.OpPut(key, member, clientv3.WithLease(s.Lease()))},
			[]clientv3.Op{clientv3.OpGet(key)},
		)
	}
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	resp, err := s.client.Txn(ctx).Then(ops...).Commit()
	if err != nil {
		t.err = fmt.Errorf("claiming %d partitions: %w", len(requested), err)
		return t
	}
	for i, p := range requested {
		answer := resp.Responses[i].GetResponseTxn()
		if answer.Succeeded {
			t.won = append(t.won, wonClaim{p, resp.Header.Revision})
			continue
		}
		kvs := answer.Responses[0].GetResponseRange().Kvs
		if len(kvs) == 0 {
			t.refused++
			continue
		}
		kv := kvs[0]
		if string(kv.Value) == member && clientv3.LeaseID(kv.Lease) == s.Lease() {
			t.won = append(t.won, wonClaim{p, kv.CreateRevision}) // won by an attempt whose answer was lost
			continue
		}
		t.others[p] = kv.CreateRevision
	}
	return t
}
