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
	"telemetry-pipeline/events/trace"
	"telemetry-pipeline/projections"
)

// Commit is the content of one Save. It may span several transactions; hosts go first, of each the identity and then
// live, mostly in one transaction, then chunks, then merges of chunks, then the quarantine, and Offsets in the last one.
// So an offset never runs ahead of the models that it covers, and no quarantine entry is removed before the fold of its
// event is stored. Each transaction carries the guards and follows the one before it.
type Commit struct {
	Live     map[events.HostID]*projections.Live
	Identity map[events.HostID]*projections.Identity
	Chunks   []Chunk
	Merges   []Merge // as returned by Merges; each is in one transaction
	Offsets  *projections.Offsets
	Upload   events.UploadID // correlation id kept in the envelope

	Quarantine []Quarantined  // entries to write, new or changed
	Resolved   []EntryID      // entries to remove, because their events are folded
	Retried    []RetryRequest // requests to remove, because they are answered; a request that was repeated meanwhile stays
}

// Bounds of one transaction, far below etcd's own (128 operations, 1.5 MiB); a single larger value is written alone.
const (
	maxPuts  = 64
	maxBytes = 256 << 10
	maxValue = 1400 << 10

	linkBytes = 512 // more than the key and value of the offsets, which are in every transaction
)

// put is one key to write, or with remove one to delete, if it has not changed since revision seen (0: in any case);
// or with merge all operations of that merge.
type put struct {
	key    string
	value  []byte
	remove bool
	seen   int64
	merge  *Merge
}

func (p put) txnOp() clientv3.Op {
	switch {
	case p.merge != nil:
		return p.merge.txnOp()
	case !p.remove:
		return clientv3.OpPut(p.key, string(p.value))
	case p.seen == 0:
		return clientv3.OpDelete(p.key)
	}
	unchanged := clientv3.Compare(clientv3.ModRevision(p.key), "=", p.seen)
	return clientv3.OpTxn([]clientv3.Cmp{unchanged}, []clientv3.Op{clientv3.OpDelete(p.key)}, nil)
}

func (p put) byteSize() int {
	if p.merge != nil {
		return p.merge.byteSize()
	}
	return len(p.key) + len(p.value)
}

// Save writes a commit under guards, one Save of a partition at a time. An unclear answer is retried until ctx ends,
// and an attempt that etcd applies later than that changes nothing that was saved since (fence.go).
//
// ErrFenced means that the guards do not hold (any more): the commit's earlier transactions stay written, the failing
// one and all later ones write nothing. ErrStale means that they hold, and that the partition must be loaded again.
// After any other error some of the commit may be stored, and saving it again does no harm, though it may return
// ErrStale. Offsets that are behind the stored ones return ErrBackwards.
//
// In a sampled trace a Save is a step of it, and the offsets are stored with its trace context.
func (s *Store) Save(ctx context.Context, g projections.Generation, p events.Partition, c Commit, guards ...clientv3.Cmp) (err error) {
	ctx, span := trace.StartChild(ctx, "save projections")
	defer func() { span.End(err) }()
	if err := s.saveCommit(ctx, partitionID{g, p}, c, guards); err != nil {
		return fmt.Errorf("saving partition %d: %w", p, err)
	}
	return nil
}

func (s *Store) saveCommit(ctx context.Context, at partitionID, c Commit, guards []clientv3.Cmp) error {
	puts, err := s.commitPuts(at.generation, at.partition, c)
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
		n := countFitting(puts)
		next := last.offsets
		if done = n == len(puts); done && c.Offsets != nil {
			next = *c.Offsets
		}
		if last, err = s.writeTxn(ctx, at, last, next, puts[:n], guards); err != nil {
			return err
		}
		puts = puts[n:]
	}
	return nil
}

