package snapshot

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// Commit is what one Save writes. It may span several transactions; identities go first, then live, then
// chunks, then merges of chunks, then the quarantine, and Offsets in the last one, so that an offset never runs ahead of what it
// covers and no entry of the quarantine ends before the fold of its event is stored. Each transaction carries
// the guards and follows the one before it.
type Commit struct {
	Live     map[events.HostID]*projections.Live
	Identity map[events.HostID]*projections.Identity
	Chunks   []Chunk
	Merges   []Merge // as Merges made them; each is in one transaction
	Offsets  *projections.Offsets
	Upload   events.UploadID // correlation id kept in the envelope

	Quarantine []Quarantined // entries to write, new or again
	Settled    []EntryID     // entries to remove, because what they stand for is folded
	Retried    []Mark        // marks to remove, because they are answered; one written again meanwhile stays
}

// Bounds of one transaction, far below etcd's own (128 operations, 1.5 MiB); a single larger value goes alone.
const (
	maxPuts  = 64
	maxBytes = 256 << 10
	maxValue = 1400 << 10

	linkBytes = 512 // more than key and value of the offsets take, which are in every transaction
)

// put is one key to write, or with remove one to delete, if it has not changed since that revision (0: whatever
// it is); or with merge all that belongs to that.
type put struct {
	key    string
	value  []byte
	remove bool
	seen   int64
	merge  *Merge
}

func (p put) op() clientv3.Op {
	switch {
	case p.merge != nil:
		return p.merge.op()
	case !p.remove:
		return clientv3.OpPut(p.key, string(p.value))
	case p.seen == 0:
		return clientv3.OpDelete(p.key)
	}
	unchanged := clientv3.Compare(clientv3.ModRevision(p.key), "=", p.seen)
	return clientv3.OpTxn([]clientv3.Cmp{unchanged}, []clientv3.Op{clientv3.OpDelete(p.key)}, nil)
}

func (p put) size() int {
	if p.merge != nil {
		return p.merge.size()
	}
	return len(p.key) + len(p.value)
}

// Save writes a commit under guards, one Save of a partition at a time. An unclear answer is asked again
// until ctx ends, and an attempt that etcd applies later than that changes nothing that was saved since
// (fence.go).
//
// ErrFenced means that the guards do not hold (any more): what earlier transactions of the commit wrote
// stays, the failing one and those after it write nothing. ErrStale means that they hold, and that the
// partition has to be loaded again. After any other error some of the commit may be there, and saving it
// again does no harm, though it may be ErrStale. Offsets that are behind those written before are
// ErrBackwards.
func (s *Store) Save(ctx context.Context, g projections.Generation, p events.Partition, c Commit, guards ...clientv3.Cmp) error {
	if err := s.save(ctx, slot{g, p}, c, guards); err != nil {
		return fmt.Errorf("saving partition %d: %w", p, err)
	}
	return nil
}

func (s *Store) save(ctx context.Context, at slot, c Commit, guards []clientv3.Cmp) error {
	puts, err := s.puts(at.generation, at.partition, c)
	if err != nil || len(puts) == 0 && c.Offsets == nil {
		return err
	}
	last, err := s.linkOf(ctx, at)
	if err != nil {
		return err
	}
	if err := s.checkForward(last.offsets, c.Offsets); err != nil {
		return err
	}
	for done := false; !done; {
		n := fitting(puts)
		next := last.offsets
		if done = n == len(puts); done && c.Offsets != nil {
			next = *c.Offsets
		}
		if last, err = s.write(ctx, at, last, next, puts[:n], guards); err != nil {
			return err
		}
		puts = puts[n:]
	}
	return nil
}

