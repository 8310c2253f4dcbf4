package eventlog

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"strconv"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/etcd"
)

// loadFacts reads the facts of the configured log, or creates them if there are none. It also returns the stored
// bytes, which later show a change.
func loadFacts(ctx context.Context, kv clientv3.KV, cfg Config) (events.Facts, []byte, error) {
	key := cfg.Key("config")
	stored, cluster, err := storedValue(ctx, kv, key, cfg)
	if err != nil {
		return events.Facts{}, nil, fmt.Errorf("reading the facts of the log at %s: %w", key, err)
	}
	facts, err := events.DecodeFacts(stored)
	if err != nil {
		return events.Facts{}, nil, fmt.Errorf("reading the facts of the log at %s: %w", key, err)
	}
	facts.Cluster = cluster
	return facts, stored, checkFacts(facts, cfg, key)
}

// storedValue reads before it writes: a process that only reads the log needs no right to write its facts.
func storedValue(ctx context.Context, kv clientv3.KV, key string, cfg Config) (value []byte, cluster uint64, err error) {
	resp, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) { return kv.Get(ctx, key) })
	if err != nil {
		return nil, 0, err
	}
	if len(resp.Kvs) == 1 {
		return resp.Kvs[0].Value, resp.Header.ClusterId, nil
	}
	return createFacts(ctx, kv, key, cfg)
}

// createFacts writes the facts in a create-only transaction: of several processes that start at once one wins, and
// all read the same facts.
func createFacts(ctx context.Context, kv clientv3.KV, key string, cfg Config) (value []byte, cluster uint64, err error) {
	fresh, err := newFacts(cfg).Encode()
	if err != nil {
		return nil, 0, err
	}
	resp, err := etcd.Write(ctx, func(ctx context.Context, _ bool) (*clientv3.TxnResponse, error) {
		return kv.Txn(ctx).
			If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
			Then(clientv3.OpPut(key, string(fresh))).
			Else(clientv3.OpGet(key)).Commit()
	})
	if err != nil {
		return nil, 0, fmt.Errorf("there are none, and creating them failed: %w", err)
	}
	if resp.Succeeded {
		return fresh, resp.Header.ClusterId, nil
	}
	kvs := resp.Responses[0].GetResponseRange().GetKvs()
	if len(kvs) != 1 {
		return nil, 0, errNoFacts
	}
	return kvs[0].Value, resp.Header.ClusterId, nil
}

// newFacts returns the facts of a new log with settings cfg.
func newFacts(cfg Config) events.Facts {
	return events.Facts{
		Epoch:         newEpoch(),
		Partitions:    cmp.Or(cfg.Partitions, DefaultPartitions),
		PartitionHash: events.PartitionHash,
		Cut:           cfg.Cut.WithDefaults(),
	}
}

// newEpoch returns a random epoch, never zero.
func newEpoch() events.Epoch {
	for {
		var b [8]byte
		rand.Read(b[:]) // never fails (crypto/rand)
		if e := events.Epoch(binary.BigEndian.Uint64(b[:])); e != 0 {
			return e
		}
	}
}

// checkFacts refuses settings that contradict the log's facts.
func checkFacts(f events.Facts, cfg Config, key string) error {
	if f.PartitionHash != events.PartitionHash {
		return &FactsError{Key: key, Fact: "partition hash", Log: f.PartitionHash, Setting: events.PartitionHash}
	}
	for _, c := range []struct {
		fact         string
		log, setting int
	}{
		{"partitions", f.Partitions, cfg.Partitions},
		{"rows per event", f.Cut.EventRecords, cfg.Cut.EventRecords},
		{"bytes per event", f.Cut.EventBytes, cfg.Cut.EventBytes},
		{"open records", f.Cut.OpenRecords, cfg.Cut.OpenRecords},
		{"open identities", f.Cut.OpenIdentities, cfg.Cut.OpenIdentities},
	} {
		if c.setting != 0 && c.setting != c.log {
			return &FactsError{Key: key, Fact: c.fact, Log: strconv.Itoa(c.log), Setting: strconv.Itoa(c.setting)}
		}
	}
	return nil
}
