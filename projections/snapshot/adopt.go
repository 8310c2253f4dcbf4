package snapshot

import (
	"context"
	"errors"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/etcd"
)

// AdoptOffsets turns offsets that were stored in the epoch was into offsets of this store's log, in all generations, and
// returns their number. It is for etcd restored from a snapshot, which has events, models and offsets of one instant,
// each under its own revision: the offsets stay true, only the log has another epoch and perhaps another cluster. No
// other process may write offsets meanwhile. A repeated call does no harm.
func (s *Store) AdoptOffsets(ctx context.Context, was events.Epoch) (int, error) {
	all, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return s.kv.Get(ctx, s.keys.allOffsetsPrefix(), clientv3.WithPrefix())
	})
	if err != nil {
		return 0, fmt.Errorf("reading offsets of all generations: %w", err)
	}
	adopted := 0
	for _, kv := range all.Kvs {
		v, err := parseOffsets(kv.Value)
		if err != nil {
			return adopted, &DamagedError{Key: string(kv.Key), Err: err}
		}
		if v.epoch != uint64(was) {
			continue // of an older log: no fold can continue from it
		}
		v.epoch, v.cluster = uint64(s.facts.Epoch), s.facts.Cluster // in its form: programs of its generation read it
		if err := s.replaceOffset(ctx, string(kv.Key), kv.ModRevision, v.pack()); err != nil {
			return adopted, err
		}
		adopted++
	}
	return adopted, nil
}

// replaceOffset writes an offset if it was not changed since it was read.
func (s *Store) replaceOffset(ctx context.Context, key string, seen int64, value string) error {
	resp, err := retryWrite(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) {
		return s.kv.Txn(ctx).
			If(clientv3.Compare(clientv3.ModRevision(key), "=", seen)).
			Then(clientv3.OpPut(key, value)).
			Else(clientv3.OpGet(key)).Commit()
	})
	switch {
	case err != nil:
		return fmt.Errorf("adopting %s: %w", key, err)
	case resp.Succeeded:
		return nil
	}
	if kvs := resp.Responses[0].GetResponseRange().GetKvs(); len(kvs) == 1 && string(kvs[0].Value) == value {
		return nil // by an attempt whose answer was lost
	}
	return fmt.Errorf("adopting %s: %w", key, errOffsetChanged)
}

// errOffsetChanged means that a collector wrote an offset while it was being adopted.
var errOffsetChanged = errors.New("it was written meanwhile: stop every collectd, and try again")

// allOffsetsPrefix returns the common prefix of the offset keys of all generations.
func (k keys) allOffsetsPrefix() string { return k.cfg.Prefix("offsets") }
