package dialect

import (
	"sync"

	"telemetry-pipeline/events"
)

// Identities makes equal identities one, for all workers of a file. Safe for concurrent use.
type Identities struct {
	mu sync.Mutex
	by map[events.IdentityID][]*events.Identity
	n  int
}

// NewIdentities makes an empty table.
func NewIdentities() *Identities {
	return &Identities{by: map[events.IdentityID][]*events.Identity{}}
}

// maxIdentities bounds the table. Beyond it sharing starts anew, which costs memory elsewhere but is never
// wrong.
const maxIdentities = 1 << 16

// intern gives the identity equal to id that was given before, or else id, which is then not to be changed.
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

// Origins remembers the origins of rows by the very bytes that named them, for one worker.
type Origins struct {
	opt   Options
	table *Identities
	by    map[string]*Origin
	bytes int
}

// NewOrigins makes an empty memory. Workers of one file share the table.
func NewOrigins(opt Options, table *Identities) *Origins {
	return &Origins{opt: opt, table: table, by: map[string]*Origin{}}
}

// maxOriginBytes bounds the keys that are remembered, enough for some 20,000 GPUs.
const maxOriginBytes = 8 << 20

// Get gives the origin remembered under key, nil when there is none.
func (o *Origins) Get(key []byte) *Origin { return o.by[string(key)] }

// Learn works out a source's origin and remembers it under key.
func (o *Origins) Learn(key []byte, s *Source) *Origin {
	if o.bytes += len(key); o.bytes > maxOriginBytes {
		clear(o.by)
		o.bytes = len(key)
	}
	origin := s.buildOrigin(o.opt, o.table)
	o.by[string(key)] = origin
	return origin
}
