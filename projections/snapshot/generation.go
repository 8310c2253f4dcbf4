package snapshot

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events/etcd"
	"telemetry-pipeline/projections"
)

// ModelVersion counts up whenever the stored bytes of the models, or what they mean, change: another
// version folds into a generation of its own.
const ModelVersion = 1

// State says what a generation is for.
type State string

// A generation goes from building (folded from the beginning) to complete (it has reached what was the head
// when it was made) to active (what queryd serves) to retired (to be removed); the first one of a cluster
// begins as active.
const (
	Building State = "building"
	Complete State = "complete"
	Active   State = "active"
	Retired  State = "retired"
)

// Folded tells whether owners fold generations in this state.
func (s State) Folded() bool { return s == Building || s == Complete || s == Active }

// GenerationInfo is what is stored of a generation: its record.
type GenerationInfo struct {
	ModelVersion int       `json:"model_version"`
	State        State     `json:"state"`
	CreatedAt    time.Time `json:"created_at"`
	Activate     bool      `json:"activate,omitempty"` // it is to become active once it is complete

	// Revision at which the record was written last. Every owner of a partition stores an offset once it has
	// folded up to here, although its partition be quiet: so writing a record is how to ask how far all are.
	Revision int64 `json:"-"`
}

// Generations is what is stored of all generations at one revision of etcd.
type Generations struct {
	Active   projections.Generation // "" when there is none yet
	All      map[projections.Generation]GenerationInfo
	Revision int64
}

// Next gives the generation of a version that is to take the active one's place, "" when there is none.
func (all Generations) Next(version int) projections.Generation {
	for g, info := range all.All {
		if info.ModelVersion == version && (info.State == Building || info.State == Complete) {
			return g
		}
	}
	return ""
}

// Active gives the active generation, creating the first one if there is none: all that try at once get the
// same. WatchActive follows it.
func (s *Store) Active(ctx context.Context) (projections.Generation, error) {
	return s.Begin(ctx, ModelVersion)
}

// Begin is Active for a writer of some version of the models, which the first generation is then of.
func (s *Store) Begin(ctx context.Context, version int) (projections.Generation, error) {
	name := newGeneration()
	record, err := packRecord(GenerationInfo{ModelVersion: version, State: Active, CreatedAt: time.Now().UTC()})
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
			Then(clientv3.OpPut(s.keys.active(), string(name)), clientv3.OpPut(s.keys.generation(name), record)).
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

func packRecord(info GenerationInfo) (string, error) {
	record, err := json.Marshal(info)
	return string(record), err
}

// Generations reads what is stored of all generations.
func (s *Store) Generations(ctx context.Context) (Generations, error) {
	resp, err := retry(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) {
		return s.kv.Txn(ctx).Then(
			clientv3.OpGet(s.keys.active()),
			clientv3.OpGet(s.keys.generations(), clientv3.WithPrefix()),
		).Commit()
	})
	if err != nil {
		return Generations{}, fmt.Errorf("reading generations: %w", err)
	}
	all := Generations{All: map[projections.Generation]GenerationInfo{}, Revision: resp.Header.Revision}
	for _, kv := range resp.Responses[0].GetResponseRange().Kvs {
		all.Active = projections.Generation(kv.Value)
	}
	for _, kv := range resp.Responses[1].GetResponseRange().Kvs {
		g, info, err := s.unpackRecord(kv)
		if err != nil {
			return Generations{}, err
		}
		all.All[g] = info
	}
	return all, nil
}

func (s *Store) unpackRecord(kv *mvccpb.KeyValue) (projections.Generation, GenerationInfo, error) {
	g, err := s.keys.parseGeneration(string(kv.Key))
	info := GenerationInfo{Revision: kv.ModRevision}
	if err := errors.Join(err, json.Unmarshal(kv.Value, &info)); err != nil {
		return "", info, &DamagedError{Key: string(kv.Key), Err: err}
	}
	return g, info, nil
}

// WatchGenerations gives what is stored of all generations, now and after every change; several changes may be
// given as one. It survives compaction and the loss of etcd, and ends when ctx does, or with an error that
// waiting does not mend.
func (s *Store) WatchGenerations(ctx context.Context) iter.Seq2[Generations, error] {
	return func(yield func(Generations, error) bool) {
		from, given := s.keys.generations(), Generations{}
		err := s.reflect(ctx, etcd.Range{From: from, End: endOf(from)}, func([]*clientv3.Event) (bool, error) {
			all, err := s.Generations(ctx)
			if err != nil {
				return false, err
			}
			if given.All != nil && given.Active == all.Active && maps.Equal(given.All, all.All) {
				return true, nil
			}
			given = all
			return yield(all, nil), nil
		})
		if err != nil {
			yield(Generations{}, fmt.Errorf("watching generations: %w", err))
		}
	}
}

// WatchActive gives the active generation, now and whenever it changes; as long as there is none, it waits.
// It survives compaction and the loss of etcd, and ends when ctx does, or with an error that waiting does
// not mend.
func (s *Store) WatchActive(ctx context.Context) iter.Seq2[projections.Generation, error] {
	return func(yield func(projections.Generation, error) bool) {
		var last projections.Generation
		err := s.reflect(ctx, etcd.Range{From: s.keys.active(), End: s.keys.active() + "\x00"}, func(changes []*clientv3.Event) (bool, error) {
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
