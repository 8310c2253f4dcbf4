package events

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Facts are fixed when a cluster's log is first used, in config/{cluster-id}. A process whose own settings
// disagree refuses to start.
type Facts struct {
	Epoch         Epoch
	Cluster       uint64 // etcd's cluster id
	Partitions    int    // default 64
	PartitionHash string // "xxh3"
	Cut           CutRules
}

// CutRules say where an upload is cut into events; the cut must depend on the content alone, so they
// are facts and not settings.
type CutRules struct {
	EventRecords int // rows of one host, default 2,000
	EventBytes   int // bytes of source text of one host's rows, default 1 MiB
	OpenRecords  int // records open over all hosts, default 100,000
}

// WithDefaults gives the rules with the default in place of every zero.
func (r CutRules) WithDefaults() CutRules {
	return CutRules{
		EventRecords: cmp.Or(r.EventRecords, 2000),
		EventBytes:   cmp.Or(r.EventBytes, 1<<20),
		OpenRecords:  cmp.Or(r.OpenRecords, 100_000),
	}
}

// partitionHash is the only one there is so far (PartitionOf).
const partitionHash = "xxh3"

// storedFacts is the form of Facts in etcd. Epochs are hexadecimal, since JSON's numbers do not hold 64
// bits everywhere.
type storedFacts struct {
	Epoch         string    `json:"epoch"`
	Partitions    int       `json:"partitions"`
	PartitionHash string    `json:"partition_hash"`
	Cut           storedCut `json:"cut"`
}

type storedCut struct {
	EventRecords int `json:"event_records"`
	EventBytes   int `json:"event_bytes"`
	OpenRecords  int `json:"open_records"`
}

// loadFacts reads the facts of the configured log, or lays them down when it has none. It gives the stored
// bytes beside them, by which a change is seen.
func loadFacts(ctx context.Context, kv clientv3.KV, cfg Config) (Facts, []byte, error) {
	key := cfg.Key("config")
	stored, cluster, err := storedValue(ctx, kv, key, cfg)
	if err != nil {
		return Facts{}, nil, fmt.Errorf("reading the facts of the log at %s: %w", key, err)
	}
	facts, err := decodeFacts(stored)
	if err != nil {
		return Facts{}, nil, fmt.Errorf("reading the facts of the log at %s: %w", key, err)
	}
	facts.Cluster = cluster
	return facts, stored, facts.agree(cfg, key)
}

// storedValue asks before it writes: those who only read the log need no right to write its facts.
func storedValue(ctx context.Context, kv clientv3.KV, key string, cfg Config) (value []byte, cluster uint64, err error) {
	resp, err := retry(ctx, func(ctx context.Context, _ bool) (*clientv3.GetResponse, error) { return kv.Get(ctx, key) })
	if err != nil {
		return nil, 0, err
	}
	if len(resp.Kvs) == 1 {
		return resp.Kvs[0].Value, resp.Header.ClusterId, nil
	}
	return createFacts(ctx, kv, key, cfg)
}

// createFacts lays the facts down by a create-only transaction: of many that start at once one wins and all
// read the same.
func createFacts(ctx context.Context, kv clientv3.KV, key string, cfg Config) (value []byte, cluster uint64, err error) {
	fresh, err := encodeFacts(newFacts(cfg))
	if err != nil {
		return nil, 0, err
	}
	resp, err := retry(ctx, func(ctx context.Context, _ bool) (*clientv3.TxnResponse, error) {
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

// newFacts are the facts that cfg gives a new log.
func newFacts(cfg Config) Facts {
	return Facts{
		Epoch:         newEpoch(),
		Partitions:    cmp.Or(cfg.Partitions, DefaultPartitions),
		PartitionHash: partitionHash,
		Cut:           cfg.Cut.WithDefaults(),
	}
}

// newEpoch is random and never zero.
func newEpoch() Epoch {
	for {
		var b [8]byte
		rand.Read(b[:]) // never fails (crypto/rand)
		if e := Epoch(binary.BigEndian.Uint64(b[:])); e != 0 {
			return e
		}
	}
}

func encodeFacts(f Facts) ([]byte, error) {
	return json.Marshal(storedFacts{
		Epoch:         fmt.Sprintf("%016x", uint64(f.Epoch)),
		Partitions:    f.Partitions,
		PartitionHash: f.PartitionHash,
		Cut:           storedCut(f.Cut),
	})
}

func decodeFacts(value []byte) (Facts, error) {
	var s storedFacts
	if err := json.Unmarshal(value, &s); err != nil {
		return Facts{}, fmt.Errorf("decoding %q: %w", value, err)
	}
	epoch, err := strconv.ParseUint(s.Epoch, 16, 64)
	f := Facts{Epoch: Epoch(epoch), Partitions: s.Partitions, PartitionHash: s.PartitionHash, Cut: CutRules(s.Cut)}
	switch {
	case err != nil:
		return Facts{}, fmt.Errorf("decoding %q: epoch: %w", value, err)
	case epoch == 0 || f.Partitions < 1 || f.Partitions > MaxPartitions || f.Cut.EventRecords < 1 || f.Cut.EventBytes < 1 || f.Cut.OpenRecords < 1:
		return Facts{}, fmt.Errorf("decoding %q: a number that cannot be", value)
	}
	return f, nil
}

// agree refuses settings that contradict what the log was created with.
func (f Facts) agree(cfg Config, key string) error {
	if f.PartitionHash != partitionHash {
		return &FactsError{Key: key, Fact: "partition hash", Log: f.PartitionHash, Setting: partitionHash}
	}
	for _, c := range []struct {
		fact         string
		log, setting int
	}{
		{"partitions", f.Partitions, cfg.Partitions},
		{"rows per event", f.Cut.EventRecords, cfg.Cut.EventRecords},
		{"bytes per event", f.Cut.EventBytes, cfg.Cut.EventBytes},
		{"open records", f.Cut.OpenRecords, cfg.Cut.OpenRecords},
	} {
		if c.setting != 0 && c.setting != c.log {
			return &FactsError{Key: key, Fact: c.fact, Log: strconv.Itoa(c.log), Setting: strconv.Itoa(c.setting)}
		}
	}
	return nil
}
