package collect

import (
	"context"
	"fmt"
	"slices"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// addHistory keeps an event's records for the chunks to write. Fresh ones are in no chunk yet; late
// ones may be, so the window's stored history is united with them and only what it lacked is kept.
func (f *follower) addHistory(ctx context.Context, ev *events.Event, since int64, effect projections.Effect, known projections.Identity) error {
	defer f.late.evict()
	for w, records := range effect.Fresh {
		if f.isCold(w, ev) {
			continue
		}
		f.late.add(windowKey{ev.Host, w}, records)
		f.state.remember(ev.Host, w, records, since)
	}
	for w, records := range effect.Late {
		if f.isCold(w, ev) {
			continue
		}
		key := windowKey{ev.Host, w}
		if err := f.load(ctx, key, known); err != nil {
			return err
		}
		f.state.remember(ev.Host, w, f.late.add(key, records), since)
	}
	return nil
}

// load brings all records of one host's window that were folded before into the cache: what is stored
// and what is on its way there. A window that the host had no record in needs no reading. What is on its
// way is taken first: a chunk that arrives in between is then in both, and not in neither.
func (f *follower) load(ctx context.Context, key windowKey, known projections.Identity) error {
	if f.late.has(key) {
		return nil
	}
	var series projections.HostWindow
	f.state.uniteUnstored(key.host, key.window, &series)
	if known.Holds(key.window) {
		stored, err := f.store.Series(ctx, f.gen, f.partition, key.host, []projections.Window{key.window})
		if err != nil {
			return fmt.Errorf("reading the history of %s that late records belong to: %w", key.host, err)
		}
		for _, ws := range stored {
			series.Add(ws.Series)
		}
	}
	f.late.put(key, series)
	return nil
}

// maxCachedRecords bounds the windows that a partition keeps for late records, between events.
const maxCachedRecords = 100_000

type windowKey struct {
	host   events.HostID
	window projections.Window
}

// windowCache holds the windows that late records came for, the most recently used last. A file that
// arrives newest first would otherwise read its windows once per event. Nothing depends on what it holds.
type windowCache struct {
	series  map[windowKey]*projections.HostWindow
	order   []windowKey
	records int // in all of them
}

func newWindowCache() *windowCache {
	return &windowCache{series: map[windowKey]*projections.HostWindow{}}
}

// has tells whether a window is here, and counts that as a use of it.
func (c *windowCache) has(key windowKey) bool {
	if c.series[key] == nil {
		return false
	}
	c.touch(key)
	return true
}

func (c *windowCache) put(key windowKey, series projections.HostWindow) {
	c.series[key] = &series
	c.records += series.Records()
	c.touch(key)
}

// add keeps a window complete when records of it are folded, if it is here, and gives those it had not.
func (c *windowCache) add(key windowKey, records projections.HostWindow) projections.HostWindow {
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
}

// evict drops the least recently used windows while the cache is over its bound.
func (c *windowCache) evict() {
	for c.records > maxCachedRecords {
		c.records -= c.series[c.order[0]].Records()
		delete(c.series, c.order[0])
		c.order = slices.Delete(c.order, 0, 1)
	}
}
