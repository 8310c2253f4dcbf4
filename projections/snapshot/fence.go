package snapshot

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events/trace"
	"telemetry-pipeline/projections"
)

// A transaction whose answer did not come may be applied much later: a path to etcd can hold it back for
// longer than it takes to send it again on another path, and to save more. The guard of the claim does not
// stop it, because the claim is the same. So the transactions of a partition form a chain:
//
//   - Each writes the offset key, even if it leaves the offsets unchanged, and compares that key's ModRevision
//     with the one that the transaction before it left, or that the load it builds on read.
//   - A ModRevision never comes back while the key exists, and nothing deletes it while its generation has
//     owners. So of all transactions made after the same link etcd applies at most one, and once anything
//     of the chain has been applied, no earlier transaction ever is: no attempt sent again, no part of an
//     abandoned commit, with offsets in it or without.
//   - When a follower starts again under the same claim, a transaction that its earlier run left in flight and its
//     own first transaction follow the same link. Either the leftover is applied first: then the Save is ErrStale
//     and the follower loads the leftover too. Or the Save is applied, and the leftover never.
//
// Each transaction puts its id into the offsets' value, which shows which of several transactions was applied: no
// two transactions have the same id, only attempts of one do. The price is one compare and one put of some 200
// bytes per transaction.

// link is the content of a partition's offset key, and the key's ModRevision (0: there is no key).
type link struct {
	offsets projections.Offsets
	rev     int64
}

// txnIDs numbers the transactions of a store uniquely.
type txnIDs struct {
	store string
	n     atomic.Int64
}

func newTxnIDs() *txnIDs {
	var b [8]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return &txnIDs{store: hex.EncodeToString(b[:])}
}

func (m *txnIDs) nextID() string { return m.store + "-" + strconv.FormatInt(m.n.Add(1), 10) }

// linkOf returns the last link that this store knows of a partition, and reads it when it knows none.
func (s *Store) linkOf(ctx context.Context, at partitionID) (link, error) {
	s.mu.Lock()
	last, known := s.links[at]
	s.mu.Unlock()
	if known {
		return last, nil
	}
	kv, _, err := s.getKey(ctx, s.keys.offsetKey(at.generation, at.partition))
	if err == nil && kv != nil {
		last.rev = kv.ModRevision
		last.offsets, err = unpackOffsets(kv)
	}
	if err != nil {
		return link{}, fmt.Errorf("reading its offsets: %w", err)
	}
	s.rememberLink(at, last)
	return last, nil
}

func (s *Store) rememberLink(at partitionID, last link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.links[at] = last
}

// chainTxn returns the transaction of ops that follows last and is refused unless guards hold. It may be committed
// any number of times.
func (s *Store) chainTxn(ctx context.Context, at partitionID, last link, next projections.Offsets, ops []clientv3.Op, guards []clientv3.Cmp) chainedTxn {
	key := s.keys.offsetKey(at.generation, at.partition)
	value := s.packOffsets(next, s.txnIDs.nextID(), trace.ContextOf(ctx))
	follows := clientv3.Compare(clientv3.ModRevision(key), "=", last.rev)
	return chainedTxn{
		compares:  append(slices.Clip(guards), follows),
		then:      append(slices.Clip(ops), clientv3.OpPut(key, value)),
		otherwise: []clientv3.Op{clientv3.OpTxn(guards, nil, nil), clientv3.OpGet(key)},
		value:     value, next: next,
	}
}

// chainedTxn is a transaction of the chain.
type chainedTxn struct {
	compares        []clientv3.Cmp
	then, otherwise []clientv3.Op
	value           string
	next            projections.Offsets
}

func (c *chainedTxn) commitTo(ctx context.Context, kv clientv3.KV) (*clientv3.TxnResponse, error) {
	return kv.Txn(ctx).If(c.compares...).Then(c.then...).Else(c.otherwise...).Commit()
}

// linkAfter returns the link that the answer proves to exist, made by this attempt or one before it. ErrFenced: the
// guards do not hold; ErrStale: they do, and another transaction came first.
func (c *chainedTxn) linkAfter(resp *clientv3.TxnResponse) (link, error) {
	if resp.Succeeded {
		return link{c.next, resp.Header.Revision}, nil
	}
	guarded := resp.Responses[0].GetResponseTxn().Succeeded
	kvs := resp.Responses[1].GetResponseRange().Kvs
	switch {
	case len(kvs) == 1 && string(kvs[0].Value) == c.value:
		return link{c.next, kvs[0].ModRevision}, nil
	case !guarded:
		return link{}, ErrFenced
	}
	return link{}, ErrStale
}
