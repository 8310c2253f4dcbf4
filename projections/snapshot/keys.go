package snapshot

import (
	"fmt"
	"strings"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/projections"
)

// keys builds and parses all projection, offset, generation, active and quarantine keys; no other code knows their bytes:
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
// An entry is named by the revision of its event, 19 digits, and a hash of the event's key (EntryID). It belongs to the
// generation that could not fold its event; retry requests are for entries of the active one. Names and partitions are
// written as in event keys (events.Escape), so no name holds a slash; a window is written as its first hour, such as
// 20250718T20, so windows sort by time.
type keys struct{ cfg eventlog.Config }

// The kinds of models, in the order of their keys: a range from identity to the end of live leaves out series.
const (
	kindIdentity = "identity"
	kindLive     = "live"
	kindSeries   = "series"
)

const windowLayout = "20060102T15"

func (k keys) activeKey() string { return k.cfg.Key("active") }

func (k keys) generationsPrefix() string { return k.cfg.Prefix("generations") }

func (k keys) generationKey(g projections.Generation) string {
	return k.cfg.Key("generations", events.Escape(string(g)))
}

func (k keys) parseGeneration(key string) (projections.Generation, error) {
	name, err := events.Unescape(strings.TrimPrefix(key, k.generationsPrefix()))
	return projections.Generation(name), err
}

func (k keys) offsetsPrefix(g projections.Generation) string {
	return k.cfg.Prefix("offsets", events.Escape(string(g)))
}

func (k keys) offsetKey(g projections.Generation, p events.Partition) string {
	return k.offsetsPrefix(g) + p.String()
}

func (k keys) parseOffset(g projections.Generation, key string) (events.Partition, error) {
	return events.ParsePartition(strings.TrimPrefix(key, k.offsetsPrefix(g)))
}

// modelsRange returns the range of keys of all identity and live models.
func (k keys) modelsRange(g projections.Generation) (from, to string) {
	return k.kindPrefix(g, kindIdentity), prefixEnd(k.kindPrefix(g, kindLive))
}

func (k keys) kindPrefix(g projections.Generation, kind string) string {
	return k.cfg.Prefix("projections", events.Escape(string(g)), kind)
}

func (k keys) partitionPrefix(g projections.Generation, kind string, p events.Partition) string {
	return k.kindPrefix(g, kind) + p.String() + "/"
}

func (k keys) modelKey(g projections.Generation, kind string, p events.Partition, host events.HostID) string {
	return k.partitionPrefix(g, kind, p) + events.Escape(string(host))
}

// parseModel splits an identity or live key.
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

// windowPrefix returns the prefix of the chunks of one host in one window.
func (k keys) windowPrefix(g projections.Generation, p events.Partition, w projections.Window, host events.HostID) string {
	return k.partitionPrefix(g, kindSeries, p) + windowName(w) + "/" + events.Escape(string(host)) + "/"
}

// parseChunk returns the window and host of a chunk.
func (k keys) parseChunk(g projections.Generation, p events.Partition, key string) (projections.Window, events.HostID, error) {
	parts := strings.Split(strings.TrimPrefix(key, k.partitionPrefix(g, kindSeries, p)), "/")
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

// chunkKey names a chunk by its first record's time and a hash of its records. So equal records always have the same
// key, independent of writer and repetition, and different records have different keys.
func (k keys) chunkKey(g projections.Generation, p events.Partition, c Chunk, first events.Timestamp, hash [16]byte) string {
	return fmt.Sprintf("%s%011x-%x", k.windowPrefix(g, p, c.Window, c.Host), int64(first-c.Window.Start()), hash)
}

// generationPrefixes returns the prefixes of all keys of a generation except its record and its owners, which are
// gone when it is retired: offsets first, so that the rest of an interrupted removal looks like nothing folded.
func (k keys) generationPrefixes(g projections.Generation) []string {
	return []string{k.offsetsPrefix(g), k.cfg.Prefix("projections", events.Escape(string(g))), k.entriesPrefix(g)}
}

// entriesPrefix returns the prefix of all quarantine entries of a generation.
func (k keys) entriesPrefix(g projections.Generation) string {
	return k.cfg.Prefix("quarantine", events.Escape(string(g)))
}

func (k keys) partitionEntriesPrefix(g projections.Generation, p events.Partition) string {
	return k.entriesPrefix(g) + p.String() + "/"
}

func (k keys) entryKey(g projections.Generation, p events.Partition, id EntryID) string {
	return k.partitionEntriesPrefix(g, p) + id.String()
}

// summariesRange returns the range of keys of a partition's summaries, which come before its other entries.
func (k keys) summariesRange(g projections.Generation, p events.Partition) (from, to string) {
	from = k.partitionEntriesPrefix(g, p)
	return from, k.entryKey(g, p, EntryID{Revision: 1})
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

// RetryRequestPrefix returns the prefix of all retry requests. A user who may read every key, and write only these, can
// request retries.
func RetryRequestPrefix(root eventlog.Config) string { return root.Prefix("quarantine", "retry") }

// retryPrefix returns the prefix of the retry requests to the owner of a partition.
func (k keys) retryPrefix(p events.Partition) string {
	return RetryRequestPrefix(k.cfg) + p.String() + "/"
}

// retryKey returns the key that requests a retry of one entry, or with the zero EntryID of all entries of the
// partition.
func (k keys) retryKey(p events.Partition, id EntryID) string {
	if id == (EntryID{}) {
		return k.retryPrefix(p) + retryAll
	}
	return k.retryPrefix(p) + id.String()
}

func (k keys) parseRetryKey(p events.Partition, key string) (EntryID, error) {
	name := strings.TrimPrefix(key, k.retryPrefix(p))
	if name == retryAll {
		return EntryID{}, nil
	}
	return parseEntryID(name)
}

// retryAll stands in place of an entry's name.
const retryAll = "all"

// windowName has a fixed width for every instant that a Timestamp can hold.
func windowName(w projections.Window) string {
	return time.Unix(int64(w)*int64(projections.WindowSpan/time.Second), 0).UTC().Format(windowLayout)
}

// prefixEnd returns the first key behind all keys that start with prefix, which ends in a slash.
func prefixEnd(prefix string) string { return strings.TrimSuffix(prefix, "/") + "0" }
