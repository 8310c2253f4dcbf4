package query

import (
	"context"
	"math"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/archive/manifest"
)

// archiveReader reads history that left the stored series: archive objects, and the manifest that lists the valid
// ones.
type archiveReader struct {
	*archive.Store
	manifest *manifest.Manifest
}

// ReadArchive makes the server answer also from history that left the stored series for the archive. Call it before
// Run.
func (s *Server) ReadArchive(store *archive.Store, m *manifest.Manifest) {
	s.past.ReadArchive(archiveReader{store, m})
}

// Entries returns the entries that may have records of a partition in a range of times, both ends included, as the
// manifest has them now.
func (a archiveReader) Entries(ctx context.Context, p events.Partition, from, to events.Timestamp) ([]archive.Entry, error) {
	listed, err := a.manifest.Load(ctx, p)
	if err != nil {
		return nil, err
	}
	if to < math.MaxInt64 {
		to++
	}
	return listed.Overlapping(from, to), nil
}
