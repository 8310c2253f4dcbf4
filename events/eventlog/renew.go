package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/etcd"
)

// Restoration holds the signs that etcd was restored from a snapshot.
type Restoration struct {
	// Jump is the distance of the last compaction from the newest key of ours that is not younger. A restore that
	// bumps revisions and marks the earlier ones as compacted leaves a gap as large as the bump; without it, and in
	// an etcd that was not restored, the gap holds only the revisions of a few removed keys.
	Jump    int64
	Renewed bool // the epoch was written after the compaction
}

// Restoration looks for a gap in etcd's revisions.
func (l *Log) Restoration(ctx context.Context) (Restoration, error) {
	compacted, err := l.compactedRevision(ctx)
	if err != nil || compacted == 0 {
		return Restoration{}, err
	}
	newest, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return l.kv.Get(ctx, l.cfg.Root+"/", clientv3.WithPrefix(), clientv3.WithKeysOnly(), clientv3.WithLimit(1),
			clientv3.WithSort(clientv3.SortByModRevision, clientv3.SortDescend), clientv3.WithMaxModRev(compacted))
	})
	if err != nil {
		return Restoration{}, fmt.Errorf("asking etcd for the newest key: %w", err)
	}
	r := Restoration{Jump: compacted}
	if len(newest.Kvs) > 0 {
		r.Jump = compacted - newest.Kvs[0].ModRevision
	}
	config, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return l.kv.Get(ctx, l.cfg.Key("config"), clientv3.WithKeysOnly())
	})
	if err != nil {
		return Restoration{}, fmt.Errorf("asking etcd for the facts of the log: %w", err)
	}
	r.Renewed = len(config.Kvs) == 1 && config.Kvs[0].ModRevision > compacted
	return r, nil
}

// compactedRevision returns the revision of the last compaction, 0 when there was none: a watch from the beginning
// fails with it.
func (l *Log) compactedRevision(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, etcd.AttemptTimeout, errors.New("etcd gave no answer"))
	defer cancel()
	answers := l.watches.Watch(clientv3.WithRequireLeader(ctx), l.cfg.Key("config"), clientv3.WithRev(1))
	answer, open := <-answers
	switch {
	case !open:
		return 0, fmt.Errorf("asking etcd up to where it is compacted: %w", context.Cause(ctx))
	case answer.CompactRevision == 0 && answer.Err() != nil:
		return 0, fmt.Errorf("asking etcd up to where it is compacted: %w", answer.Err())
	default:
		return answer.CompactRevision, nil
	}
}

// PrepareRenewal returns the facts of the log with another epoch, for Renew to write. Until then every caller gets the same
// facts, so that an interrupted renewal can continue.
func (l *Log) PrepareRenewal(ctx context.Context) (events.Facts, error) {
	f := l.facts
	f.Epoch = newEpoch()
	value, err := f.Encode()
	if err != nil {
		return events.Facts{}, fmt.Errorf("preparing another epoch: %w", err)
	}
	key := l.renewalKey()
	resp, err := etcd.Write(ctx, func(ctx context.Context, _ bool) (*clientv3.TxnResponse, error) {
		return l.kv.Txn(ctx).
			If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
			Then(clientv3.OpPut(key, string(value)), clientv3.OpGet(key)).
			Else(clientv3.OpGet(key)).Commit()
	})
	if err != nil {
		return events.Facts{}, fmt.Errorf("preparing another epoch: %w", err)
	}
	kvs := resp.Responses[len(resp.Responses)-1].GetResponseRange().GetKvs()
	if len(kvs) != 1 {
		return events.Facts{}, fmt.Errorf("preparing another epoch: %s: %w", key, errNoFacts)
	}
	if f, err = events.DecodeFacts(kvs[0].Value); err != nil {
		return events.Facts{}, fmt.Errorf("preparing another epoch: reading %s: %w", key, err)
	}
	f.Cluster = l.facts.Cluster
	return f, nil
}

// renewalKey holds the facts of PrepareRenewal until Renew.
func (l *Log) renewalKey() string { return l.cfg.Key("config", "renewal") }

// Renew stores the epoch of the facts that PrepareRenewal returned, after a restore. Positions from before, which may name
// revisions that were never restored, belong to another log from then on (ErrForeign). This Log, too, is then another
// log and must be opened again, and so must every process that runs on it.
func (l *Log) Renew(ctx context.Context, f events.Facts) error {
	key := l.cfg.Key("config")
	value, err := f.Encode()
	if err != nil {
		return fmt.Errorf("setting the log's epoch: %w", err)
	}
	resp, err := etcd.Write(ctx, func(ctx context.Context, _ bool) (*clientv3.TxnResponse, error) {
		return l.kv.Txn(ctx).
			If(clientv3.Compare(clientv3.Value(key), "=", string(l.storedFacts))).
			Then(clientv3.OpPut(key, string(value)), clientv3.OpDelete(l.renewalKey())).
			Else(clientv3.OpGet(key)).Commit()
	})
	if err != nil {
		return fmt.Errorf("setting the log's epoch (it may be set; try again): %w", err)
	}
	if resp.Succeeded {
		return nil
	}
	if kvs := resp.Responses[0].GetResponseRange().GetKvs(); len(kvs) == 1 && bytes.Equal(kvs[0].Value, value) {
		return nil // by an attempt whose answer was lost
	}
	return fmt.Errorf("setting the log's epoch: %s has changed meanwhile: %w", key, events.ErrForeign)
}
