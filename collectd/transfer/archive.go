package transfer

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
)

// entryLister returns the entries of a partition's manifest.
type entryLister func(ctx context.Context, p events.Partition) ([]archive.Entry, error)

// objectReader reads an entry's events (archive.Store).
type objectReader interface {
	Read(ctx context.Context, e archive.Entry, after events.Revision) iter.Seq2[events.Event, error]
}

// maxHashSets bounds the number of entries whose content hashes are kept.
const maxHashSets = 4

// Archive finds events in an archive, except repeats that were dropped. It reads the entries that may have the event,
// and keeps the content hashes of some. Not safe for concurrent use.
type Archive struct {
	listEntries entryLister
	objects     objectReader
	entries     map[events.Partition][]archive.Entry // as first listed
	hashSets    []hashSet                            // the one used last is at the end
}

// hashSet is the content hashes of an entry's events.
type hashSet struct {
	name string
	has  map[events.ContentHash]bool
}

// NewArchive returns an Archive.
func NewArchive(l entryLister, o objectReader) *Archive {
	return &Archive{listEntries: l, objects: o, entries: make(map[events.Partition][]archive.Entry)}
}

// Has reports whether the archive has the event of a key.
func (a *Archive) Has(ctx context.Context, key events.Key) (bool, error) {
	for tries := 0; ; tries++ {
		has, err := a.findEvent(ctx, key)
		if !errors.Is(err, archive.ErrMissing) || tries == 3 { // else merged away meanwhile
			return has, err
		}
		delete(a.entries, key.Partition)
	}
}

func (a *Archive) findEvent(ctx context.Context, key events.Key) (bool, error) {
	entries, known := a.entries[key.Partition]
	if !known {
		var err error
		if entries, err = a.listEntries(ctx, key.Partition); err != nil {
			return false, err
		}
		a.entries[key.Partition] = entries
	}
	for i := range entries {
		if e := &entries[i]; e.Records == 0 || key.At < e.From || key.At > e.To {
			continue
		}
		set, err := a.entryHashes(ctx, &entries[i])
		if err != nil {
			return false, fmt.Errorf("looking for imported events in the archive of partition %d: %w", key.Partition, err)
		}
		if set[key.Sequence] {
			return true, nil
		}
	}
	return false, nil
}

func (a *Archive) entryHashes(ctx context.Context, e *archive.Entry) (map[events.ContentHash]bool, error) {
	object, ok := e.Object(archive.Records)
	if !ok {
		return nil, nil
	}
	for i, s := range a.hashSets {
		if s.name == object.Name {
			a.hashSets = append(append(a.hashSets[:i:i], a.hashSets[i+1:]...), s)
			return s.has, nil
		}
	}
	s := hashSet{name: object.Name, has: make(map[events.ContentHash]bool)}
	for ev, err := range a.objects.Read(ctx, *e, events.Revision{}) {
		if err != nil {
			return nil, err
		}
		if ev.Damage == nil {
			s.has[ev.Sequence] = true
		}
	}
	if len(a.hashSets) == maxHashSets {
		a.hashSets = a.hashSets[1:]
	}
	a.hashSets = append(a.hashSets, s)
	return s.has, nil
}
