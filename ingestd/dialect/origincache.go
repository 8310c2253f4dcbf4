package dialect

import "sync/atomic"

// originCache is a bounded map of origins by key. When it is full it forgets origins that were not used lately: each has a
// second chance if it was used since it was passed over the last time. Lookups may run side by side; additions may not.
type originCache struct {
	most, size int // bytes
	by         map[string]*cachedOrigin
	ring       []*cachedOrigin // all of them
	hand       int             // index of the next one that may be forgotten
}

// cachedOrigin is an origin with its key and roughly its memory in bytes.
type cachedOrigin struct {
	*Origin
	key  string
	size int
	used atomic.Bool // since the hand passed
}

func newOriginCache(most int) originCache {
	return originCache{most: most, by: map[string]*cachedOrigin{}}
}

// get returns the origin stored under key; nil if there is none.
func (c *originCache) get(key []byte) *cachedOrigin {
	o := c.by[string(key)]
	if o != nil && !o.used.Load() {
		o.used.Store(true)
	}
	return o
}

// put stores an origin, unless one has its key or it is larger than the cache.
func (c *originCache) put(key string, origin *Origin, size int) {
	if _, found := c.by[key]; found || size > c.most {
		return
	}
	for c.size+size > c.most {
		c.forgetOne()
	}
	o := &cachedOrigin{Origin: origin, key: key, size: size}
	c.by[key] = o
	c.ring = append(c.ring, o)
	c.size += size
}

// forgetOne drops the next origin that was not used since the hand passed it.
func (c *originCache) forgetOne() {
	for {
		at := c.hand % len(c.ring)
		c.hand = at + 1
		o := c.ring[at]
		if o.used.Load() {
			o.used.Store(false)
			continue
		}
		last := len(c.ring) - 1
		c.ring[at], c.ring[last] = c.ring[last], nil // the newest is passed over once
		c.ring = c.ring[:last]
		delete(c.by, o.key)
		c.size -= o.size
		return
	}
}
