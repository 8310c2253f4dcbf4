package collect

import (
	"context"
	"fmt"
	"slices"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// addHistory keeps an event's records for the chunks to write. Fresh records are in no chunk yet. Late records may
// be, so they are united with the window's stored history and only new ones are kept.
func (f *follower) addHistory(ctx context.Context, ev *events.Event, since int64, effect projections.Effect, known projections.Identity) error {
	defer f.lateWindows.evict(1)
	for w, records := range effect.Fresh {
		if f.isCold(w, ev) {
			continue
		}
		f.lateWindows.addRecords(windowKey{ev.Host, w}, records)
		f.state.addPending(ev.Host, w, records, since)
	}
	for w, records := range effect.Late {
		if f.isCold(w, ev) {
			continue
		}
		key := windowKey{ev.Host, w}
		if err := f.loadWindow(ctx, key, known); err != nil {
			return err
		}
		f.state.addPending(ev.Host, w, f.lateWindows.addRecords(key, records), since)
	}
	return nil
}

// loadWindow loads all records of one host's window that were folded before into the cache: the stored ones and the
// unstored ones. A window without any record of the host needs no read. The unstored records are taken first: a chunk
// that is stored in between is then in both, and never in neither.
func (f *follower) loadWindow(ctx context.Context, key windowKey, known projections.Identity) error {
	if f.lateWindows.hasWindow(key) {
		return nil
	}
	var series projections.HostWindow
	f.state.addUnstored(key.host, key.window, &series)
	if known.Holds(key.window) {
		stored, err := f.store.Series(ctx, f.gen, f.partition, key.host, []projections.Window{key.window})
		if err != nil {
			return fmt.Errorf("reading the history of %s that late records belong to: %w", key.host, err)
		}
		for _, ws := range stored {
			series.Add(ws.Series)
		}
	}
	f.lateWindows.putWindow(key, series)
	return nil
}

// maxCachedRecords bounds the windows that a partition keeps for late records, between events. Within a batch of events a larger
// window stays, which each of them would read again.
const maxCachedRecords = 100_000

type windowKey struct {
	host   events.HostID
	window projections.Window
}

// keptLate is how long a window is cached after its last late record. All records of its host are added to it meanwhile, so
// one late record in the hour must not keep all of the hour.
const keptLate = 10 * time.Second

// windowCache holds the windows that late records belong to, the most recently used last. Without it a file that
// arrives newest first would read its windows once per event. Correctness does not depend on its content.
type windowCache struct {
	series  map[windowKey]*projections.HostWindow
	order   []windowKey
	usedAt  map[windowKey]time.Time
	records int // in all windows
}

func newWindowCache() *windowCache {
	return &windowCache{series: map[windowKey]*projections.HostWindow{}, usedAt: map[windowKey]time.Time{}}
}

// hasWindow reports whether a window is cached, and counts as a use of it.
func (c *windowCache) hasWindow(key windowKey) bool {
	if c.series[key] == nil {
		return false
	}
	c.touch(key)
	return true
}

func (c *windowCache) putWindow(key windowKey, series projections.HostWindow) {
	c.series[key] = &series
	c.records += series.Records()
	c.touch(key)
}

// addRecords adds folded records to a cached window and returns the records that were new to it. It returns none if
// the window is not cached.
func (c *windowCache) addRecords(key windowKey, records projections.HostWindow) projections.HostWindow {
	series := c.series[key]
	if series == nil {
		return projections.HostWindow{}
	}
	added := series.Add(records)
	c.records += added.Records()
	return added
}

func (c *windowCache) touch(key windowKey) {
	if i := slices.Index(c.order, key); i >= 0 {
		c.order = slices.Delete(c.order, i, i+1)
	}
	c.order = append(c.order, key)
	c.usedAt[key] = time.Now()
}

// evict drops the least recently used windows while the cache exceeds maxCachedRecords, but keeps so many.
func (c *windowCache) evict(keep int) {
	for c.records > maxCachedRecords && len(c.order) > keep {
		c.dropOldest()
	}
}

// evictUnused drops windows without late records for a while.
func (c *windowCache) evictUnused(now time.Time) {
	for len(c.order) > 0 && now.Sub(c.usedAt[c.order[0]]) >= keptLate {
		c.dropOldest()
	}
}

func (c *windowCache) dropOldest() {
	oldest := c.order[0]
	c.records -= c.series[oldest].Records()
	delete(c.series, oldest)
	delete(c.usedAt, oldest)
	c.order = slices.Delete(c.order, 0, 1)
}

// endBatch bounds the cache after a batch of events.
func (f *follower) endBatch() {
	f.folding.Lock()
	defer f.folding.Unlock()
	f.lateWindows.evict(0)
	f.lateWindows.evictUnused(time.Now())
}
