package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/projections"
)

// ErrChanged refuses a change to a generation because its record, or the active generation, is not the one that the
// caller read. Read again.
var ErrChanged = errors.New("the generations have changed meanwhile; look again")

// Create creates a generation of a model version in state Building, if the generations have not changed since seen:
// of several concurrent callers one succeeds and the others get ErrChanged.
func (s *Store) Create(ctx context.Context, seen Generations, version int, activate bool) (projections.Generation, error) {
	name := newGeneration()
	info := GenerationInfo{ModelVersion: version, State: Building, CreatedAt: time.Now().UTC(), Activate: activate}
	untouched := clientv3.Compare(clientv3.ModRevision(s.keys.generationsPrefix()), "<", seen.Revision+1).WithPrefix()
	if err := s.writeRecord(ctx, name, info, []clientv3.Cmp{untouched}, nil); err != nil {
		return "", fmt.Errorf("creating a generation: %w", err)
	}
	s.lg.Info("created a generation of projections", "generation", name, "model_version", version)
	return name, nil
}

// Move rewrites the record of a generation, if it is unchanged since info.Revision and guards hold. It is for every
// transition but the one to Active.
func (s *Store) Move(ctx context.Context, g projections.Generation, info GenerationInfo, guards ...clientv3.Cmp) error {
	if err := s.writeRecord(ctx, g, info, append(guards, s.recordUnchanged(g, info)), nil); err != nil {
		return fmt.Errorf("moving generation %s to %s: %w", g, info.State, err)
	}
	return nil
}

// Activate makes g the active generation and retires the previous one, in one transaction, if both are unchanged
// since seen and guards hold. evict removes the owners of the retired one in the same transaction: from then on no
// owner writes there.
func (s *Store) Activate(ctx context.Context, seen Generations, g projections.Generation, evict func(projections.Generation) clientv3.Op, guards ...clientv3.Cmp) error {
	info := seen.All[g]
	compares := append(guards, s.recordUnchanged(g, info), clientv3.Compare(clientv3.Value(s.keys.activeKey()), "=", string(seen.Active)))
	ops := []clientv3.Op{clientv3.OpPut(s.keys.activeKey(), string(g)), evict(seen.Active)}
	if old, recorded := seen.All[seen.Active]; recorded {
		compares = append(compares, s.recordUnchanged(seen.Active, old))
		old.State, old.Activate = Retired, false
		record, err := packRecord(old)
		if err != nil {
			return fmt.Errorf("activating generation %s: %w", g, err)
		}
		ops = append(ops, clientv3.OpPut(s.keys.generationKey(seen.Active), record))
	}
	info.State, info.Activate = Active, false
	if err := s.writeRecord(ctx, g, info, compares, ops); err != nil {
		return fmt.Errorf("activating generation %s: %w", g, err)
	}
	s.lg.Info("another generation of projections is active", "generation", g, "was", seen.Active, "model_version", info.ModelVersion)
	return nil
}

// Retire retires a generation that is not active; evict is as in Activate.
func (s *Store) Retire(ctx context.Context, g projections.Generation, info GenerationInfo, evict func(projections.Generation) clientv3.Op) error {
	compares := []clientv3.Cmp{s.recordUnchanged(g, info), s.notActive(g)}
	info.State, info.Activate = Retired, false
	if err := s.writeRecord(ctx, g, info, compares, []clientv3.Op{evict(g)}); err != nil {
		return fmt.Errorf("retiring generation %s: %w", g, err)
	}
	return nil
}

// Unchanged returns the compare that holds as long as the record of a generation is unchanged since info was read.
func (s *Store) Unchanged(g projections.Generation, info GenerationInfo) clientv3.Cmp {
	return s.recordUnchanged(g, info)
}

func (s *Store) recordUnchanged(g projections.Generation, info GenerationInfo) clientv3.Cmp {
	return clientv3.Compare(clientv3.ModRevision(s.keys.generationKey(g)), "=", info.Revision)
}

func (s *Store) notActive(g projections.Generation) clientv3.Cmp {
	return clientv3.Compare(clientv3.Value(s.keys.activeKey()), "!=", string(g))
}

// writeRecord writes the record of a generation, together with the operations in with, if compares hold. It
// recognises an attempt whose answer was lost by the record that it wrote.
func (s *Store) writeRecord(ctx context.Context, g projections.Generation, info GenerationInfo, compares []clientv3.Cmp, with []clientv3.Op) error {
	key := s.keys.generationKey(g)
	record, err := packRecord(info)
	if err != nil {
		return err
	}
	tries := 0
	resp, err := retryWrite(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) {
		tries++
		return s.kv.Txn(ctx).If(compares...).Then(append(slices.Clip(with), clientv3.OpPut(key, record))...).Else(clientv3.OpGet(key)).Commit()
	})
	switch {
	case err != nil:
		return err
	case resp.Succeeded:
		return nil
	}
	kvs := resp.Responses[0].GetResponseRange().Kvs
	if tries > 1 && len(kvs) == 1 && string(kvs[0].Value) == record {
		return nil
	}
	return ErrChanged
}
