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
func (f *follower) addHistory(ctx context.Context, ev *events.Event, effect projections.Effect, known projections.Identity) error {
	for w, records := range effect.Fresh {
		f.late.update(windowKey{ev.Host, w}, records)
		f.state.remember(ev.Host, w, records, ev.Revision)
	}
	for w, records := range effect.Late {
		series, err := f.window(ctx, ev.Host, w, known)
		if err != nil {
			return err
		}
		f.state.remember(ev.Host, w, series.Add(records), ev.Revision)
		f.late.evict()
	}
	return nil
}

// window gives all records of one host's window that were folded before: from the cache, or from what
// is stored and what is on its way there. A window that the host had no record in needs no reading.
func (f *follower) window(ctx context.Context, host events.HostID, w projections.Window, known projections.Identity) (*projections.Series, error) {
	key := windowKey{host, w}
	if series := f.late.get(key); series != nil {
		return series, nil
	}
	series := new(projections.Series)
	if known.Holds(w) {
		stored, err := f.store.Series(ctx, f.gen, f.partition, host, []projections.Window{w})
		if err != nil {
			return nil, fmt.Errorf("reading the history of %s that late records belong to: %w", host, err)
		}
		for _, ws := range stored {
			*series = ws.Series
		}
	}
	f.state.uniteUnstored(host, w, series)
	f.late.put(key, series)
	return series, nil
}

// maxCachedRecords bounds the windows kept for late records; the one in use always stays.
const maxCachedRecords = 200_000

type windowKey struct {
	host   events.HostID
	window projections.Window
}

// windowCache holds the windows that late records came for, the most recently used last. A file that
// arrives newest first would otherwise read its windows once per event.
type windowCache struct {
	series map[windowKey]*projections.Series
	order  []windowKey
}

func newWindowCache() *windowCache {
	return &windowCache{series: map[windowKey]*projections.Series{}}
}

func (c *windowCache) get(key windowKey) *projections.Series {
	series := c.series[key]
	if series != nil {
		c.touch(key)
	}
	return series
}

func (c *windowCache) put(key windowKey, series *projections.Series) {
	c.series[key] = series
	c.touch(key)
}

// update keeps a cached window complete when fresh records are folded.
func (c *windowCache) update(key windowKey, records projections.Series) {
	if series := c.series[key]; series != nil {
		series.Add(records)
	}
}

func (c *windowCache) touch(key windowKey) {
	if i := slices.Index(c.order, key); i >= 0 {
		c.order = slices.Delete(c.order, i, i+1)
	}
	c.order = append(c.order, key)
}

// evict drops the least recently used windows while the cache is over its bound.
func (c *windowCache) evict() {
	total := 0
	for _, series := range c.series {
		total += series.Records()
	}
	for total > maxCachedRecords && len(c.order) > 1 {
		total -= c.series[c.order[0]].Records()
		delete(c.series, c.order[0])
		c.order = slices.Delete(c.order, 0, 1)
	}
}
