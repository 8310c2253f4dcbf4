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
	manifest *manifest.Current
}

// ReadArchive makes the server answer also from history that left the stored series for the archive. Call it before
// Run.
func (s *services) ReadArchive(store *archive.Store, m *manifest.Manifest) {
	store.KeepUpTo(s.cache / 4 * 3)
	s.caches["archive"] = store.CacheStats
	s.past.ReadArchive(archiveReader{store, manifest.NewCurrent(m)})
}

// Entries returns, by partition, the entries that may have records in a range of times, both ends included, with all that is
// archived now.
func (a archiveReader) Entries(ctx context.Context, of []events.Partition, from, to events.Timestamp, afresh bool) (map[events.Partition][]archive.Entry, error) {
	listed, err := a.manifest.Load(ctx, of, afresh)
	if err != nil {
		return nil, err
	}
	if to < math.MaxInt64 {
		to++
	}
	all := make(map[events.Partition][]archive.Entry, len(listed))
	for p, one := range listed {
		if entries := one.Overlapping(from, to); len(entries) > 0 {
			all[p] = entries
		}
	}
	return all, nil
}
