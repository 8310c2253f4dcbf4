package snapshot

import (
	"context"
	"fmt"
	"maps"
	"slices"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// Commit is what one Save writes. It may span several transactions; identities go first, then live, then
// chunks, then the quarantine, and Offsets in the last one, so that an offset never runs ahead of what it
// covers and no entry of the quarantine ends before the fold of its event is stored. Each transaction carries
// the guards.
type Commit struct {
	Live     map[events.HostID]*projections.Live
	Identity map[events.HostID]*projections.Identity
	Chunks   []Chunk
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
)

// put is one key to write, or with remove one to delete, if it has not changed since that revision (0: whatever
// it is).
type put struct {
	key    string
	value  []byte
	remove bool
	seen   int64
}

func (p put) op() clientv3.Op {
	switch {
	case !p.remove:
		return clientv3.OpPut(p.key, string(p.value))
	case p.seen == 0:
		return clientv3.OpDelete(p.key)
	}
	unchanged := clientv3.Compare(clientv3.ModRevision(p.key), "=", p.seen)
	return clientv3.OpTxn([]clientv3.Cmp{unchanged}, []clientv3.Op{clientv3.OpDelete(p.key)}, nil)
}

func (p put) size() int { return len(p.key) + len(p.value) }

// Save writes a commit under guards. An unclear answer is asked again until ctx ends. ErrFenced means that
// the guards do not hold (any more): what earlier transactions of the commit wrote stays, the failing one
// and those after it write nothing. After any other error some of the commit may be there, and saving it
// again does no harm. Offsets that are behind those written before are ErrBackwards.
func (s *Store) Save(ctx context.Context, g projections.Generation, p events.Partition, c Commit, guards ...clientv3.Cmp) error {
	at := slot{g, p}
	if err := s.checkForward(at, c.Offsets); err != nil {
		return err
	}
	puts, err := s.puts(g, p, c)
	if err != nil {
		return fmt.Errorf("saving partition %d: %w", p, err)
	}
	for len(puts) > 0 {
		n := fitting(puts)
		if err := s.write(ctx, puts[:n], guards); err != nil {
			return fmt.Errorf("saving partition %d: %w", p, err)
		}
		puts = puts[n:]
	}
	s.remember(at, c.Offsets)
	return nil
}

// puts lists what a commit writes, in order.
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
	quarantine, err := s.quarantinePuts(p, c)
	if err != nil {
		return nil, err
	}
	puts = append(puts, quarantine...)
	if c.Offsets != nil {
		value, err := s.packOffsets(*c.Offsets)
		if err != nil {
			return nil, err
		}
		puts = append(puts, put{key: s.keys.offset(g, p), value: value})
	}
	return puts, nil
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

// fitting tells how many of puts, at least one, go into one transaction.
func fitting(puts []put) int {
	bytes := 0
	for n, p := range puts {
		bytes += p.size()
		if n == maxPuts || n > 0 && bytes > maxBytes {
			return n
		}
	}
	return len(puts)
}

// write makes one transaction of puts.
func (s *Store) write(ctx context.Context, puts []put, guards []clientv3.Cmp) error {
	ops := make([]clientv3.Op, len(puts))
	bytes := 0
	for i, p := range puts {
		ops[i] = p.op()
		bytes += p.size()
	}
	attempts := 0
	resp, err := retry(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) {
		resp, err := s.kv.Txn(ctx).If(guards...).Then(ops...).Commit()
		if attempts++; err != nil && attempts == 5 {
			s.lg.Warn("writing projections fails; going on trying", "key", puts[0].key, "err", err)
		}
		return resp, err
	})
	if err != nil {
		s.metrics.transactions.WithLabelValues("failed").Inc()
		return fmt.Errorf("writing %d keys: %w", len(puts), err)
	}
	if !resp.Succeeded {
		s.metrics.transactions.WithLabelValues("fenced").Inc()
		return ErrFenced
	}
	s.metrics.transactions.WithLabelValues("saved").Inc()
	s.metrics.bytes.Add(float64(bytes))
	return nil
}

// checkForward refuses offsets behind those that went through this store; what other owners wrote is known
// once the partition was loaded. Positions of another log cannot be compared.
func (s *Store) checkForward(at slot, o *projections.Offsets) error {
	if o == nil {
		return nil
	}
	s.mu.Lock()
	last := s.written[at]
	s.mu.Unlock()
	for _, r := range [][2]events.Revision{{last.Live, o.Live}, {last.Series, o.Series}} {
		behind := r[1].Number < r[0].Number
		if behind && s.ours(r[0]) {
			return fmt.Errorf("partition %d, from %d to %d: %w", at.partition, r[0].Number, r[1].Number, ErrBackwards)
		}
	}
	return nil
}

func (s *Store) remember(at slot, o *projections.Offsets) {
	if o == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.written[at] = *o
}
