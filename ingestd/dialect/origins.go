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
	cache originCache
	scope []byte // of the file's keys in opt.Known
	key   []byte
	free  []Origin
}

// NewOrigins returns an empty cache. Workers of one file share the table. scope holds the texts on which, besides the
// bytes of a row and Options.Host, an origin depends: the dialect and the header.
func NewOrigins(opt Options, table *Identities, scope ...string) *Origins {
	o := &Origins{opt: opt, table: table, cache: newOriginCache(maxOriginBytes)}
	if opt.Known != nil && len(scope) > 0 {
		o.scope = scopeOf(append(scope, opt.Host))
	}
	return o
}

// maxOriginBytes bounds the bytes of a worker's cache, enough for some 60,000 GPUs.
const maxOriginBytes = 32 << 20

// Get returns the origin stored under key, by this worker or for a file of the same scope, or nil if there is none.
func (o *Origins) Get(key []byte) *Origin {
	if cached := o.cache.get(key); cached != nil {
		return cached.Origin
	}
	if o.scope == nil {
		return nil
	}
	known := o.opt.Known.get(o.sharedKey(key))
	if known == nil {
		return nil
	}
	if len(o.free) == 0 {
		o.free = make([]Origin, originsAtOnce)
	}
	origin := &o.free[0]
	o.free = o.free[1:]
	*origin = *known.Origin
	origin.table = o.table
	o.store(known.key[len(o.scope):], origin)
	return origin
}

// originsAtOnce is the number of origins that are allocated together: the GPUs of a host.
const originsAtOnce = 8

// Learn builds a source's origin, stores it under key and returns it.
func (o *Origins) Learn(key []byte, s *Source) *Origin {
	origin := s.buildOrigin(o.opt, o.table)
	if o.scope == nil || len(key) > maxSharedKey {
		o.store(string(key), origin)
		return origin
	}
	shared := string(o.sharedKey(key))
	o.store(shared[len(o.scope):], origin)
	o.opt.Known.put(shared, origin)
	return origin
}

// maxSharedKey is the longest key whose origin files share.
const maxSharedKey = 4 << 10

func (o *Origins) store(key string, origin *Origin) {
	o.cache.put(key, origin, 384+len(key)) // the structs and the key
}

// sharedKey returns the key in opt.Known. It is valid until the next call.
func (o *Origins) sharedKey(key []byte) []byte {
	o.key = append(append(o.key[:0], o.scope...), key...)
	return o.key
}
