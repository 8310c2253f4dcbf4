package transfer

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
)

// listed tells what the archive has of a partition, as its manifest lists it.
type listed func(ctx context.Context, p events.Partition) ([]archive.Entry, error)

// objects reads an entry's events (archive.Store).
type objects interface {
	Read(ctx context.Context, e archive.Entry, after events.Revision) iter.Seq2[events.Event, error]
}

// maxSets bounds how many entries' sequences are kept.
const maxSets = 4

// Archive knows which events an archive has, as far as they are not repeats that were dropped. It reads the entries that
// may have what is asked for, and keeps the sequences of some. Not safe for concurrent use.
type Archive struct {
	listed  listed
	objects objects
	entries map[events.Partition][]archive.Entry // as they were when they were first asked for
	sets    []sequences                          // the one used last is at the end
}

// sequences are those of an entry's events.
type sequences struct {
	name string
	has  map[events.ContentHash]bool
}

// NewArchive makes an Archive.
func NewArchive(l listed, o objects) *Archive {
	return &Archive{listed: l, objects: o, entries: make(map[events.Partition][]archive.Entry)}
}

// Has tells whether the archive has the event of a key.
func (a *Archive) Has(ctx context.Context, key events.Key) (bool, error) {
	for tries := 0; ; tries++ {
		has, err := a.look(ctx, key)
		if !errors.Is(err, archive.ErrMissing) || tries == 3 { // else merged away meanwhile
			return has, err
		}
		delete(a.entries, key.Partition)
	}
}

func (a *Archive) look(ctx context.Context, key events.Key) (bool, error) {
	entries, known := a.entries[key.Partition]
	if !known {
		var err error
		if entries, err = a.listed(ctx, key.Partition); err != nil {
			return false, err
		}
		a.entries[key.Partition] = entries
	}
	for i := range entries {
		if e := &entries[i]; e.Records == 0 || key.At < e.From || key.At > e.To {
			continue
		}
		set, err := a.set(ctx, &entries[i])
		if err != nil {
			return false, fmt.Errorf("looking for imported events in the archive of partition %d: %w", key.Partition, err)
		}
		if set[key.Sequence] {
			return true, nil
		}
	}
	return false, nil
}

func (a *Archive) set(ctx context.Context, e *archive.Entry) (map[events.ContentHash]bool, error) {
	object, ok := e.Object(archive.Records)
	if !ok {
		return nil, nil
	}
	for i, s := range a.sets {
		if s.name == object.Name {
			a.sets = append(append(a.sets[:i:i], a.sets[i+1:]...), s)
			return s.has, nil
		}
	}
	s := sequences{name: object.Name, has: make(map[events.ContentHash]bool)}
	for ev, err := range a.objects.Read(ctx, *e, events.Revision{}) {
		if err != nil {
			return nil, err
		}
		if ev.Damage == nil {
			s.has[ev.Sequence] = true
		}
	}
	if len(a.sets) == maxSets {
		a.sets = a.sets[1:]
	}
	a.sets = append(a.sets, s)
	return s.has, nil
}
