package query

import (
	"context"
	"iter"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/archive/manifest"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
	"telemetry-pipeline/queryd/history"
)

// noArchive is the archive reader of a server without an archive: it refuses queries for history that left the stored
// series, instead of answering without it.
type noArchive struct {
	archiveReader // without a store
	offsets       func(ctx context.Context) (map[events.Partition]projections.Offsets, error)
}

// RefuseArchived makes the server refuse to answer from history that left the stored series for an archive, since it has
// none to read. Call it before Run.
func (s *services) RefuseArchived(saved *snapshot.Store, m *manifest.Manifest) {
	s.past.ReadArchive(noArchive{archiveReader{manifest: manifest.NewCurrent(m)}, func(ctx context.Context) (map[events.Partition]projections.Offsets, error) {
		return saved.Offsets(ctx, s.hub.State().Generation())
	}})
}

// Entries returns no entries if the whole range is in the stored series. History read the series before, and
// Offsets.HotFrom only grows.
func (l noArchive) Entries(ctx context.Context, of []events.Partition, from, to events.Timestamp, afresh bool) (map[events.Partition][]archive.Entry, error) {
	entries, err := l.archiveReader.Entries(ctx, of, from, to, afresh)
	if err != nil || len(entries) == 0 {
		return nil, err
	}
	all, err := l.offsets(ctx)
	if err != nil {
		return nil, err
	}
	for p := range entries {
		if o, known := all[p]; !known || projections.WindowOf(from) < o.HotFrom {
			return nil, history.ErrNoArchive
		}
	}
	return nil, nil
}

// Scan fails with history.ErrNoArchive.
func (noArchive) Scan(context.Context, archive.Entry, archive.Filter) iter.Seq2[archive.Series, error] {
	return func(yield func(archive.Series, error) bool) { yield(archive.Series{}, history.ErrNoArchive) }
}

// Rollup fails with history.ErrNoArchive.
func (noArchive) Rollup(context.Context, archive.Entry, archive.Kind, archive.Filter) iter.Seq2[archive.Rollup, error] {
	return func(yield func(archive.Rollup, error) bool) { yield(archive.Rollup{}, history.ErrNoArchive) }
}
