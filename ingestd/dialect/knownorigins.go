package dialect

import (
	"encoding/binary"
	"sync"
	"sync/atomic"

	"github.com/zeebo/xxh3"
)

// KnownOrigins caches the origins of the files that were read lately: senders that report again and again name the same
// GPUs in the same way. It holds a bounded number of bytes, and those used lately. It is safe for concurrent use.
//
// An origin depends on the bytes that name it, on the host that the sender names, and on its file's header. The last two
// are the scope of a file: files of one scope share origins.
type KnownOrigins struct {
	hits, misses, bytes atomic.Int64

	mu    sync.RWMutex
	cache originCache // of origins without the parts that belong to one worker; they are not changed any more
}

// maxKnownBytes is enough for some 100,000 GPUs that few columns name, or 50,000 with all labels of an exporter.
const maxKnownBytes = 96 << 20

// NewKnownOrigins returns an empty cache.
func NewKnownOrigins() *KnownOrigins { return &KnownOrigins{cache: newOriginCache(maxKnownBytes)} }

// Hits returns how often an origin was found.
func (k *KnownOrigins) Hits() int64 { return k.hits.Load() }

// Misses returns how often it was not.
func (k *KnownOrigins) Misses() int64 { return k.misses.Load() }

// Bytes returns roughly the memory of the cache.
func (k *KnownOrigins) Bytes() int64 { return k.bytes.Load() }

// get returns the origin stored under key; nil if there is none.
func (k *KnownOrigins) get(key []byte) *cachedOrigin {
	k.mu.RLock()
	o := k.cache.get(key)
	k.mu.RUnlock()
	if o == nil {
		k.misses.Add(1)
		return nil
	}
	k.hits.Add(1)
	return o
}

// put stores the part of an origin that files share. It leaves out one with a fault, since such rows are rare.
func (k *KnownOrigins) put(key string, o *Origin) {
	if o.Fault != nil {
		return
	}
	known := *o
	known.split, known.table = nil, nil
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cache.put(key, &known, 640+3*len(key)) // structs, the key itself, texts of the identity
	k.bytes.Store(int64(k.cache.size))
}

// scopeOf returns the beginning of the keys of a scope: the hash of its texts.
func scopeOf(texts []string) []byte {
	var b []byte
	for _, text := range texts {
		b = binary.AppendUvarint(b, uint64(len(text)))
		b = append(b, text...)
	}
	sum := xxh3.Hash128(b).Bytes()
	return sum[:]
}
