package snapshot

import (
	"fmt"
	"strings"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/projections"
)

// keys is the one place that knows the bytes of projection, offset, generation, active and quarantine keys:
//
//	active/{cluster}
//	generations/{cluster}/{generation}
//	offsets/{cluster}/{generation}/{partition}
//	projections/{cluster}/{generation}/identity/{partition}/{host}
//	projections/{cluster}/{generation}/live/{partition}/{host}
//	projections/{cluster}/{generation}/series/{partition}/{window}/{host}/{chunk}
//	quarantine/{cluster}/{generation}/{partition}/{entry}
//	quarantine/{cluster}/retry/{partition}/{entry, or all}
//
// An entry is named by the revision of its event, 19 digits, and a hash of the event's key (EntryID). It is an entry of
// the generation that could not fold its event; marks are for the active one's. Names and partitions are written as in
// event keys (events.Escape), so no name holds a slash; a window is its start as hour, such as 20250718T20, so windows
// sort by time.
type keys struct{ cfg eventlog.Config }

// The kinds of models, in the order of their keys: a range from identity to behind live leaves series out.
const (
	kindIdentity = "identity"
	kindLive     = "live"
	kindSeries   = "series"
)

const windowLayout = "20060102T15"

func (k keys) active() string { return k.cfg.Key("active") }

func (k keys) generations() string { return k.cfg.Prefix("generations") }

func (k keys) generation(g projections.Generation) string {
	return k.cfg.Key("generations", events.Escape(string(g)))
}

func (k keys) parseGeneration(key string) (projections.Generation, error) {
	name, err := events.Unescape(strings.TrimPrefix(key, k.generations()))
	return projections.Generation(name), err
}

func (k keys) offsets(g projections.Generation) string {
	return k.cfg.Prefix("offsets", events.Escape(string(g)))
}

func (k keys) offset(g projections.Generation, p events.Partition) string {
	return k.offsets(g) + p.String()
}

func (k keys) parseOffset(g projections.Generation, key string) (events.Partition, error) {
	return events.ParsePartition(strings.TrimPrefix(key, k.offsets(g)))
}

// models is the range of keys of all identity and live models.
func (k keys) models(g projections.Generation) (from, to string) {
	return k.kind(g, kindIdentity), endOf(k.kind(g, kindLive))
}

func (k keys) kind(g projections.Generation, kind string) string {
	return k.cfg.Prefix("projections", events.Escape(string(g)), kind)
}

func (k keys) partition(g projections.Generation, kind string, p events.Partition) string {
	return k.kind(g, kind) + p.String() + "/"
}

func (k keys) model(g projections.Generation, kind string, p events.Partition, host events.HostID) string {
	return k.partition(g, kind, p) + events.Escape(string(host))
}

// parseModel takes an identity or live key apart.
func (k keys) parseModel(g projections.Generation, key string) (kind string, p events.Partition, host events.HostID, err error) {
	rest := strings.TrimPrefix(key, k.cfg.Prefix("projections", events.Escape(string(g))))
	parts := strings.Split(rest, "/")
	if len(parts) != 3 || parts[0] != kindLive && parts[0] != kindIdentity {
		return "", 0, "", fmt.Errorf("key %q is no live or identity key", key)
	}
	if p, err = events.ParsePartition(parts[1]); err != nil {
		return "", 0, "", fmt.Errorf("key %q: %w", key, err)
	}
	name, err := events.Unescape(parts[2])
	if err != nil {
		return "", 0, "", fmt.Errorf("key %q: %w", key, err)
	}
	return parts[0], p, events.HostID(name), nil
}

// window is the prefix of the chunks of one host in one window.
func (k keys) window(g projections.Generation, p events.Partition, w projections.Window, host events.HostID) string {
	return k.partition(g, kindSeries, p) + windowName(w) + "/" + events.Escape(string(host)) + "/"
}

// parseChunk tells of which window and host a chunk is.
func (k keys) parseChunk(g projections.Generation, p events.Partition, key string) (projections.Window, events.HostID, error) {
	parts := strings.Split(strings.TrimPrefix(key, k.partition(g, kindSeries, p)), "/")
	if len(parts) != 3 {
		return 0, "", fmt.Errorf("key %q is no chunk", key)
	}
	at, err := time.Parse(windowLayout, parts[0])
	if err != nil {
		return 0, "", fmt.Errorf("key %q: %w", key, err)
	}
	host, err := events.Unescape(parts[1])
	if err != nil {
		return 0, "", fmt.Errorf("key %q: %w", key, err)
	}
	return projections.Window(at.Unix() / int64(projections.WindowSpan/time.Second)), events.HostID(host), nil
}

// chunk names a chunk by its first record's time and a hash of its records. So the same records always come
// under the same key, whoever writes them and however often, and others never do.
func (k keys) chunk(g projections.Generation, p events.Partition, c Chunk, first events.Timestamp, hash [16]byte) string {
	return fmt.Sprintf("%s%011x-%x", k.window(g, p, c.Window, c.Host), int64(first-c.Window.Start()), hash)
}

// below gives the prefixes of everything of a generation but its record and its owners, who are gone when it is
// retired: offsets first, so that what is left of a removal looks like nothing folded.
func (k keys) below(g projections.Generation) []string {
	return []string{k.offsets(g), k.cfg.Prefix("projections", events.Escape(string(g))), k.entries(g)}
}

// entries is the prefix of all quarantine entries of a generation.
func (k keys) entries(g projections.Generation) string {
	return k.cfg.Prefix("quarantine", events.Escape(string(g)))
}

func (k keys) entriesOf(g projections.Generation, p events.Partition) string {
	return k.entries(g) + p.String() + "/"
}

func (k keys) entry(g projections.Generation, p events.Partition, id EntryID) string {
	return k.entriesOf(g, p) + id.String()
}

func (k keys) parseEntry(key string) (events.Partition, EntryID, error) {
	parts := strings.Split(strings.TrimPrefix(key, k.cfg.Prefix("quarantine")), "/")
	if len(parts) != 3 {
		return 0, EntryID{}, fmt.Errorf("key %q is no quarantine entry", key)
	}
	p, err := events.ParsePartition(parts[1])
	if err != nil {
		return 0, EntryID{}, fmt.Errorf("key %q: %w", key, err)
	}
	id, err := parseEntryID(parts[2])
	if err != nil {
		return 0, EntryID{}, fmt.Errorf("key %q: %w", key, err)
	}
	return p, id, nil
}

// marksOf is the prefix of what asks the owner of a partition to retry.
func (k keys) marksOf(p events.Partition) string {
	return k.cfg.Prefix("quarantine", "retry", p.String())
}

// mark asks for one entry, or for all of the partition's: the zero EntryID.
func (k keys) mark(p events.Partition, id EntryID) string {
	if id == (EntryID{}) {
		return k.marksOf(p) + markAll
	}
	return k.marksOf(p) + id.String()
}

func (k keys) parseMark(p events.Partition, key string) (EntryID, error) {
	name := strings.TrimPrefix(key, k.marksOf(p))
	if name == markAll {
		return EntryID{}, nil
	}
	return parseEntryID(name)
}

// markAll takes the place of an entry's name.
const markAll = "all"

// windowName is of fixed width for every instant that a Timestamp can be.
func windowName(w projections.Window) string {
	return time.Unix(int64(w)*int64(projections.WindowSpan/time.Second), 0).UTC().Format(windowLayout)
}

// endOf is the first key behind all keys that start with prefix, which ends in a slash.
func endOf(prefix string) string { return strings.TrimSuffix(prefix, "/") + "0" }
