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

// lacking is the attic of a server that was given no archive: what left the stored series is refused, not left out.
type lacking struct {
	attic   // without a store
	offsets func(ctx context.Context) (map[events.Partition]projections.Offsets, error)
}

// LackArchive makes the server refuse to answer from history that left the stored series for an archive, since it has none
// to read. Call it before Run.
func (s *Server) LackArchive(saved *snapshot.Store, m *manifest.Manifest) {
	s.past.ReadArchive(lacking{attic{manifest: m}, func(ctx context.Context) (map[events.Partition]projections.Offsets, error) {
		return saved.Offsets(ctx, s.hub.State().Generation())
	}})
}

// Entries gives none where all that is asked for is in the stored series. It was read from there before, and
// Offsets.HotFrom only grows.
func (l lacking) Entries(ctx context.Context, p events.Partition, from, to events.Timestamp) ([]archive.Entry, error) {
	entries, err := l.attic.Entries(ctx, p, from, to)
	if err != nil || len(entries) == 0 {
		return nil, err
	}
	all, err := l.offsets(ctx)
	if err != nil {
		return nil, err
	}
	if o, known := all[p]; known && projections.WindowOf(from) >= o.HotFrom {
		return nil, nil
	}
	return nil, history.ErrNoArchive
}

// Scan has nothing to read.
func (lacking) Scan(context.Context, archive.Entry, archive.Filter) iter.Seq2[archive.Series, error] {
	return func(yield func(archive.Series, error) bool) { yield(archive.Series{}, history.ErrNoArchive) }
}

// Rollup has nothing to read.
func (lacking) Rollup(context.Context, archive.Entry, archive.Kind, archive.Filter) iter.Seq2[archive.Rollup, error] {
	return func(yield func(archive.Rollup, error) bool) { yield(archive.Rollup{}, history.ErrNoArchive) }
}
