package dialect

import (
	"sync"

	"telemetry-pipeline/events"
)

// Identities shares equal identities among all workers of a file. It is safe for concurrent use.
type Identities struct {
	mu sync.Mutex
	by map[events.IdentityID][]*events.Identity
	n  int
}

// NewIdentities returns an empty table.
func NewIdentities() *Identities {
	return &Identities{by: map[events.IdentityID][]*events.Identity{}}
}

// maxIdentities bounds the table. A full table is emptied, which costs memory elsewhere but is never wrong.
const maxIdentities = 1 << 16

// intern returns the identity in the table that equals id, else adds and returns id, which then must not be changed.
func (t *Identities) intern(id *events.Identity) *events.Identity {
	key := id.ID()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, known := range t.by[key] {
		if known.Compare(id) == 0 {
			return known
		}
	}
	if t.n == maxIdentities {
		clear(t.by)
		t.n = 0
	}
	t.n++
	t.by[key] = append(t.by[key], id)
	return id
}

// Origins caches the origins of rows by the bytes that name them, for one worker.
type Origins struct {
	opt   Options
	table *Identities
	by    map[string]*Origin
	bytes int
}

// NewOrigins returns an empty cache. Workers of one file share the table.
func NewOrigins(opt Options, table *Identities) *Origins {
	return &Origins{opt: opt, table: table, by: map[string]*Origin{}}
}

// maxOriginBytes bounds the bytes of the keys in the cache, enough for some 20,000 GPUs.
const maxOriginBytes = 8 << 20

// Get returns the origin stored under key, or nil if there is none.
func (o *Origins) Get(key []byte) *Origin { return o.by[string(key)] }

// Learn builds a source's origin, stores it under key and returns it.
func (o *Origins) Learn(key []byte, s *Source) *Origin {
	if o.bytes += len(key); o.bytes > maxOriginBytes {
		clear(o.by)
		o.bytes = len(key)
	}
	origin := s.buildOrigin(o.opt, o.table)
	o.by[string(key)] = origin
	return origin
}
