package partition

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"telemetry-pipeline/events"
)

// keys knows the bytes of member and owner keys.
type keys struct {
	members string // ends in "/"
	owners  string // of one generation, ends in "/"
}

func keysOf(store events.Config, generation string) keys {
	return keys{members: store.Prefix("members"), owners: store.Prefix("owners", url.PathEscape(generation))}
}

func (k keys) member(id string) string { return k.members + url.PathEscape(id) }

func (k keys) owner(p events.Partition) string { return k.owners + strconv.Itoa(int(p)) }

func (k keys) parseMember(key string) (string, error) {
	id, err := url.PathUnescape(strings.TrimPrefix(key, k.members))
	if err != nil || id == "" {
		return "", fmt.Errorf("member key %q names no member", key)
	}
	return id, nil
}

func (k keys) parseOwner(key string) (events.Partition, error) {
	p, err := strconv.Atoi(strings.TrimPrefix(key, k.owners))
	if err != nil || p < 0 {
		return 0, fmt.Errorf("owner key %q names no partition", key)
	}
	return events.Partition(p), nil
}
