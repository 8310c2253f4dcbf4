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

	"telemetry-pipeline/projections"
)

// A transaction whose answer did not come may be applied much later: a path to etcd can hold it back for
// longer than it takes to send it again on another path, and to save more. The guard of the claim does not
// stop it, because the claim is the same. So the transactions of a partition form a chain:
//
//   - Each writes the offset key, also when it leaves the offsets as they are, and compares that key's
//     ModRevision with what the transaction before it, or the load that it builds on, made of it.
//   - A ModRevision never comes back while the key exists, and nothing deletes it while its generation has
//     owners. So of all transactions made after the same link etcd applies at most one, and once anything
//     of the chain has been applied, whatever was made before that never is: no attempt sent again, no part
//     of a commit that was given up, with offsets in it or without.
//   - When a follower starts anew under the same claim, what its earlier run left under way and its own first
//     transaction follow the same link. Either the leftover is applied before it, then the Save is ErrStale and
//     the follower loads that too; or the Save is, and the leftover never.
//
// Which of several transactions was applied tells the mark that each puts into the offsets' value: no two have
// the same, only attempts of one do. The price is one compare and one put of some 200 bytes per transaction.

// link is what a partition's offset key holds, and the ModRevision that it has since (0: there is no key).
type link struct {
	offsets projections.Offsets
	rev     int64
}

// marks gives every transaction a mark of its own.
type marks struct {
	store string
	n     atomic.Int64
}

func newMarks() *marks {
	var b [8]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return &marks{store: hex.EncodeToString(b[:])}
}

func (m *marks) next() string { return m.store + "-" + strconv.FormatInt(m.n.Add(1), 10) }

// linkOf gives the last link that this store knows of a partition, and reads it when it knows none.
func (s *Store) linkOf(ctx context.Context, at slot) (link, error) {
	s.mu.Lock()
	last, known := s.links[at]
	s.mu.Unlock()
	if known {
		return last, nil
	}
	kv, _, err := s.get(ctx, s.keys.offset(at.generation, at.partition))
	if err == nil && kv != nil {
		last.rev = kv.ModRevision
		last.offsets, err = unpackOffsets(kv)
	}
	if err != nil {
		return link{}, fmt.Errorf("reading its offsets: %w", err)
	}
	s.remember(at, last)
	return last, nil
}

func (s *Store) remember(at slot, last link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.links[at] = last
}

// chained makes the transaction of ops that follows last and is refused unless guards hold, and gives what
// makes sense of its answer. It may be committed any number of times.
func (s *Store) chained(at slot, last link, next projections.Offsets, ops []clientv3.Op, guards []clientv3.Cmp) chained {
	key := s.keys.offset(at.generation, at.partition)
	value := s.packOffsets(next, s.marks.next())
	follows := clientv3.Compare(clientv3.ModRevision(key), "=", last.rev)
	return chained{
		compares: append(slices.Clip(guards), follows),
		then:     append(slices.Clip(ops), clientv3.OpPut(key, value)),
		instead:  []clientv3.Op{clientv3.OpTxn(guards, nil, nil), clientv3.OpGet(key)},
		value:    value, next: next,
	}
}

// chained is a transaction of the chain.
type chained struct {
	compares      []clientv3.Cmp
	then, instead []clientv3.Op
	value         string
	next          projections.Offsets
}

func (c *chained) commit(ctx context.Context, kv clientv3.KV) (*clientv3.TxnResponse, error) {
	return kv.Txn(ctx).If(c.compares...).Then(c.then...).Else(c.instead...).Commit()
}

// link gives the link that the answer proves to be made, by this attempt or one before it. ErrFenced: the
// guards do not hold; ErrStale: they do, and another transaction came first.
func (c *chained) link(resp *clientv3.TxnResponse) (link, error) {
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
