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

// ErrChanged refuses a step in the life of a generation because its record, or which generation is active, is
// not what the caller saw. Look again.
var ErrChanged = errors.New("the generations have changed meanwhile; look again")

// Create makes a generation of a model version in state Building, if generations are still what seen says: of
// several that create at once, one does and the others get ErrChanged.
func (s *Store) Create(ctx context.Context, seen Generations, version int, activate bool) (projections.Generation, error) {
	name := newGeneration()
	info := GenerationInfo{ModelVersion: version, State: Building, CreatedAt: time.Now().UTC(), Activate: activate}
	untouched := clientv3.Compare(clientv3.ModRevision(s.keys.generations()), "<", seen.Revision+1).WithPrefix()
	if err := s.turn(ctx, name, info, []clientv3.Cmp{untouched}, nil); err != nil {
		return "", fmt.Errorf("creating a generation: %w", err)
	}
	s.lg.Info("created a generation of projections", "generation", name, "model_version", version)
	return name, nil
}

// Move writes the record of a generation anew, if it is still as its owner saw it at info.Revision and guards
// hold. It is for every step but the one to Active.
func (s *Store) Move(ctx context.Context, g projections.Generation, info GenerationInfo, guards ...clientv3.Cmp) error {
	if err := s.turn(ctx, g, info, append(guards, s.unmoved(g, info)), nil); err != nil {
		return fmt.Errorf("moving generation %s to %s: %w", g, info.State, err)
	}
	return nil
}

// Activate makes g the active generation and retires the one that was, in one transaction, if both are as seen
// says and guards hold. evict takes the owners of the retired one away in the same transaction: from then on
// nobody writes there.
func (s *Store) Activate(ctx context.Context, seen Generations, g projections.Generation, evict func(projections.Generation) clientv3.Op, guards ...clientv3.Cmp) error {
	info := seen.All[g]
	compares := append(guards, s.unmoved(g, info), clientv3.Compare(clientv3.Value(s.keys.active()), "=", string(seen.Active)))
	ops := []clientv3.Op{clientv3.OpPut(s.keys.active(), string(g)), evict(seen.Active)}
	if old, recorded := seen.All[seen.Active]; recorded {
		compares = append(compares, s.unmoved(seen.Active, old))
		old.State, old.Activate = Retired, false
		record, err := packRecord(old)
		if err != nil {
			return fmt.Errorf("activating generation %s: %w", g, err)
		}
		ops = append(ops, clientv3.OpPut(s.keys.generation(seen.Active), record))
	}
	info.State, info.Activate = Active, false
	if err := s.turn(ctx, g, info, compares, ops); err != nil {
		return fmt.Errorf("activating generation %s: %w", g, err)
	}
	s.lg.Info("another generation of projections is active", "generation", g, "was", seen.Active, "model_version", info.ModelVersion)
	return nil
}

// Retire gives up a generation that is not active; evict is as in Activate.
func (s *Store) Retire(ctx context.Context, g projections.Generation, info GenerationInfo, evict func(projections.Generation) clientv3.Op) error {
	compares := []clientv3.Cmp{s.unmoved(g, info), s.inactive(g)}
	info.State, info.Activate = Retired, false
	if err := s.turn(ctx, g, info, compares, []clientv3.Op{evict(g)}); err != nil {
		return fmt.Errorf("retiring generation %s: %w", g, err)
	}
	return nil
}

// Standing is the compare that holds as long as the record of a generation is as it was seen.
func (s *Store) Standing(g projections.Generation, info GenerationInfo) clientv3.Cmp {
	return s.unmoved(g, info)
}

func (s *Store) unmoved(g projections.Generation, info GenerationInfo) clientv3.Cmp {
	return clientv3.Compare(clientv3.ModRevision(s.keys.generation(g)), "=", info.Revision)
}

func (s *Store) inactive(g projections.Generation) clientv3.Cmp {
	return clientv3.Compare(clientv3.Value(s.keys.active()), "!=", string(g))
}

// turn writes the record of a generation, with what belongs to that, if compares hold. An attempt whose answer
// was lost is known by the record that it wrote.
func (s *Store) turn(ctx context.Context, g projections.Generation, info GenerationInfo, compares []clientv3.Cmp, with []clientv3.Op) error {
	key := s.keys.generation(g)
	record, err := packRecord(info)
	if err != nil {
		return err
	}
	tries := 0
	resp, err := retry(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) {
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
