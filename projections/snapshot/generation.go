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

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/etcd"
	"telemetry-pipeline/projections"
)

// ModelVersion increases whenever the stored bytes of the models, or their meaning, change: another version folds
// into its own generation.
//
// Version 1 is the one of the first programs. Version 2 has offsets that those refuse.
const ModelVersion = 2

// State is the stage of a generation's life.
type State string

// A generation goes from building (folded from the beginning) to complete (it has reached the head of its creation
// time) to active (queryd serves it) to retired (to be removed); the first generation of a cluster starts as active.
const (
	Building State = "building"
	Complete State = "complete"
	Active   State = "active"
	Retired  State = "retired"
)

// Folded reports whether owners fold generations in this state.
func (s State) Folded() bool { return s == Building || s == Complete || s == Active }

// GenerationInfo is the stored record of a generation.
type GenerationInfo struct {
	ModelVersion int       `json:"model_version"`
	State        State     `json:"state"`
	CreatedAt    time.Time `json:"created_at"`
	Activate     bool      `json:"activate,omitempty"` // becomes active once it is complete

	// Revision of the last write of the record. Every owner of a partition stores an offset once it has folded up to
	// this revision, even if its partition is quiet: so writing a record asks all owners for their positions.
	Revision int64 `json:"-"`
}

// Generations holds the records of all generations at one revision of etcd.
type Generations struct {
	Active   projections.Generation // "" when there is none yet
	All      map[projections.Generation]GenerationInfo
	Revision int64
}

// Successor returns the generation of a version that is to replace the active one, "" when there is none.
func (all Generations) Successor(version int) projections.Generation {
	for g, info := range all.All {
		if info.ModelVersion == version && (info.State == Building || info.State == Complete) {
			return g
		}
	}
	return ""
}

// Active returns the active generation. If there is none it creates the first one; concurrent callers get the same.
// WatchActive follows it.
func (s *Store) Active(ctx context.Context) (projections.Generation, error) {
	return s.Begin(ctx, ModelVersion)
}

// Begin is Active for a writer with some version of the models, which becomes the version of the first generation.
func (s *Store) Begin(ctx context.Context, version int) (projections.Generation, error) {
	name := newGeneration()
	record, err := packRecord(GenerationInfo{ModelVersion: version, State: Active, CreatedAt: time.Now().UTC()})
	if err != nil {
		return "", fmt.Errorf("writing the first generation: %w", err)
	}
	kv, _, err := s.getKey(ctx, s.keys.activeKey())
	if err != nil {
		return "", fmt.Errorf("reading the active generation: %w", err)
	}
	if kv != nil {
		return projections.Generation(kv.Value), nil
	}
	resp, err := retryWrite(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) {
		return s.kv.Txn(ctx).
			If(clientv3.Compare(clientv3.CreateRevision(s.keys.activeKey()), "=", 0)).
			Then(clientv3.OpPut(s.keys.activeKey(), string(name)), clientv3.OpPut(s.keys.generationKey(name), record)).
			Else(clientv3.OpGet(s.keys.activeKey())).
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

// newGeneration returns a random name for a new generation.
func newGeneration() projections.Generation {
	var b [4]byte
	rand.Read(b[:])
	return projections.Generation("g" + hex.EncodeToString(b[:]))
}

func packRecord(info GenerationInfo) (string, error) {
	record, err := json.Marshal(info)
	return string(record), err
}

// Generations returns the records of all generations.
func (s *Store) Generations(ctx context.Context) (Generations, error) {
	resp, err := retryWrite(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) {
		return s.kv.Txn(ctx).Then(
			clientv3.OpGet(s.keys.activeKey()),
			clientv3.OpGet(s.keys.generationsPrefix(), clientv3.WithPrefix()),
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
	if err := errors.Join(err, events.DecodeStoredJSON(kv.Value, &info)); err != nil {
		return "", info, &DamagedError{Key: string(kv.Key), Err: err}
	}
	return g, info, nil
}

// WatchGenerations returns the records of all generations, now and after every change; it may combine several
// changes. It survives compaction and the loss of etcd, and ends when ctx does, or with an error that waiting does
// not mend.
func (s *Store) WatchGenerations(ctx context.Context) iter.Seq2[Generations, error] {
	return func(yield func(Generations, error) bool) {
		from, given := s.keys.generationsPrefix(), Generations{}
		err := s.followRange(ctx, etcd.Range{From: from, End: prefixEnd(from)}, func([]*clientv3.Event) (bool, error) {
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

// WatchActive returns the active generation, now and after every change, with a *VersionError as its Refusal if its
// models are of another version than ModelVersion; of changes that come together only the newest. As long as there is none,
// it waits. It survives compaction and the loss of etcd, and ends when ctx does, or with an error that waiting does not mend.
func (s *Store) WatchActive(ctx context.Context) iter.Seq2[projections.ActiveGeneration, error] {
	return func(yield func(projections.ActiveGeneration, error) bool) {
		for g, err := range s.watchActiveName(ctx) {
			active := projections.ActiveGeneration{Generation: g}
			if err == nil {
				active.Refusal, err = s.checkVersion(ctx, g)
			}
			if !yield(active, err) || err != nil {
				return
			}
		}
	}
}

// checkVersion returns a refusal of a generation whose models are of another version.
func (s *Store) checkVersion(ctx context.Context, g projections.Generation) (refusal, err error) {
	kv, _, err := s.getKey(ctx, s.keys.generationKey(g))
	if err != nil {
		return nil, fmt.Errorf("reading the record of generation %s: %w", g, err)
	}
	var info GenerationInfo
	if kv != nil {
		if _, info, err = s.unpackRecord(kv); err != nil {
			return nil, err
		}
	}
	if info.ModelVersion != ModelVersion {
		return &VersionError{Generation: g, Version: info.ModelVersion}, nil
	}
	return nil, nil
}

// watchActiveName is WatchActive for the name alone.
func (s *Store) watchActiveName(ctx context.Context) iter.Seq2[projections.Generation, error] {
	return func(yield func(projections.Generation, error) bool) {
		var last projections.Generation
		err := s.followRange(ctx, etcd.Range{From: s.keys.activeKey(), End: s.keys.activeKey() + "\x00"}, func(changes []*clientv3.Event) (bool, error) {
			if len(changes) == 0 {
				return true, nil
			}
			now := projections.Generation(changes[len(changes)-1].Kv.Value)
			if now == "" || now == last { // deleted, or unchanged
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
