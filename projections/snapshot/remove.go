package snapshot

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events/etcd"
	"telemetry-pipeline/events/wait"
	"telemetry-pipeline/projections"
)

const (
	removeKeys  = 100                   // deletes of one transaction
	removePause = 10 * time.Millisecond // between two transactions, so that folds and queries continue
)

// Remove deletes all keys of a retired generation, page by page with pauses, and its record last: after a crash,
// another Remove finishes the work. It refuses a generation that is active or whose record has changed (ErrChanged).
// It reports the number of removed keys to progress.
func (s *Store) Remove(ctx context.Context, g projections.Generation, info GenerationInfo, progress func(keys int)) error {
	if info.State != Retired {
		return fmt.Errorf("removing generation %s: it is %s, and has to be retired first", g, info.State)
	}
	gone := 0
	for _, prefix := range s.keys.generationPrefixes(g) {
		for {
			n, err := s.removePage(ctx, g, info, prefix)
			if err != nil {
				return fmt.Errorf("removing generation %s: %w", g, err)
			}
			if n == 0 {
				break
			}
			gone += n
			progress(gone)
			if !wait.Sleep(ctx, removePause) {
				return context.Cause(ctx)
			}
		}
	}
	guards := []clientv3.Cmp{s.recordUnchanged(g, info), s.notActive(g)}
	if err := s.commitGuarded(ctx, guards, clientv3.OpDelete(s.keys.generationKey(g))); err != nil {
		return fmt.Errorf("removing the record of generation %s: %w", g, err)
	}
	s.lg.Info("removed a generation of projections", "generation", g, "keys", gone)
	return nil
}

// removePage deletes the first keys with a prefix, and returns their number.
func (s *Store) removePage(ctx context.Context, g projections.Generation, info GenerationInfo, prefix string) (int, error) {
	resp, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return s.kv.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly(), clientv3.WithLimit(removeKeys))
	})
	if err != nil || len(resp.Kvs) == 0 {
		return 0, err
	}
	ops := make([]clientv3.Op, len(resp.Kvs))
	for i, kv := range resp.Kvs {
		ops[i] = clientv3.OpDelete(string(kv.Key))
	}
	return len(ops), s.commitGuarded(ctx, []clientv3.Cmp{s.recordUnchanged(g, info), s.notActive(g)}, ops...)
}

// commitGuarded runs ops, which may be repeated, if compares hold.
func (s *Store) commitGuarded(ctx context.Context, compares []clientv3.Cmp, ops ...clientv3.Op) error {
	tries := 0
	resp, err := retryWrite(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) {
		tries++
		return s.kv.Txn(ctx).If(compares...).Then(ops...).Commit()
	})
	if err != nil {
		return err
	}
	if !resp.Succeeded && tries == 1 {
		return ErrChanged
	}
	return nil
}

// Keys returns the number of keys of a generation.
func (s *Store) Keys(ctx context.Context, g projections.Generation) (int, error) {
	var ops []clientv3.Op
	for _, prefix := range s.keys.generationPrefixes(g) {
		ops = append(ops, clientv3.OpGet(prefix, clientv3.WithPrefix(), clientv3.WithCountOnly()))
	}
	resp, err := retryWrite(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) { return s.kv.Txn(ctx).Then(ops...).Commit() })
	if err != nil {
		return 0, fmt.Errorf("counting the keys of generation %s: %w", g, err)
	}
	n := 0
	for _, r := range resp.Responses {
		n += int(r.GetResponseRange().Count)
	}
	return n, nil
}
