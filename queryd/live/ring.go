package live

import "slices"

// ring keeps the newest changes, bounded by number and bytes, for readers that reconnect. The feed's lock guards it.
type ring struct {
	changes  []*change // ascending
	bytes    int
	floor    int64 // every change after this position is here
	max      int
	maxBytes int
}

// resetAt forgets all changes: those up to a position are not known.
func (r *ring) resetAt(at int64) {
	clear(r.changes)
	r.changes, r.bytes, r.floor = r.changes[:0], 0, at
}

// appendChange keeps a change and forgets the oldest ones beyond the bounds.
func (r *ring) appendChange(c *change) {
	c.bytes = c.estimateSize()
	r.changes = append(r.changes, c)
	r.bytes += c.bytes
	drop := 0
	for len(r.changes)-drop > r.max || r.bytes > r.maxBytes {
		r.bytes -= r.changes[drop].bytes
		r.floor = r.changes[drop].at.Number
		drop++
	}
	r.changes = slices.Delete(r.changes, 0, drop)
}

// changesAfter returns the changes after a position; ok is false if some are no longer here.
func (r *ring) changesAfter(at int64) (changes []*change, ok bool) {
	if at < r.floor {
		return nil, false
	}
	i, _ := slices.BinarySearchFunc(r.changes, at+1, func(c *change, at int64) int { return int(min(1, max(-1, c.at.Number-at))) })
	return slices.Clone(r.changes[i:]), true
}
