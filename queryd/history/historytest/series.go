// Package historytest has the stored series of tests: history reads them from memory.
package historytest

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// Series holds the stored records of hosts by window. It is a reader of history.History.
type Series map[events.HostID]map[projections.Window]projections.HostWindow

// List returns the windows of hosts that are there, each as a chunk that is named by its host.
func (s Series) List(_ context.Context, _ projections.Generation, q projections.ChunkQuery) (projections.ChunkList, error) {
	all := projections.ChunkList{Chunks: make(map[events.HostID][]projections.WindowChunks)}
	for _, h := range q.Of {
		for _, w := range slices.Sorted(maps.Keys(s[h.Host])) {
			if h.First <= w && w <= h.Last {
				all.Chunks[h.Host] = append(all.Chunks[h.Host], projections.WindowChunks{Window: w, Keys: []string{string(h.Host)}})
			}
		}
	}
	return all, nil
}

// Read returns the records of listed windows.
func (s Series) Read(_ context.Context, windows []projections.WindowChunks, keep func(events.Entity, string) bool) ([]projections.WindowSeries, error) {
	all := make([]projections.WindowSeries, len(windows))
	for i, w := range windows {
		whole, there := s[events.HostID(w.Keys[0])][w.Window]
		if !there {
			return nil, fmt.Errorf("no window %d of %s", w.Window, w.Keys[0])
		}
		kept := slices.DeleteFunc(slices.Clone(whole.Columns), func(c projections.Column) bool { return !keep(c.Entity, c.Metric) })
		all[i] = projections.WindowSeries{Window: w.Window, Series: whole.With(kept)}
	}
	return all, nil
}