// puts lists what a commit writes beside the offsets, in order.
func (s *Store) puts(g projections.Generation, p events.Partition, c Commit) ([]put, error) {
	env := envelope{upload: c.Upload}
	if c.Offsets != nil {
		env.revision = c.Offsets.Live.Number
	}
	var puts []put
	add := func(kind string, host events.HostID, model []byte) error {
		if err := s.checkHost(p, host); err != nil {
			return err
		}
		value := s.codec.pack(env, model, kind != kindLive || len(model) > 4*worthCompressing)
		if err := checkSize(kind, host, value); err != nil {
			return err
		}
		puts = append(puts, put{key: s.keys.model(g, kind, p, host), value: value})
		return nil
	}
	for _, host := range slices.Sorted(maps.Keys(c.Identity)) {
		if err := add(kindIdentity, host, projections.AppendIdentity(nil, c.Identity[host])); err != nil {
			return nil, err
		}
	}
	for _, host := range slices.Sorted(maps.Keys(c.Live)) {
		if err := add(kindLive, host, projections.AppendLive(nil, c.Live[host])); err != nil {
			return nil, err
		}
	}
	chunks, err := s.chunkPuts(g, p, c.Chunks, env)
	if err != nil {
		return nil, err
	}
	puts = append(puts, chunks...)
	for i := range c.Merges {
		puts = append(puts, put{merge: &c.Merges[i]})
	}
	quarantine, err := s.quarantinePuts(g, p, c)
	if err != nil {
		return nil, err
	}
	return append(puts, quarantine...), nil
}

// checkHost refuses hosts of other partitions: no key is ever written by two.
func (s *Store) checkHost(p events.Partition, host events.HostID) error {
	if home := events.PartitionOf(host, s.facts.Partitions); home != p {
		return fmt.Errorf("host %q belongs to partition %d, not to %d", host, home, p)
	}
	return nil
}

// checkSize refuses what etcd would refuse.
func checkSize(kind string, host events.HostID, value []byte) error {
	if len(value) > maxValue {
		return fmt.Errorf("%s of host %q takes %d bytes, more than the %d that etcd is given", kind, host, len(value), maxValue)
	}
	return nil
}

// fitting tells how many of puts, at least one if there are any, go into one transaction beside the offsets.
func fitting(puts []put) int {
	bytes := linkBytes
	for n, p := range puts {
		bytes += p.size()
		if n == maxPuts-1 || n > 0 && bytes > maxBytes {
			return n
		}
	}
	return len(puts)
}

// write makes one transaction of puts and of next, the offsets after it. It follows last, and gives the link
// that it is itself.
func (s *Store) write(ctx context.Context, at slot, last link, next projections.Offsets, puts []put, guards []clientv3.Cmp) (link, error) {
	ops := make([]clientv3.Op, len(puts))
	bytes := 0
	for i, p := range puts {
		ops[i] = p.op()
		bytes += p.size()
	}
	txn := s.chained(at, last, next, ops, guards)
	attempts := 0
	resp, err := retry(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) {
		resp, err := txn.commit(ctx, s.kv)
		s.note(err)
		if attempts++; err != nil && attempts == 5 && !errors.Is(err, rpctypes.ErrNoSpace) {
			s.lg.Warn("writing projections fails; going on trying", "partition", at.partition, "err", err)
		}
		return resp, err
	})
	if err != nil {
		s.metrics.transactions.WithLabelValues("failed").Inc()
		return link{}, fmt.Errorf("writing %d keys: %w", len(puts), err)
	}
	made, err := txn.link(resp)
	s.metrics.transactions.WithLabelValues(resultOf(err)).Inc()
	if err != nil {
		return link{}, err
	}
	s.remember(at, made)
	s.metrics.bytes.Add(float64(bytes + len(txn.value)))
	return made, nil
}

func resultOf(err error) string {
	switch err {
	case nil:
		return "saved"
	case ErrFenced:
		return "fenced"
	}
	return "stale"
}

// checkForward refuses offsets behind those known to be stored, and those of another log. Stored ones of
// another log cannot be compared.
func (s *Store) checkForward(last projections.Offsets, o *projections.Offsets) error {
	if o == nil {
		return nil
	}
	if !s.ours(o.Live) || !s.ours(o.Series) {
		return fmt.Errorf("offsets at %v and %v: %w", o.Live, o.Series, events.ErrForeign)
	}
	for _, r := range [][2]events.Revision{{last.Live, o.Live}, {last.Series, o.Series}} {
		behind := r[1].Number < r[0].Number
		if behind && s.ours(r[0]) {
			return fmt.Errorf("from %d to %d: %w", r[0].Number, r[1].Number, ErrBackwards)
		}
	}
	return nil
}
