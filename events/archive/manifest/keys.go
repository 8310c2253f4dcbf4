package manifest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/eventlog"
)

// keys builds and parses the manifest's keys, and is the only place that does:
//
//	archive/{cluster}/{partition}/head
//	archive/{cluster}/{partition}/{first}-{last}
//	archive/{cluster}/{partition}/replaced/{first}-{last}-{hash}
//
// Revisions have 19 digits, so that entries sort by them.
type keys struct{ cfg eventlog.Config }

const (
	headName     = "head"
	replacedName = "replaced/"
)

func (k keys) all() string { return k.cfg.Prefix("archive") }

func (k keys) partition(p events.Partition) string { return k.cfg.Prefix("archive", p.String()) }

func (k keys) head(p events.Partition) string { return k.partition(p) + headName }

func (k keys) entry(e *archive.Entry) string {
	return fmt.Sprintf("%s%019d-%019d", k.partition(e.Partition), e.First.Number, e.Last.Number)
}

// replaced returns the key that records objects replaced by e. It depends on the objects.
func (k keys) replaced(e *archive.Entry, objects []string) string {
	sum := sha256.Sum256([]byte(strings.Join(objects, "\n")))
	return fmt.Sprintf("%s%s%019d-%019d-%s", k.partition(e.Partition), replacedName, e.First.Number, e.Last.Number, hex.EncodeToString(sum[:8]))
}

// parseKey returns the partition of a key, and the rest of the key after it.
func (k keys) parseKey(key string) (events.Partition, string, error) {
	name, rest, found := strings.Cut(strings.TrimPrefix(key, k.all()), "/")
	p, err := events.ParsePartition(name)
	if err != nil || !found {
		return 0, "", fmt.Errorf("key %q is not one of the manifest", key)
	}
	return p, rest, nil
}

// parseRange parses the name of an entry.
func parseRange(name string) (first, last int64, err error) {
	a, b, _ := strings.Cut(name, "-")
	if first, err = strconv.ParseInt(a, 10, 64); err == nil {
		last, err = strconv.ParseInt(b, 10, 64)
	}
	if err != nil || first < 1 || last < first || len(a) != 19 || len(b) != 19 {
		return 0, 0, fmt.Errorf("%q is no range of revisions", name)
	}
	return first, last, nil
}
