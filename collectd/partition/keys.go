package partition

import (
	"fmt"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
)

// keys holds the prefixes of member and owner keys.
type keys struct {
	members string // ends in "/"
	owners  string // of one generation, ends in "/"
}

func keysOf(store eventlog.Config, generation string) keys {
	return keys{members: membersOf(store), owners: store.Prefix("owners", events.Escape(generation))}
}

func membersOf(store eventlog.Config) string { return store.Prefix("members") }

// Evict returns the operation that deletes every owner key of a generation. It belongs in the transaction that ends
// the work on the generation, so that no earlier guard holds after it.
func Evict(store eventlog.Config, generation string) clientv3.Op {
	return clientv3.OpDelete(keysOf(store, generation).owners, clientv3.WithPrefix())
}

func (k keys) ownerOf(p events.Partition) string { return k.owners + p.String() }

func (k keys) parseMember(key string) (string, error) {
	id, err := events.Unescape(strings.TrimPrefix(key, k.members))
	if err != nil || id == "" {
		return "", fmt.Errorf("member key %q names no member", key)
	}
	return id, nil
}

func (k keys) parseOwner(key string) (events.Partition, error) {
	p, err := events.ParsePartition(strings.TrimPrefix(key, k.owners))
	if err != nil {
		return 0, fmt.Errorf("owner key %q: %w", key, err)
	}
	return p, nil
}
