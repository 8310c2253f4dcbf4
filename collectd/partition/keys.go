package partition

import (
	"fmt"
	"strings"

	"telemetry-pipeline/events"
)

// keys knows the bytes of member and owner keys.
type keys struct {
	members string // ends in "/"
	owners  string // of one generation, ends in "/"
}

func keysOf(store events.Config, generation string) keys {
	return keys{members: store.Prefix("members"), owners: store.Prefix("owners", events.Escape(generation))}
}

func (k keys) member(id string) string { return k.members + events.Escape(id) }

func (k keys) owner(p events.Partition) string { return k.owners + p.String() }

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