// commitPuts returns the puts of a commit without the offsets, in order.
func (s *Store) commitPuts(g projections.Generation, p events.Partition, c Commit) ([]put, error) {
	env := envelope{upload: c.Upload}
	if c.Offsets != nil {
		env.revision = c.Offsets.Live.Number
	}
	puts := make([]put, 0, len(c.Identity)+len(c.Live)+len(c.Chunks)+len(c.Merges))
	var enc projections.Encoder
	var model []byte // of the host under way
	add := func(kind string, host events.HostID) error {
		if err := s.checkHost(p, host); err != nil {
			return err
		}
		value := s.codec.packValue(env, model, kind != kindLive || len(model) > 4*worthCompressing)
		if err := checkSize(kind, host, value); err != nil {
			return err
		}
		puts = append(puts, put{key: s.keys.modelKey(g, kind, p, host), value: value})
		return nil
	}
	for _, host := range c.hosts() {
		if id := c.Identity[host]; id != nil {
			model = enc.AppendIdentity(model[:0], id)
			if err := add(kindIdentity, host); err != nil {
				return nil, err
			}
		}
		if live := c.Live[host]; live != nil {
			model = enc.AppendLive(model[:0], live)
			if err := add(kindLive, host); err != nil {
				return nil, err
			}
		}
	}
	chunks, err := s.chunkPuts(g, p, c.Chunks, env, &enc)
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

// hosts returns the hosts with models in the commit, sorted.
func (c *Commit) hosts() []events.HostID {
	all := make([]events.HostID, 0, max(len(c.Live), len(c.Identity)))
	all = slices.AppendSeq(slices.AppendSeq(all, maps.Keys(c.Live)), maps.Keys(c.Identity))
	slices.Sort(all)
	return slices.Compact(all)
}

// checkHost refuses hosts of other partitions: no two partitions ever write one key.
func (s *Store) checkHost(p events.Partition, host events.HostID) error {
	if home := events.PartitionOf(host, s.facts.Partitions); home != p {
		return fmt.Errorf("host %q belongs to partition %d, not to %d", host, home, p)
	}
	return nil
}

// checkSize refuses values that etcd would refuse.
func checkSize(kind string, host events.HostID, value []byte) error {
	if len(value) > maxValue {
		return fmt.Errorf("%s of host %q takes %d bytes, more than the %d that etcd is given", kind, host, len(value), maxValue)
	}
	return nil
}

// countFitting returns how many of puts, at least one if there are any, fit into one transaction beside the offsets.
func countFitting(puts []put) int {
	bytes := linkBytes
	for n, p := range puts {
		bytes += p.byteSize()
		if n == maxPuts-1 || n > 0 && bytes > maxBytes {
			return n
		}
	}
	return len(puts)
}

// writeTxn writes puts and next, the offsets after them, in one transaction that follows last, and returns its link.
func (s *Store) writeTxn(ctx context.Context, at partitionID, last link, next projections.Offsets, puts []put, guards []clientv3.Cmp) (link, error) {
	ops := make([]clientv3.Op, len(puts))
	bytes := 0
	for i, p := range puts {
		ops[i] = p.txnOp()
		bytes += p.byteSize()
	}
	txn := s.chainTxn(ctx, at, last, next, ops, guards)
	attempts := 0
	resp, err := retryWrite(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) {
		resp, err := txn.commitTo(ctx, s.kv)
		s.noteWrite(err)
		if attempts++; err != nil && attempts == 5 && !errors.Is(err, rpctypes.ErrNoSpace) {
			s.lg.Warn("writing projections fails; going on trying", "partition", at.partition, "err", err)
		}
		return resp, err
	})
	if err != nil {
		s.metrics.transactions.WithLabelValues("failed").Inc()
		return link{}, fmt.Errorf("writing %d keys: %w", len(puts), err)
	}
	made, err := txn.linkAfter(resp)
	s.metrics.transactions.WithLabelValues(resultOf(err)).Inc()
	if err != nil {
		return link{}, err
	}
	s.rememberLink(at, made)
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

// checkForward refuses offsets that are behind the known stored ones, and offsets of another log. Stored offsets of
// another log cannot be compared.
func (s *Store) checkForward(last projections.Offsets, o *projections.Offsets) error {
	if o == nil {
		return nil
	}
	if !s.isOwnRevision(o.Live) || !s.isOwnRevision(o.Series) {
		return fmt.Errorf("offsets at %v and %v: %w", o.Live, o.Series, events.ErrForeign)
	}
	for _, r := range [][2]events.Revision{{last.Live, o.Live}, {last.Series, o.Series}} {
		behind := r[1].Number < r[0].Number
		if behind && s.isOwnRevision(r[0]) {
			return fmt.Errorf("from %d to %d: %w", r[0].Number, r[1].Number, ErrBackwards)
		}
	}
	return nil
}
