package manifest

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/etcd"
	"telemetry-pipeline/events/eventlog"
)

// Manifest reads and writes the index of one cluster's archive. Safe for concurrent use.
type Manifest struct {
	kv    clientv3.KV
	keys  keys
	facts events.Facts
}

// New returns a manifest that uses a client, which the caller closes. facts are the log's.
func New(client *clientv3.Client, cfg eventlog.Config, facts events.Facts) *Manifest {
	return &Manifest{kv: client, keys: keys{cfg}, facts: facts}
}

// Head returns how far a partition is archived.
func (m *Manifest) Head(ctx context.Context, p events.Partition) (Head, error) {
	resp, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) { return m.kv.Get(ctx, m.keys.head(p)) })
	if err != nil {
		return Head{}, fmt.Errorf("reading how far partition %d is archived: %w", p, err)
	}
	if len(resp.Kvs) == 0 {
		return Head{}, nil
	}
	h, err := m.unpackHead(resp.Kvs[0].Value)
	if err != nil {
		return Head{}, &DamagedError{m.keys.head(p), err}
	}
	return h, nil
}

// Load returns the head, entries and replaced objects of a partition.
func (m *Manifest) Load(ctx context.Context, p events.Partition) (Partition, error) {
	all, err := m.loadPrefix(ctx, m.keys.partition(p))
	if err != nil {
		return Partition{}, fmt.Errorf("reading the archive's manifest of partition %d: %w", p, err)
	}
	if one := all[p]; one != nil {
		return *one, nil
	}
	return Partition{ID: p}, nil
}

// LoadAll returns the same as Load for every partition that has a key in the manifest.
func (m *Manifest) LoadAll(ctx context.Context) (map[events.Partition]*Partition, error) {
	all, err := m.loadPrefix(ctx, m.keys.all())
	if err != nil {
		return nil, fmt.Errorf("reading the archive's manifest: %w", err)
	}
	return all, nil
}

// loadPrefix returns the partitions that have keys with a prefix, as of one revision.
func (m *Manifest) loadPrefix(ctx context.Context, prefix string) (map[events.Partition]*Partition, error) {
	resp, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return m.kv.Get(ctx, prefix, clientv3.WithPrefix())
	})
	if err != nil {
		return nil, err
	}
	all := map[events.Partition]*Partition{}
	for _, kv := range resp.Kvs {
		p, rest, err := m.keys.parseKey(string(kv.Key))
		if err != nil {
			return nil, err
		}
		if all[p] == nil {
			all[p] = &Partition{ID: p}
		}
		if err := m.unpackKey(all[p], rest, kv); err != nil {
			return nil, err
		}
	}
	for _, p := range all {
		if err := m.checkComplete(p); err != nil {
			return nil, err
		}
	}
	return all, nil
}
