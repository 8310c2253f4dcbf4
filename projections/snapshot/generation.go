package snapshot

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/projections"
)

// ModelVersion counts up whenever the stored bytes of the models, or what they mean, change: another
// version folds into a generation of its own.
const ModelVersion = 1

// State says what a generation is for.
type State string

// A generation goes from building to complete to active to retired; the first one of a cluster begins as
// active.
const (
	Building State = "building"
	Complete State = "complete"
	Active   State = "active"
	Retired  State = "retired"
)

// GenerationInfo is what is stored of a generation.
type GenerationInfo struct {
	ModelVersion int       `json:"model_version"`
	State        State     `json:"state"`
	CreatedAt    time.Time `json:"created_at"`
}

// Active gives the active generation, creating the first one if there is none: all that try at once get the
// same. WatchActive follows it.
func (s *Store) Active(ctx context.Context) (projections.Generation, error) {
	name := newGeneration()
	info, err := json.Marshal(GenerationInfo{ModelVersion: ModelVersion, State: Active, CreatedAt: time.Now().UTC()})
	if err != nil {
		return "", fmt.Errorf("writing the first generation: %w", err)
	}
	kv, _, err := s.get(ctx, s.keys.active())
	if err != nil {
		return "", fmt.Errorf("reading the active generation: %w", err)
	}
	if kv != nil {
		return projections.Generation(kv.Value), nil
	}
	resp, err := retry(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) {
		return s.kv.Txn(ctx).
			If(clientv3.Compare(clientv3.CreateRevision(s.keys.active()), "=", 0)).
			Then(clientv3.OpPut(s.keys.active(), string(name)), clientv3.OpPut(s.keys.generation(name), string(info))).
			Else(clientv3.OpGet(s.keys.active())).
			Commit()
	})
	if err != nil {
		return "", fmt.Errorf("creating the first generation: %w", err)
	}
	if !resp.Succeeded { // another was faster, or an earlier attempt of ours whose answer was lost
		return projections.Generation(resp.Responses[0].GetResponseRange().Kvs[0].Value), nil
	}
	s.lg.Info("created the first generation of projections", "generation", name)
	return name, nil
}

// newGeneration makes a name that was never used before.
func newGeneration() projections.Generation {
	var b [4]byte
	rand.Read(b[:])
	return projections.Generation("g" + hex.EncodeToString(b[:]))
}

// Generations reads what is stored of all generations.
func (s *Store) Generations(ctx context.Context) (map[projections.Generation]GenerationInfo, error) {
	resp, err := retry(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return s.kv.Get(ctx, s.keys.generations(), clientv3.WithPrefix())
	})
	if err != nil {
		return nil, fmt.Errorf("reading generations: %w", err)
	}
	all := make(map[projections.Generation]GenerationInfo, len(resp.Kvs))
	for _, kv := range resp.Kvs {
		g, err := s.keys.parseGeneration(string(kv.Key))
		var info GenerationInfo
		if err := errors.Join(err, json.Unmarshal(kv.Value, &info)); err != nil {
			return nil, &DamagedError{Key: string(kv.Key), Err: err}
		}
		all[g] = info
	}
	return all, nil
}

// WatchActive gives the active generation, now and whenever it changes; as long as there is none, it waits.
// It survives compaction and the loss of etcd, and ends when ctx does, or with an error that waiting does
// not mend.
func (s *Store) WatchActive(ctx context.Context) iter.Seq2[projections.Generation, error] {
	return func(yield func(projections.Generation, error) bool) {
		var last projections.Generation
		err := s.reflect(ctx, s.keys.active(), s.keys.active()+"\x00", func(changes []*clientv3.Event) (bool, error) {
			if len(changes) == 0 {
				return true, nil
			}
			now := projections.Generation(changes[len(changes)-1].Kv.Value)
			if now == "" || now == last { // deleted, or known
				return true, nil
			}
			last = now
			return yield(now, nil), nil
		})
		if err != nil {
			yield("", fmt.Errorf("watching the active generation: %w", err))
		}
	}
}
