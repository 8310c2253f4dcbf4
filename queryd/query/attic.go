package query

import (
	"context"
	"math"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/archive/manifest"
)

// attic gives history what left the stored series: objects, and the manifest that tells which of them count.
type attic struct {
	*archive.Store
	manifest *manifest.Manifest
}

// ReadArchive makes the server answer from what left the stored series for the archive as well. Call it before
// Run.
func (s *Server) ReadArchive(store *archive.Store, m *manifest.Manifest) {
	s.past.ReadArchive(attic{store, m})
}

// Entries gives the entries that may have records of a partition in a range of times, both ends included, as the
// manifest has them now.
func (a attic) Entries(ctx context.Context, p events.Partition, from, to events.Timestamp) ([]archive.Entry, error) {
	listed, err := a.manifest.Load(ctx, p)
	if err != nil {
		return nil, err
	}
	if to < math.MaxInt64 {
		to++
	}
	return listed.Overlapping(from, to), nil
}
